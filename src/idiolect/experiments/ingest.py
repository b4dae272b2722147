"""A file of reviews into a store, with an account of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field
from tqdm import tqdm

from idiolect.config import Config
from idiolect.corpus.readers import RecordFile, open_items, open_reviews
from idiolect.corpus.rejects import ReadSummary, Rejected, RejectsWriter
from idiolect.errors import InputError
from idiolect.store.base import AddReport
from idiolect.store.sql import SqlStore

T = TypeVar("T")


class IngestConfig(Config):
    """How files are read."""

    format: str = "auto"
    """How they are written; ``auto`` tells it from the file."""
    columns: dict[str, str] = Field(default_factory=dict)
    """A field's column in the reviews' file: ``{user: reviewer, text: body}``."""
    item_columns: dict[str, str] = Field(default_factory=dict)
    """The same of the items' file."""
    category: str = ""
    """Prefix of item ids, where files of several categories go into one store."""
    max_rejects: float = Field(default=0.5, ge=0, le=1)
    """Share of rows that may be rejected before reading fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of every row."""

    format: str
    reviews: ReadSummary
    items: ReadSummary | None
    stored: AddReport
    rejects: Path | None
    """Where rejected and refused rows are listed; None where there were none."""
    item_rejects: Path | None = None
    """The same of the items' file."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "format": self.format,
            "read": self.reviews.read,
            "accepted": self.reviews.accepted,
            "rejected": dict(self.reviews.rejected),
            "items_read": self.items.read if self.items else 0,
            "items_rejected": dict(self.items.rejected) if self.items else {},
            "reviews_added": self.stored.reviews_added,
            "reviews_known": self.stored.reviews_known,
            "items_added": self.stored.items_added,
            "refused": len(self.stored.refused),
            "rejects": self.rejects,
            "item_rejects": self.item_rejects,
        }

    def text(self) -> str:
        """For people."""
        stored = self.stored
        lines = [
            f"{self.reviews.read} rows of {self.format}: {stored.reviews_added} reviews added, "
            f"{stored.reviews_known} known before, {stored.items_added} items added"
        ]
        summaries = [self.reviews, *([self.items] if self.items else [])]
        lines += [f"{n} rows rejected: {reason}" for s in summaries for reason, n in s.rejected.items()]
        if stored.refused:
            lines.append(f"{len(stored.refused)} refused: {stored.refused[0][1]} (first: {stored.refused[0][0]})")
        lines += [f"they are listed in {path}" for path in (self.rejects, self.item_rejects) if path]
        return "\n".join(lines)


def ingest_files(
    reviews: Path,
    *,
    store: str,
    items: Path | None = None,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    item_columns: Mapping[str, str] | None = None,
    category: str = "",
    rejects: Path | None = None,
    max_rejects: float = 0.5,
    progress: bool = False,
) -> IngestReport:
    """Read reviews and items into a store; reading the same files again changes nothing.

    Rejected rows go to ``rejects`` (items' to a file beside it); usable rows are stored either way.

    Raises:
        InputError: A file cannot be read, or more than ``max_rejects`` of its rows were rejected.
        ConfigError: An unknown format or field.
    """
    rejects = rejects or reviews.with_name(reviews.name + ".rejects.jsonl")
    item_rejects = rejects.with_name("items." + rejects.name)
    # Opening checks the files before anything is made or written.
    with ExitStack() as stack:
        listed, item_listed = _Late(), _Late()
        file = open_reviews(reviews, format=format, columns=columns, category=category, on_reject=listed)
        item_file = None
        if items is not None:
            item_file = open_items(items, columns=item_columns, category=category, on_reject=item_listed)
            item_listed.write = stack.enter_context(RejectsWriter(item_rejects))
        listed.write = stack.enter_context(RejectsWriter(rejects))
        database = stack.enter_context(SqlStore(store))
        stored = database.add(_counted(item_file, "items", progress), _counted(file, "reviews", progress))
        for review, reason in stored.refused:
            listed(Rejected(0, f"refused by the store: {reason}", review))
    report = IngestReport(
        format=file.format,
        reviews=file.summary,
        items=item_file.summary if item_file else None,
        stored=stored,
        rejects=_kept(rejects, bool(file.summary.rejected or stored.refused)),
        item_rejects=_kept(item_rejects, bool(item_file and item_file.summary.rejected)),
    )
    _check_share(report, max_rejects)
    return report


class _Late:
    """A destination of rejected rows that is known only once the file they come from could be opened."""

    write: Callable[[Rejected], None]

    def __call__(self, rejected: Rejected) -> None:
        self.write(rejected)


def _kept(path: Path, used: bool) -> Path | None:
    """The file if it lists anything; an empty one is removed."""
    if not used:
        path.unlink(missing_ok=True)
    return path if used else None


def _counted(file: RecordFile[T] | None, what: str, progress: bool) -> Iterator[T]:
    rows: Iterable[T] = file if file is not None else []
    yield from tqdm(rows, desc=what, unit="row", disable=not progress)


def _check_share(report: IngestReport, max_rejects: float) -> None:
    reviews, items = report.reviews, report.items or ReadSummary(read=0, accepted=0)
    refused = len(report.stored.refused)
    for what, lost, read, listed in (
        ("reviews", reviews.read - reviews.accepted + refused, reviews.read, report.rejects),
        ("items", items.read - items.accepted, items.read, report.item_rejects),
    ):
        if lost > max_rejects * read:
            raise InputError(
                f"{lost} of {read} rows of {what} were rejected (the rest is stored); see {str(listed)!r}",
                hint="map columns with --column field=column, or raise --max-rejects",
            )
