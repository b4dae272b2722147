"""Files read by the workers of an engine: records, rejects and counts are those of one process, in the same order.

A worker reads a file and sends batches of rows; a file is the smallest share. Two things are known only when all rows
before are: the place of a row, where it counts as ``order``, and whether too many rows were rejected. So workers send
places within their file, and the reader (``readers.RecordFile.read``) counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from idiolect.data.files import known_as
from idiolect.data.parts import FilePart, Part
from idiolect.data.rejects import RAW_CHARS, UnusableRow
from idiolect.errors import InputError
from idiolect.types import Review

if TYPE_CHECKING:
    from idiolect.data.record_file import OpenPart

_BATCH = 1000


class Outcome(NamedTuple):
    """What a worker made of a row."""

    record: Any
    """None if the row cannot be used."""
    reason: str
    """Why not."""
    line: int
    raw: object
    """The row's start, where it is rejected."""
    gone: tuple[tuple[str, str], ...]
    """Fields that the record lost, and why."""
    placed: bool
    """Whether its ``order`` is its place in the file."""

    def moved(self, before: int) -> Any:
        """The record, with the rows of the files before it counted."""
        return replace(self.record, order=self.record.order + before) if self.placed and before else self.record


def is_shareable(part: Part) -> bool:
    """Whether workers can read a part: a file under its own name, not input that is kept in this process."""
    return isinstance(part, FilePart) and known_as(part.path) == str(part.path) and part.path.is_file()


def parsing(parts: Sequence[OpenPart[Any]]) -> Callable[[int], Iterator[tuple[int, list[Outcome]]]]:
    """What a worker does with the number of a part."""
    return partial(_parse, parts)


class _Place(int):
    """A place that can be told from the same number in a cell."""


def _parse(parts: Sequence[OpenPart[Any]], number: int) -> Iterator[tuple[int, list[Outcome]]]:
    """The number of the part, and the next of its rows.

    Raises:
        InputError: The file is cut short or damaged, with the number of rows before.
    """
    part, batch, read = parts[number], list[Outcome](), 0
    try:
        for place, row in enumerate(part.rows()):
            read += 1
            gone: list[tuple[str, str]] = []
            try:
                record = part.record(row, _Place(place), lambda field, reason, gone=gone: gone.append((field, reason)))
            except UnusableRow as unusable:
                raw = row.raw[: 4 * RAW_CHARS] if isinstance(row.raw, bytes | str) else row.raw
                batch.append(Outcome(None, unusable.reason, row.line, raw, (), False))
            else:
                placed = isinstance(record, Review) and isinstance(record.order, _Place)
                record = replace(record, order=place) if placed else record
                batch.append(Outcome(record, "", row.line, None, tuple(gone), placed))
            if len(batch) == _BATCH:
                yield number, batch
                batch = []
    except InputError as error:
        yield number, batch
        raise InputError(f"{error.message} (after {read:,} rows)", hint=error.hint) from error
    yield number, batch
