"""Store items and reviews in chunks and count new, known and refused rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from idiolect.store import schema as tables
from idiolect.store.base import AddReport
from idiolect.store.engine import ANY_OF, insert_rows, look_up
from idiolect.store.schema import Refusal, Row
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
    table.name: sa.select(table.c.id, table.c.digest, table.c.seq).where(table.c.id.in_(ANY_OF))
    for table in (tables.items, tables.reviews)
}

_LAST = {
    table.name: sa.select(sa.func.coalesce(sa.func.max(table.c.seq), 0)) for table in (tables.items, tables.reviews)
}
_COLUMNS = {"items": tables.ITEM_COLUMNS, "reviews": tables.REVIEW_COLUMNS}
_CATEGORY = tables.ITEM_COLUMNS.index("category")
_TIMESTAMP = tables.REVIEW_COLUMNS.index("timestamp")

T = TypeVar("T")
Tried = Row | Refusal
"""See ``schema.tried``."""

Outcome = bool | Refusal
"""What happened to a row: True if it was added, False if it was known, or why it was refused."""


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
            if isinstance(outcome, Refusal):
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
    tally, unknown = _Tally(), True
    for chunk in _chunks(values):
        rows = [row for row in chunk if type(row) is not Refusal]
        new, found = _store(connection, table, rows, unknown=unknown)
        unknown = len(new) == len(rows)  # files are mostly new or mostly known
        if len(rows) < len(chunk):
            in_turn = iter(found)
            found = [row if isinstance(row, Refusal) else next(in_turn) for row in chunk]
        if len(new) == len(chunk):
            tally.added += len(new)
        else:
            tally.take(found)
        if outcomes is not None:
            outcomes += found
        if table is tables.items:
            take_categories(connection, {row[0]: row[_CATEGORY] for row in new})
        else:
            tally.dated += sum(row[_TIMESTAMP] is not None for row in new)
        tally.digest += _digest_sum([row[-1] for row in new])
    return tally


def _store(
    connection: sa.Connection, table: sa.Table, rows: list[Row], *, unknown: bool
) -> tuple[list[Row], list[Outcome]]:
    """Store the new rows; return them and the outcome of every row.

    Args:
        connection: An open write transaction.
        table: The table.
        rows: Of a chunk.
        unknown: Whether the rows are expected to be new. They are then inserted first, and what is stored under their
            ids is looked up only if the database left some out.
    """
    columns = _COLUMNS[table.name]
    ids = [row[0] for row in rows]
    if not unknown or len(set(ids)) < len(ids):
        new, outcomes = _judged(table, rows, _digests(connection, table, ids))
        insert_rows(connection, table, columns, new)
        return new, outcomes
    last = connection.execute(_LAST[table.name]).scalar_one()
    if insert_rows(connection, table, columns, rows, unless_known=True) == len(rows):
        return rows, [True] * len(rows)
    return _judged(table, rows, _digests(connection, table, ids, until=last))


def _digest_sum(digests: Sequence[bytes]) -> int:
    """The sum of big-endian integers of 16 bytes."""
    words = np.frombuffer(b"".join(digests), dtype=">u4").reshape(-1, 4).sum(axis=0, dtype=np.uint64).tolist()
    return sum(word << 32 * place for word, place in zip(words, (3, 2, 1, 0), strict=True))


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _judged(table: sa.Table, rows: list[Row], stored: dict[str, bytes]) -> tuple[list[Row], list[Outcome]]:
    """The new rows and the outcome of every row, given the digests that were stored before under their ids."""
    new, outcomes = list[Row](), list[Outcome]()
    for row in rows:
        id, digest = row[0], row[-1]
        known = stored.get(id)
        if known is None:
            stored[id] = digest
            new.append(row)
            outcomes.append(True)
        elif known == digest:
            outcomes.append(False)
        else:
            outcomes.append(Refusal(id, f"another {table.name[:-1]} of this id is stored"))
    return new, outcomes


def _digests(connection: sa.Connection, table: sa.Table, ids: list[str], until: int | None = None) -> dict[str, bytes]:
    """The digests stored under ids; only rows that arrived up to ``until`` (None: all)."""
    found = look_up(connection, _DIGESTS[table.name], ids)
    return {id: digest for id, digest, seq in found if until is None or seq <= until}
