"""Store items and reviews in chunks and count new, known and refused rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

T = TypeVar("T")
Tried = Row | tuple[Any, str]
"""A row, or the id of a refused row and the reason (see ``schema.tried``)."""


@dataclass(slots=True)
class _Tally:
    added: int = 0
    known: int = 0
    dated: int = 0
    digest: int = 0
    refused: list[tuple[Any, str]] = field(default_factory=list)


def ingest(connection: sa.Connection, items: Iterable[Tried], reviews: Iterable[Tried]) -> AddReport:
    """Store new items and reviews, with one chunk in memory at a time."""
    item_tally = _ingest(connection, tables.items, items)
    review_tally = _ingest(connection, tables.reviews, reviews)
    adjust_totals(
        connection,
        digest=item_tally.digest + review_tally.digest,
        items=item_tally.added,
        reviews=review_tally.added,
        dated=review_tally.dated,
    )
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
    before = int(connection.execute(sa.select(_meta.digest)).scalar_one(), 16)
    connection.execute(
        sa.update(tables.meta).values(
            digest=f"{(before + digest) % 2**128:032x}",
            n_items=_meta.n_items + items,
            n_reviews=_meta.n_reviews + reviews,
            n_dated=_meta.n_dated + dated,
        )
    )


def _ingest(connection: sa.Connection, table: sa.Table, values: Iterable[Tried]) -> _Tally:
    tally = _Tally()
    for chunk in _chunks(values):
        rows = [row for row in chunk if isinstance(row, dict)]
        tally.refused += [refused for refused in chunk if isinstance(refused, tuple)]
        new = _unknown(connection, table, rows, tally)
        insert_rows(connection, table, new)
        if table is tables.items:
            take_categories(connection, new)
        tally.added += len(new)
        tally.dated += sum(row.get("timestamp") is not None for row in new)
        tally.digest += sum(int.from_bytes(row["digest"]) for row in new)
    return tally


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _unknown(connection: sa.Connection, table: sa.Table, rows: list[Row], tally: _Tally) -> list[Row]:
    stored = _digests(connection, table, [row["id"] for row in rows])
    new = []
    for row in rows:
        if row["id"] not in stored:
            stored[row["id"]] = row["digest"]
            new.append(row)
        elif stored[row["id"]] == row["digest"]:
            tally.known += 1
        else:
            tally.refused.append((row["id"], f"another {table.name[:-1]} of this id is stored"))
    return new


def _digests(connection: sa.Connection, table: sa.Table, ids: list[str]) -> dict[str, bytes]:
    query = sa.select(table.c.id, table.c.digest).where(table.c.id.in_(ANY_OF))
    return {row[0]: row[1] for some in key_chunks(ids) for row in connection.execute(query, some)}
