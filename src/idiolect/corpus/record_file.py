"""Records of one kind, wherever their rows are, one at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

from idiolect.corpus.columns import Columns
from idiolect.corpus.formats import LAYOUTS, Written
from idiolect.corpus.layouts import Unnest
from idiolect.corpus.parts import Part, Parts
from idiolect.corpus.records import Build, OnLost
from idiolect.corpus.rejects import CONTROLS, RAW_CHARS, LostField, ReadSummary, Rejected, UnusableRow
from idiolect.corpus.rows import Row
from idiolect.errors import InputError

T = TypeVar("T")
OnReject = Callable[[Rejected], None]

_CONTROLS = re.compile("[\\x80-\\x84\\x86-\\x9f]")
"""All of them but U+0085, which is a line end in some texts."""

JUDGED_FROM = 10_000
"""Rows after which too many rejects end the reading; before, bad rows may merely stand first."""


class OpenPart(NamedTuple, Generic[T]):
    """A part of a location, and how its rows become records."""

    part: Part
    written: Written
    unnest: Unnest | None
    columns: Columns
    build: Build[T]

    def rows(self) -> Iterator[Row]:
        """Its rows, one a record."""
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
    """The rows of ``part``, one a record."""
    rows = part.rows(written.container)
    return rows if unnest is None else (one for row in rows for one in unnest(row))


class Located(NamedTuple, Generic[T]):
    """A record and where it stands."""

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
        self._noted: Counter[str] = Counter()
        self._lost: dict[tuple[str, str], LostField] = {}
        self._stopped = False

    def __iter__(self) -> Iterator[T]:
        """The records in the order of the parts and of the rows in each.

        Raises:
            InputError: A file is cut short or damaged.
        """
        self._read, self._rejected, self._noted, self._stopped = 0, Counter(), Counter(), False
        self._lost = {}
        for part in self.parts:
            for row in self._counted(part):
                place, self._read = self._read, self._read + 1
                gone: list[tuple[str, str]] = []
                try:
                    record = part.record(row, place, lambda field, reason, gone=gone: gone.append((field, reason)))
                except UnusableRow as unusable:
                    self._reject(part, row, unusable.reason)
                    if self._stopped:
                        return
                else:
                    self._note(gone, part, row)
                    if _holds_controls(record):
                        self._noted[CONTROLS] += 1
                    yield record

    def located(self) -> Iterator[Located[T]]:
        """The same records with where each stands; this counts and rejects nothing."""
        rows = ((part, row) for part in self.parts for row in part.rows())
        for place, (part, row) in enumerate(rows):
            with suppress(UnusableRow):
                yield Located(part.record(row, place), part.part.name, row)

    @property
    def where(self) -> Parts:
        """What was read, to be read in another way: input that comes once is kept as long as this is."""
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
        """Whether ``order`` is a mere count of rows or entries, for no column holds it."""
        return any(part.unnest is not None or "order" not in part.columns.of for part in self.parts)

    @property
    def carries_items(self) -> bool:
        """Whether the rows of reviews hold the items too."""
        return any(layout and layout.items for layout in (LAYOUTS.get(part.written.format) for part in self.parts))

    @property
    def summary(self) -> ReadSummary:
        """What the latest iteration came to (so far)."""
        accepted = self._read - self._rejected.total()
        return ReadSummary(
            read=self._read,
            accepted=accepted,
            rejected=dict(self._rejected),
            stopped=self._stopped,
            noted=dict(self._noted),
            lost_fields=tuple(self._lost.values()),
        )

    def _counted(self, part: OpenPart[T]) -> Iterator[Row]:
        """The rows of a part; where it turns out damaged, the error says how many came before."""
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


def _holds_controls(record: object) -> bool:
    """Whether a text of a review or item holds U+0080 to U+009F: the quotes and dashes of CP1252, read as Latin-1."""
    texts = (getattr(record, name, "") for name in ("text", "title", "description"))
    return any(not text.isascii() and _CONTROLS.search(text) for text in texts)


def _start(raw: object) -> str:
    if isinstance(raw, bytes):
        return raw[: 4 * RAW_CHARS].decode("utf-8", "replace").rstrip("\r\n")[:RAW_CHARS]
    return str(raw).rstrip("\r\n")[:RAW_CHARS]
