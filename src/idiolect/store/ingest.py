"""Store items and reviews in chunks and count new, known and refused rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from idiolect.store import schema as tables
from idiolect.store.base import AddReport
from idiolect.store.engine import ANY_OF, insert_rows, key_chunks
from idiolect.store.schema import Row
from idiolect.store.sums import take_categories

_CHUNK = 4096

_meta = tables.meta.c
# Built once, because SQLAlchemy takes longer to build a statement than SQLite to run it.
_DIGEST = sa.select(_meta.digest)
_ADJUST = sa.update(tables.meta).values(
    digest=sa.bindparam("now"),
    n_items=_meta.n_items + sa.bindparam("items"),
    n_reviews=_meta.n_reviews + sa.bindparam("reviews"),
    n_dated=_meta.n_dated + sa.bindparam("dated"),
)
_DIGESTS = {
    table.name: sa.select(table.c.id, table.c.digest).where(table.c.id.in_(ANY_OF))
    for table in (tables.items, tables.reviews)
}

T = TypeVar("T")
Tried = Row | tuple[Any, str]
"""A row, or the id of a refused row and the reason (see ``schema.tried``)."""


Outcome = bool | tuple[Any, str]
"""What happened to a row: True if it was added, False if it was known, or the id and the reason of a refusal."""


@dataclass(slots=True)
class _Tally:
    added: int = 0
    known: int = 0
    dated: int = 0
    digest: int = 0
    refused: list[tuple[Any, str]] = field(default_factory=list)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Count the outcomes of some rows."""
        for outcome in outcomes:
            if isinstance(outcome, tuple):
                self.refused.append(outcome)
            elif outcome:
                self.added += 1
            else:
                self.known += 1


def ingest(connection: sa.Connection, items: Iterable[Tried], reviews: Iterable[Tried]) -> AddReport:
    """Store new items and reviews, with one chunk in memory at a time."""
    return _report(*_ingest_both(connection, items, reviews))


def ingest_together(
    connection: sa.Connection, batches: Sequence[tuple[Sequence[Tried], Sequence[Tried]]]
) -> list[tuple[AddReport, list[Outcome]]]:
    """Store several batches with as many SQL statements as one; all items are stored before all reviews.

    Args:
        connection: An open write transaction.
        batches: Items and reviews.

    Returns:
        Per batch, the report that one ``ingest`` per batch would give, and the outcome of each review.
    """
    items, reviews = ([row for batch in batches for row in batch[kind]] for kind in (0, 1))
    of_items, of_reviews = list[Outcome](), list[Outcome]()
    _ingest_both(connection, items, reviews, (of_items, of_reviews))
    found, taken = [], iter(of_items)
    rest = iter(of_reviews)
    for some_items, some_reviews in batches:
        mine, own = _Tally(), list(islice(rest, len(some_reviews)))
        mine.take(islice(taken, len(some_items)))
        written = _Tally()
        written.take(own)
        found.append((_report(mine, written), own))
    return found


def _ingest_both(
    connection: sa.Connection,
    items: Iterable[Tried],
    reviews: Iterable[Tried],
    outcomes: tuple[list[Outcome] | None, list[Outcome] | None] = (None, None),
) -> tuple[_Tally, _Tally]:
    item_tally = _ingest(connection, tables.items, items, outcomes[0])
    review_tally = _ingest(connection, tables.reviews, reviews, outcomes[1])
    adjust_totals(
        connection,
        digest=item_tally.digest + review_tally.digest,
        items=item_tally.added,
        reviews=review_tally.added,
        dated=review_tally.dated,
    )
    return item_tally, review_tally


def _report(item_tally: _Tally, review_tally: _Tally) -> AddReport:
    return AddReport(
        items_added=item_tally.added,
        items_known=item_tally.known,
        reviews_added=review_tally.added,
        reviews_known=review_tally.known,
        refused_items=tuple(item_tally.refused),
        refused_reviews=tuple(review_tally.refused),
    )


def adjust_totals(connection: sa.Connection, *, digest: int, items: int = 0, reviews: int = 0, dated: int = 0) -> None:
    """Add to the totals in ``meta``; ``digest`` is a sum of row digests, negative for removed rows."""
    before = int(connection.execute(_DIGEST).scalar_one(), 16)
    now = f"{(before + digest) % 2**128:032x}"
    connection.execute(_ADJUST, {"now": now, "items": items, "reviews": reviews, "dated": dated})


def _ingest(
    connection: sa.Connection, table: sa.Table, values: Iterable[Tried], outcomes: list[Outcome] | None
) -> _Tally:
    """Store new rows; the outcome of each row is appended to ``outcomes``."""
    tally = _Tally()
    for chunk in _chunks(values):
        new, judged = _unknown(connection, table, [row for row in chunk if isinstance(row, dict)])
        in_turn = iter(judged)
        found = [next(in_turn) if isinstance(row, dict) else row for row in chunk]
        tally.take(found)
        if outcomes is not None:
            outcomes += found
        insert_rows(connection, table, new)
        if table is tables.items:
            take_categories(connection, new)
        tally.dated += sum(row.get("timestamp") is not None for row in new)
        tally.digest += sum(int.from_bytes(row["digest"]) for row in new)
    return tally


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _unknown(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> tuple[list[Row], list[Outcome]]:
    """The new rows, and the outcome of every row."""
    stored = _digests(connection, table, [row["id"] for row in rows])
    new, outcomes = list[Row](), list[Outcome]()
    for row in rows:
        if row["id"] not in stored:
            stored[row["id"]] = row["digest"]
            new.append(row)
            outcomes.append(True)
        elif stored[row["id"]] == row["digest"]:
            outcomes.append(False)
        else:
            outcomes.append((row["id"], f"another {table.name[:-1]} of this id is stored"))
    return new, outcomes


def _digests(connection: sa.Connection, table: sa.Table, ids: list[str]) -> dict[str, bytes]:
    query = _DIGESTS[table.name]
    return {row[0]: row[1] for some in key_chunks(ids) for row in connection.execute(query, some)}
