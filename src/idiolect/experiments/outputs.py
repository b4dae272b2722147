"""The folders that commands write to: recorded, so that an erasure finds them, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from idiolect.errors import ConfigError
from idiolect.store.sql import SqlStore

_MARKS = {
    "split": "members.parquet",
    "fit": "settings.json",
    "evaluation": "claim.json",
    "backbone": "pretrain.json",
}
"""What each kind of output has in it, however it got there."""


def claim_folder(
    database: SqlStore, store: str, folder: Path, kind: Literal["split", "fit", "evaluation", "backbone"]
) -> None:
    """Record a folder as an output of the store, before anything is written to it.

    An erasure removes from such a folder every file with a trace of the user. So it is taken only where it is new,
    empty, or an output already.

    Args:
        database: What is written comes from it.
        store: Its file or URL.
        folder: Where the output goes.
        kind: What it will be.

    Raises:
        ConfigError: The folder holds the store, or anything else that is no output.
    """
    place = folder.resolve()
    if "://" not in store and Path(store).resolve().is_relative_to(place):
        raise ConfigError(f"{str(folder)!r} holds the store", hint="give the output a folder of its own")
    ours = place in database.outputs() or (place / _MARKS[kind]).is_file()
    if not ours and place.is_dir() and any(place.iterdir()):
        raise ConfigError(f"{str(folder)!r} holds other files", hint="give the output a folder of its own")
    database.record_output(folder, kind)
