"""Rows that cannot be used: the reason, the count per reason, and the file that lists them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from idiolect.data.output_files import check_output, named_errors, partial_of

REJECTS_SUFFIX = ".rejects.jsonl"
"""Of the name of a list of rejected rows, if the user names none."""
RAW_CHARS = 200
"""How much of a rejected row is kept for looking at."""


class UnusableRow(Exception):
    """Raised while a row is parsed; the reader turns it into a ``Rejected``.

    Args:
        reason: One of a few short phrases (``"missing user"``, ``"bad timestamp"``), so that equal ones can be counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used."""

    line: int
    """Line of the file, from 1; for Parquet the row, from 1."""
    reason: str
    raw_start: str
    """The first 200 characters of the raw row."""
    file: str = ""
    """The file it is in."""


@dataclass(frozen=True, slots=True)
class LostField:
    """An optional field that could not be read in rows that were read without it."""

    name: str
    """Of the field."""
    reason: str
    rows: int
    """How many rows."""
    file: str = field(compare=False)
    """Where the first is: the file."""
    line: int = field(compare=False)
    """And the line of it."""

    def again(self) -> LostField:
        """One row more."""
        return replace(self, rows=self.rows + 1)


@dataclass(frozen=True, slots=True)
class ReadSummary:
    """What one pass over a file came to: ``accepted + sum(rejected.values()) == read``."""

    read: int
    accepted: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Number of rejected rows by reason."""
    lost_fields: tuple[LostField, ...] = ()
    """Optional fields that accepted rows lack because their cell could not be read."""
    stopped: bool = False
    """Whether reading ended early, because too many were rejected."""
    suspicious: Mapping[str, int] = field(default_factory=dict)
    """Number of accepted rows that look damaged, by what they hold."""

    @property
    def lost(self) -> int:
        """Number of rejected rows."""
        return self.read - self.accepted


_FIELDS = ("file", "line", "reason", "raw_start")
_LONGEST = 65_536
"""Bytes of an entry at most."""

REMEDIES: Mapping[str, str] = {
    "not JSON": "one object per line is expected; name the file's format with format=",
    "Python literal, not JSON": "format=amazon2014 reads these",
    # Never LATIN1: it turns the quotes and dashes of CP1252 into control characters, for good and without an error.
    "not UTF-8": "convert it: iconv -f CP1252 -t UTF-8 (or from the encoding it is in)",
    "NUL byte": "take them out: tr -d '\\000'",
    "not CSV": "quote texts that hold a quote, and double the quote",
    "wrong number of columns": "quote texts that hold the separator",
    "user lost digits as a float": "write the file again with the ids as text",
    "item lost digits as a float": "write the file again with the ids as text",
    "wrong type: user": "if it is an object, name the field in it: user='user.id'",
    "wrong type: item": "if it is an object, name the field in it: item='item.id'",
    "wrong type: text": "if it is an object, name the field in it: text='review.body'",
    "bad rating": "name the rating's column: rating='NAME', or '-' for none",
    "bad timestamp": "write times as ISO 8601; if they are only an order, timestamp='-', order='NAME'",
    "timestamp with day or month first": "write times as ISO 8601: 2018-11-10",
}
"""What to do where most rows are rejected for one of these reasons, or lose a field; for any other, a column is likely
mistaken."""

CONTROLS = "control characters U+0080 to U+009F"
SUSPICIOUS: Mapping[str, str] = {
    CONTROLS: "CP1252 read as Latin-1 loses quotes and dashes; convert the original: iconv -f CP1252 -t UTF-8"
}
"""What to do about accepted rows that look damaged."""


class RejectsWriter:
    """Collects rejected rows in a JSONL file, one ``{"file", "line", "reason", "raw_start"}`` per line.

    Used as a context manager and passed to a reader as ``on_reject``. The file appears whole when the block is left
    without an error; an empty file says that nothing was rejected.

    Args:
        path: Where the file goes; an earlier list of rejects there is replaced.
        apart: Files that must not be replaced: what is read, and stores.
        keep_empty: Whether to leave an empty file if nothing was rejected; else an earlier list is removed.

    Raises:
        OutputError: Something else is there.
    """

    def __init__(self, path: Path, *, apart: Iterable[Path | None] = (), keep_empty: bool = True) -> None:
        self._path = check_output(Path(path), ours=_is_list, what="a list of rejects", apart=apart)
        self._partial = partial_of(self._path)
        self._file: IO[str] | None = None
        self._keep_empty, self._found = keep_empty, _state(self._path)
        self.used = False
        """Whether a row was written."""

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("x", encoding="utf-8")
        return self

    def __call__(self, rejected: Rejected) -> None:
        """Write one rejected row."""
        if self._file is None:
            raise RuntimeError("a RejectsWriter writes inside its with-block only")
        self.used = True
        with named_errors(self._path):
            self._file.write(json.dumps({name: getattr(rejected, name) for name in _FIELDS}) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        try:
            with named_errors(self._path):
                if file is not None:
                    file.close()  # which fails on a full disk
                if kind is None and (self.used or self._keep_empty):
                    os.replace(self._partial, self._path)
                elif kind is None and self._found is not None and _state(self._path) == self._found:
                    self._path.unlink()  # another call's list, written in the meantime, stays
        finally:
            self._partial.unlink(missing_ok=True)


def _is_list(path: Path) -> bool:
    """Whether a file begins with an entry of a list of rejects."""
    with path.open("rb") as file:
        entry = json.loads(file.readline(_LONGEST))
    return isinstance(entry, dict) and {"line", "reason", "raw_start"} <= entry.keys() <= set(_FIELDS)


def _state(path: Path) -> tuple[int, ...] | None:
    """A file's identity, which changes if another process writes it; None: there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
