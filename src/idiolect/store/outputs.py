"""Folders that commands write to: recorded, so that an erasure finds them; other folders are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from idiolect.data.output_files import real_path
from idiolect.errors import ConfigError
from idiolect.sqlite import is_sqlite
from idiolect.store.engine import store_file
from idiolect.store.sql import SqlStore

Kind = Literal["split", "fit", "evaluation", "backbone"]
_MARKS: dict[str, tuple[str, frozenset[str]]] = {
    "split": ("members.parquet", frozenset()),
    "fit": ("settings.json", frozenset({"settings", "encoder", "backbone"})),
    "evaluation": ("claim.json", frozenset({"backbone", "encoder", "store"})),
    "backbone": ("pretrain.json", frozenset({"recipe", "data"})),
    "demo": ("demo.json", frozenset({"config", "backbone", "version"})),
    "study": ("claim.json", frozenset({"config", "backbone"})),
    "tables": ("tables.json", frozenset({"profile", "data"})),
}
"""How each kind of output is recognized: a file, and keys in it if it is JSON."""
_OWN = "give the output a folder of its own"


def check_folder(
    database: SqlStore, store: str, folder: Path, kind: Kind, *, apart: Iterable[Path | None] = ()
) -> None:
    """Check that a folder can be used for an output, before any work is done.

    Args:
        database: The store that the output is made from.
        store: Its file or URL.
        folder: Folder of the output.
        kind: Kind of the output.
        apart: Inputs of the command, which must not be the folder or be in it.

    Raises:
        ConfigError: The folder holds the store, or anything else that is no output; or it is a file.
    """
    place, file = real_path(folder), store_file(store)
    if file is not None and real_path(file).is_relative_to(place):
        raise ConfigError(f"{str(folder)!r} holds the store", hint=_OWN)
    for other in apart:
        if other is not None and real_path(other).is_relative_to(place):
            raise ConfigError(f"{str(folder)!r} is or holds {str(other)!r}, which is read", hint=_OWN)
    if database.outputs().get(place) not in _MARKS or not place.is_dir():
        check_own(folder, kind)


def check_own(folder: Path, kind: str) -> None:
    """Refuse a folder that is neither new, nor empty, nor an output of this kind.

    Raises:
        ConfigError: It holds other files, or is a file.
    """
    place = real_path(folder)
    if place.exists() and not place.is_dir():
        raise ConfigError(f"{str(folder)!r} is a file, not a folder", hint=_OWN)
    if not _is_marked(place, kind) and place.is_dir() and any(place.iterdir()):
        raise ConfigError(f"{str(folder)!r} holds other files", hint=_OWN)


def claim_folder(database: SqlStore, store: str, folder: Path, kind: Kind) -> None:
    """Record a folder as an output of the store, before anything is written to it.

    An erasure removes every file with a trace of the user from such a folder. Therefore the folder must be new, empty,
    or an earlier output.

    Args:
        database: The store that the output is made from.
        store: Its file or URL.
        folder: Folder of the output.
        kind: Kind of the output.

    Raises:
        ConfigError: The folder holds the store, or anything else that is no output.
    """
    check_folder(database, store, folder, kind)
    database.record_output(folder, kind)


def _is_marked(place: Path, kind: str) -> bool:
    name, keys = _MARKS[kind]
    mark = place / name
    if not mark.is_file() or not keys:
        return mark.is_file()
    if is_sqlite(mark):
        return False
    try:
        said = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and keys <= said.keys()
