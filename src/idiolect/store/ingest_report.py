"""The account of every row of an ingest: what was read, stored, rejected and refused, and what to check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from idiolect.data.files import printable
from idiolect.data.records import Columns
from idiolect.data.rejects import REMEDIES, SUSPICIOUS, LostField, ReadSummary
from idiolect.store.base import AddReport
from idiolect.store.sql import KnownItems

_NAMED = 5
"""Number of unread files that the summary names."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The columns of a file and their fields."""

    file: str
    """The first file of these columns; empty if there is only one file."""
    columns: Columns

    def record(self) -> dict[str, Any]:
        """As plain data."""
        of, absent = self.columns.of, self.columns.absent
        return {
            "file": self.file,
            "of": {field: name for field, name in of.items() if field not in absent},
            "absent": list(absent),
            "unused": list(self.columns.unused),
        }

    def text(self, what: str, expected: tuple[str, ...]) -> str:
        """One line; the fields ``expected`` are named if they have no column."""
        return printable(f"{what}{f' in {self.file}' if self.file else ''}: {self.columns.text(expected)}")


_NO_REVIEWS = KnownItems(0, 0)
_FIELDS_EXPECTED = ("rating", "title", "timestamp")
_ITEM_FIELDS_EXPECTED = ("title",)
_MOST_TAKEN = 3
"""Files with columns of their own that are listed in the summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """An account of every row."""

    format: str
    reviews: ReadSummary
    items: ReadSummary | None
    stored: AddReport
    rejects: Path | None
    """Where rejected and refused rows are listed; None if there were none."""
    item_rejects: Path | None = None
    """The same of the items' file."""
    files: int = 1
    """Files (or splits) of reviews that were read."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Files of a folder or archive that were not read, and the reasons."""
    columns: tuple[Taken, ...] = ()
    """Columns and their fields, once for files with equal columns; empty for formats that are not tables."""
    item_columns: tuple[Taken, ...] = ()
    """The same for the items."""
    known: KnownItems = _NO_REVIEWS
    """How many of the added reviews (of all, if none was added) are of items with a record."""
    an_item: str = ""
    """The id of one of the items that were read."""
    undated: int = 0
    """Reviews without a timestamp."""
    early: int = 0
    """Reviews whose timestamp is before March 1973, which is most likely wrong."""
    unrated: int = 0
    """Reviews without a rating."""
    repeated: int = 0
    """Added reviews with user, item and text of one that was stored before: another time, rating, title or id."""

    def __repr__(self) -> str:
        return self.text

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings to check, although nothing failed."""
        return (*self._repeated_warning(), *self._items_warning())

    def _repeated_warning(self) -> Iterator[str]:
        if self.repeated:
            yield (
                f"{self.repeated} of {self.added} added reviews have user, item and text of a review that was stored "
                "before, and another time, rating, title or id: each counts twice; if the same data was read with "
                "other columns, read it into a new store"
            )

    def _items_warning(self) -> Iterator[str]:
        if self.known.known or not self.known.reviews:
            return
        spelled = f": reviews are of {self.known.unknown_item!r}"
        remedy = (
            f"{spelled}, items are called {self.an_item!r}; compare how the ids are written"
            if self.an_item
            else f"{spelled}; name the file of the items with items="
        )
        yield f"0 of {self.known.reviews} reviews are of known items, so prompts show ids, not titles{remedy}"

    @property
    def read(self) -> int:
        """Rows of reviews that were read."""
        return self.reviews.read

    @property
    def accepted(self) -> int:
        """Rows of reviews that are in the store now: ``added`` and ``unchanged``."""
        return self.reviews.accepted - len(self.stored.refused_reviews)

    @property
    def added(self) -> int:
        """Rows that are new in the store."""
        return self.stored.reviews_added

    @property
    def unchanged(self) -> int:
        """Rows that the store held already, or that are in the data more than once."""
        return self.stored.reviews_known

    @property
    def rejected(self) -> int:
        """Rows of reviews that are not, listed with a reason in ``rejects``."""
        return self.read - self.accepted

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "format": self.format,
            "files": self.files,
            "skipped": dict(self.skipped),
            "read": self.reviews.read,
            "accepted": self.reviews.accepted,
            "rejected": dict(self.reviews.rejected),
            "suspicious": dict(self.reviews.suspicious),
            "lost_fields": [asdict(lost) for lost in self.reviews.lost_fields],
            "undated": self.undated,
            "unrated": self.unrated,
            "repeated": self.repeated,
            "dated_before_1973": self.early,
            "columns": [taken.record() for taken in self.columns],
            "item_columns": [taken.record() for taken in self.item_columns],
            "items_lost_fields": [asdict(lost) for lost in self.items.lost_fields] if self.items else [],
            "reviews_of_known_items": self.known.known,
            "reviews_looked_up": self.known.reviews,
            "warnings": list(self.warnings),
            "items_read": self.items.read if self.items else 0,
            "items_rejected": dict(self.items.rejected) if self.items else {},
            "reviews_added": self.stored.reviews_added,
            "reviews_known": self.stored.reviews_known,
            "items_added": self.stored.items_added,
            "refused": len(self.stored.refused),
            "rejects": self.rejects,
            "item_rejects": self.item_rejects,
        }

    @property
    def text(self) -> str:
        """For people."""
        stored = self.stored
        held = f" in {self.files} files" if self.files > 1 else ""
        lines = [
            f"{self.reviews.read} rows of {self.format}{held}: {stored.reviews_added} reviews added, "
            f"{stored.reviews_known} known before, {stored.items_added} items added"
        ]
        if stored.reviews_known and stored.reviews_added:
            lines.append(f"{stored.reviews_known} rows are in the store already, or twice in the data: unchanged")
        lines += [*self._column_lines(), *self._review_lines()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        summaries = [self.reviews, *([self.items] if self.items else [])]
        lines += [_lost_field_line(lost) for s in summaries for lost in s.lost_fields]
        lines += [f"{n} rows rejected: {reason}" for s in summaries for reason, n in s.rejected.items()]
        lines += [
            f"{n} rows stored with {what}: {SUSPICIOUS[what]}" for s in summaries for what, n in s.suspicious.items()
        ]
        if stored.refused:
            lines.append(f"{len(stored.refused)} refused: {stored.refused[0][1]} (first: {stored.refused[0][0]})")
        lines += [f"they are listed in {path}" for path in (self.rejects, self.item_rejects) if path]
        if self.skipped:
            named = [f"{printable(name)} ({reason})" for name, reason in islice(self.skipped.items(), _NAMED)]
            more = f"; and {len(self.skipped) - _NAMED} more" if len(self.skipped) > _NAMED else ""
            lines.append(f"{len(self.skipped)} files not read: {'; '.join(named)}{more}")
        return "\n".join(lines)

    def _column_lines(self) -> Iterator[str]:
        for what, taken, expected in (
            ("columns", self.columns, _FIELDS_EXPECTED),
            ("columns of items", self.item_columns, _ITEM_FIELDS_EXPECTED),
        ):
            yield from (one.text(what, expected) for one in taken[:_MOST_TAKEN])
            if len(taken) > _MOST_TAKEN:
                yield f"other {what} in {len(taken) - _MOST_TAKEN} more kinds of files: all are in the record (JSON)"

    def _review_lines(self) -> Iterator[str]:
        read = self.reviews.accepted
        if self.known.known:
            yield f"{self.known.known} of {self.known.reviews} reviews are of known items"
        if 0 < self.undated < read:
            yield (
                f"{self.undated} of {read} reviews have no timestamp: each counts as older than the dated reviews of "
                "its user, in the order of the file"
            )
        if 0 < self.unrated < read:
            yield f"{self.unrated} of {read} reviews have no rating"
        if self.early:
            yield (
                f"{self.early} of {read} reviews have a timestamp before March 1973: if it is not in seconds since "
                "1970, only the order is meaningful"
            )


def _lost_field_line(lost: LostField) -> str:
    """One line: how many rows lack the field, and the reason."""
    remedy = REMEDIES.get(lost.reason)
    return (
        f"{lost.rows} rows read without their {lost.name}: {lost.reason} "
        f"(first: line {lost.line} of {printable(lost.file)})" + (f"; {remedy}" if remedy else "")
    )
