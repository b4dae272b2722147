"""The records of files, one at a time, with a count of every row and the end of reading where too many are rejected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

from idiolect.data.formats import LAYOUTS, Unnest, Written
from idiolect.data.parallel import is_shareable, parsing
from idiolect.data.parts import Part, Parts
from idiolect.data.records import Build, Columns, OnLost, Row
from idiolect.data.rejects import CONTROLS, RAW_CHARS, LostField, ReadSummary, Rejected, UnusableRow
from idiolect.engine import Engine
from idiolect.errors import InputError
from idiolect.types import Item, Review

T = TypeVar("T")
OnReject = Callable[[Rejected], None]

_CONTROLS = re.compile("[\\x80-\\x84\\x86-\\x9f]")
"""All of them but U+0085, which is a line end in some texts."""

JUDGED_FROM = 10_000
"""Rows after which too many rejects end the reading; before, bad rows may just be at the beginning."""


class OpenPart(NamedTuple, Generic[T]):
    """A part of a location, and how its rows become records."""

    part: Part
    written: Written
    unnest: Unnest | None
    columns: Columns
    build: Build[T]
    thread: Mapping[str, str] | None = None
    """The columns that describe the item, if rows of reviews have them; else None."""

    @property
    def carries_items(self) -> bool:
        """Whether the rows of reviews hold the items too."""
        layout = LAYOUTS.get(self.written.format)
        return self.thread is not None or bool(layout and layout.items)

    def rows(self) -> Iterator[Row]:
        """Its rows, one per record."""
        return rows_of(self.part, self.written, self.unnest)

    def record(self, row: Row, place: int, lost: OnLost = lambda field, reason: None) -> T:
        """The record of one of the rows, the one at ``place`` (from 0) of all.

        Args:
            row: The row.
            place: Where it stands.
            lost: See ``OnLost``.

        Raises:
            UnusableRow: With the reason.
        """
        if isinstance(row.cells, str):
            raise UnusableRow(row.cells)
        return self.build(row.cells, place, lost)


def rows_of(part: Part, written: Written, unnest: Unnest | None) -> Iterator[Row]:
    """The rows of ``part``, one per record."""
    rows = part.rows(written.container)
    return rows if unnest is None else (one for row in rows for one in unnest(row))


class Located(NamedTuple, Generic[T]):
    """A record and its place in the files."""

    record: T
    file: str
    row: Row

    def rejected(self, reason: str) -> Rejected:
        """As an entry in a list of rejects."""
        return Rejected(self.row.line, reason, _start(self.row.raw), self.file)


class RecordFile(Generic[T]):
    """Records of one kind, read anew by each iteration; nothing of them is held in memory.

    Args:
        parts: Where they are.
        skipped: Files of the location that are no parts of it, and why.
        on_reject: Called with every row that cannot be used, a ``RejectsWriter`` for instance.
        max_rejects: Share of rejected rows beyond which reading ends, once ``JUDGED_FROM`` rows were read.
    """

    def __init__(
        self,
        parts: tuple[OpenPart[T], ...],
        *,
        skipped: Mapping[str, str] | None = None,
        on_reject: OnReject | None = None,
        max_rejects: float = 1.0,
    ) -> None:
        self.parts = parts
        self.skipped = skipped or {}
        self._on_reject = on_reject
        self._max_rejects = max_rejects
        self._read = 0
        self._rejected: Counter[str] = Counter()
        self._suspicious: Counter[str] = Counter()
        self._lost: dict[tuple[str, str], LostField] = {}
        self._stopped = False

    def __iter__(self) -> Iterator[T]:
        """The records in the order of the parts and of the rows in each.

        Raises:
            InputError: A file is cut short or damaged.
        """
        self._begin()
        gone: list[tuple[str, str]] = []

        def lost(field: str, reason: str) -> None:
            gone.append((field, reason))

        for part in self.parts:
            for row in self._counted(part):
                place, self._read = self._read, self._read + 1
                try:
                    record = part.record(row, place, lost)
                except UnusableRow as unusable:
                    gone.clear()
                    self._reject(part, row, unusable.reason)
                    if self._stopped:
                        return
                else:
                    if gone:
                        self._note(gone, part, row)
                        gone.clear()
                    if _holds_controls(record):
                        self._suspicious[CONTROLS] += 1
                    yield record

    def read(self, engine: Engine) -> Iterator[T]:
        """The same records, counts and rejects, with the files read by an engine's workers.

        Input that only this process has (a pipe, an archive, a table in memory) is read here.

        Raises:
            InputError: A file is cut short or damaged.
            EngineError: A file was lost with its worker several times.
        """
        if engine.workers == 1 or len(self.parts) == 1 or not all(is_shareable(part.part) for part in self.parts):
            yield from self
            return
        self._begin()
        number, before = 0, 0
        for part, outcomes in engine.flat_map(partial(parsing, self.parts), range(len(self.parts))):
            number, before = (number, before) if part == number else (part, self._read)
            for outcome in outcomes:
                self._read += 1
                row = Row(outcome.line, "", outcome.raw)
                if outcome.record is None:
                    self._reject(self.parts[part], row, outcome.reason)
                    if self._stopped:
                        return
                else:
                    self._note(list(outcome.gone), self.parts[part], row)
                    if _holds_controls(outcome.record):
                        self._suspicious[CONTROLS] += 1
                    yield outcome.moved(before)

    def _begin(self) -> None:
        self._read, self._rejected, self._suspicious, self._stopped = 0, Counter(), Counter(), False
        self._lost = {}

    def located(self) -> Iterator[Located[T]]:
        """The same records with their places; counts and rejects are not updated."""
        rows = ((part, row) for part in self.parts for row in part.rows())
        for place, (part, row) in enumerate(rows):
            with suppress(UnusableRow):
                yield Located(part.record(row, place), part.part.name, row)

    @property
    def where(self) -> Parts:
        """The input, to be read again; input that can be read once is kept meanwhile."""
        return Parts(tuple(part.part for part in self.parts), dict(self.skipped))

    @property
    def format(self) -> str:
        """How the parts are written; several ways are joined by ``+``."""
        return "+".join(dict.fromkeys(part.written.format for part in self.parts))

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the first part."""
        return self.parts[0].columns.of

    @property
    def counts_order(self) -> bool:
        """Whether ``order`` is a mere count of rows or entries, because no column holds it."""
        return any(part.unnest is not None or "order" not in part.columns.of for part in self.parts)

    @property
    def carries_items(self) -> bool:
        """Whether the rows of reviews hold the items too."""
        return any(part.carries_items for part in self.parts)

    @property
    def summary(self) -> ReadSummary:
        """What the latest iteration came to (so far)."""
        accepted = self._read - self._rejected.total()
        return ReadSummary(
            read=self._read,
            accepted=accepted,
            rejected=dict(self._rejected),
            stopped=self._stopped,
            suspicious=dict(self._suspicious),
            lost_fields=tuple(self._lost.values()),
        )

    def _counted(self, part: OpenPart[T]) -> Iterator[Row]:
        """The rows of a part; if it is damaged, the error has the number of rows before."""
        before = self._read
        try:
            yield from part.rows()
        except InputError as error:
            rows = self._read - before
            raise InputError(f"{error.message} (after {rows:,} rows)", hint=error.hint) from error

    def _note(self, gone: list[tuple[str, str]], part: OpenPart[T], row: Row) -> None:
        """Count the fields that a record lost."""
        for field, reason in gone:
            known = self._lost.get((field, reason))
            self._lost[field, reason] = (
                LostField(field, reason, 1, part.part.name, row.line) if known is None else known.again()
            )

    def _reject(self, part: OpenPart[T], row: Row, reason: str) -> None:
        self._rejected[reason] += 1
        if self._on_reject is not None:
            self._on_reject(Rejected(row.line, reason, _start(row.raw), part.part.name))
        self._stopped = self._read >= JUDGED_FROM and self._rejected.total() > self._max_rejects * self._read


_REVIEW_TEXTS, _ITEM_TEXTS = attrgetter("text", "title"), attrgetter("title", "description")


def _holds_controls(record: object) -> bool:
    """Whether a text of a review or item holds U+0080 to U+009F: the quotes and dashes of CP1252, read as Latin-1."""
    one, other = _REVIEW_TEXTS(record) if isinstance(record, Review) else _ITEM_TEXTS(record)
    if one.isascii() and other.isascii():
        return False
    return bool(_CONTROLS.search(one) or _CONTROLS.search(other))


def _start(raw: object) -> str:
    if isinstance(raw, bytes):
        return raw[: 4 * RAW_CHARS].decode("utf-8", "replace").rstrip("\r\n")[:RAW_CHARS]
    return str(raw).rstrip("\r\n")[:RAW_CHARS]


ReviewFile = RecordFile[Review]
ItemFile = RecordFile[Item]
