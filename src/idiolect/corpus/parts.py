"""What a location stands for: one file, the files of a folder or a pattern, standard input, a data set of the hub."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, Protocol

from idiolect.corpus import hub
from idiolect.corpus.containers import ROWS, Container, suffix_container, tell_container
from idiolect.corpus.rows import Row
from idiolect.corpus.source import OPEN_FILES, SPOOLED
from idiolect.errors import InputError

STDIN = "-"

_OURS = ".rejects.jsonl"
_BOOKKEEPING = {"dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json"}
"""What Hugging Face writes beside a saved data set."""


class Part(Protocol):
    """Something that holds rows."""

    @property
    def name(self) -> str:
        """What the list of rejects calls it."""
        ...

    @property
    def trail(self) -> tuple[str, ...]:
        """The names that lead to it, outermost first: folders and file, or data set, configuration and split."""
        ...

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        ...

    def container(self) -> Container | None:
        """How it holds its rows; None where that is no matter of bytes."""
        ...

    def rows(self, container: Container | None) -> Iterator[Row]:
        """Its rows, read anew by each call."""
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class FilePart:
    """A file."""

    path: Path
    name: str

    @property
    def trail(self) -> tuple[str, ...]:
        """See ``Part``."""
        return Path(self.name).parts

    def container(self) -> Container:
        """See ``Part``."""
        return tell_container(self.path)

    def rows(self, container: Container | None) -> Iterator[Row]:
        """See ``Part``."""
        return ROWS[container or self.container()](self.path)


@dataclass(frozen=True, slots=True)
class Parts:
    """All of a location."""

    parts: tuple[Part, ...]
    """Sorted by name, for ``order`` counts through them."""
    skipped: tuple[str, ...] = ()
    """Files of a folder or pattern that are of no known kind."""


def find_parts(where: Path | str) -> Parts:
    """The parts of ``where``: ``-``, ``hf://owner/name[/config[/split]]``, a file, a folder or a pattern.

    Raises:
        InputError: There is nothing, or nothing of a known kind.
    """
    text = str(where)
    if text == STDIN:
        return Parts((_spooled(sys.stdin.buffer),))
    if hub.is_hub(text):
        return Parts(tuple(hub.find_parts(text)))
    path = Path(where)
    if path.is_dir():
        return _several(path, sorted(path.rglob("*")))
    if not path.exists() and glob.has_magic(text):
        return _several(path, sorted(map(Path, glob.iglob(text, recursive=True))))
    return Parts((FilePart(path, text),))


def default_rejects(where: Path | str) -> Path:
    """Where rejects are listed by default: beside what is read, never in it."""
    text = str(where)
    if text == STDIN or hub.is_hub(text):
        stem = "stdin" if text == STDIN else text.removeprefix(hub.SCHEME).strip("/").replace("/", ".")
        return Path(stem + _OURS)
    path = Path(where)
    if not path.exists() and glob.has_magic(text):
        path = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    return path.parent / ((path.name or path.resolve().name) + _OURS)


def _several(where: Path, found: list[Path]) -> Parts:
    files = [path for path in found if path.is_file() and not _is_ours(path, where)]
    known = [path for path in files if suffix_container(path) and not _is_answers(path, files)]
    if not known:
        kinds = ".jsonl, .json, .csv, .tsv, .parquet, .arrow"
        raise InputError(
            f"{str(where)!r} holds no file that can be read", hint=f"it needs {kinds}, or .gz, .zst of them"
        )
    answers = [path for path in files if _is_answers(path, files)]
    skipped = tuple(str(path) for path in files if path not in {*known, *answers})
    return Parts(tuple(FilePart(path, str(path)) for path in known), skipped)


def _is_ours(path: Path, where: Path) -> bool:
    """Hidden files, lists of rejects, and what Hugging Face keeps beside its tables."""
    inner = path.relative_to(where) if path.is_relative_to(where) else Path(path.name)
    hidden = any(part.startswith(".") for part in inner.parts)
    return hidden or path.name.endswith(_OURS) or path.name in _BOOKKEEPING


def answers_of(path: Path) -> Path:
    """Where LaMP keeps the answers to the questions in ``path``."""
    return path.with_name(path.name.replace("questions", "outputs"))


def _is_answers(path: Path, files: list[Path]) -> bool:
    questions = path.with_name(path.name.replace("outputs", "questions"))
    return questions != path and questions in files


def _spooled(stream: BinaryIO) -> FilePart:
    """Standard input, kept on disk: columns are looked for before rows are read, and rows may be read twice.

    Where an open file can be opened again (Linux), it has no name, so that a call that is killed leaves nothing.
    """
    handle, name = tempfile.mkstemp(prefix=SPOOLED)
    where, nameless = Path(name), OPEN_FILES / str(handle)
    if nameless.exists():
        where.unlink()
        where = nameless
    with os.fdopen(handle, "wb", closefd=False) as file:
        shutil.copyfileobj(stream, file)
    part = FilePart(where, "standard input")
    weakref.finalize(part, _drop, handle, Path(name))
    return part


def _drop(handle: int, path: Path) -> None:
    os.close(handle)
    path.unlink(missing_ok=True)
