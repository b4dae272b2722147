"""Sums over whole categories in the database: what stands in for an item's peers where there are too few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import PeerSums
from idiolect.store.sums import group_sums
from idiolect.types import UserId

_BATCH = 8192

_reviews, _vectors, _items, _sums = tables.reviews.c, tables.vectors.c, tables.items.c, tables.item_sums.c
_known = tables.reviews.join(tables.vectors, _vectors.review == _reviews.seq)
_summed_users = _reviews.user.not_in(sa.select(tables.not_peers.c.user))
_TOTALS = sa.select(_sums.sum, _sums.count).where(_sums.encoder == sa.bindparam("by"))
_ROWS = sa.select(_vectors.vector).select_from(_known).where(_vectors.encoder == sa.bindparam("by"), _summed_users)
_OWN = _ROWS.where(_reviews.user == sa.bindparam("of"))
_EARLIER = _ROWS.where(_reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"))
_ABOUT = sa.select(_items.id).where(_items.category == sa.bindparam("about"))


def read_crowd_sums(
    connection: sa.Connection,
    encoder: tuple[int, int],
    crowds: Sequence[str | None],
    exclude: UserId,
    before: int | None,
) -> PeerSums:
    """One row a crowd (see ``ReviewReader.crowd_sums``); each distinct one is read once.

    Without ``before`` it is the item sums, added up, minus the user's own vectors; else the rows of the reviews.
    """
    key, dim = encoder
    distinct = list(dict.fromkeys(crowds))
    found = [_crowd(connection, key, dim, crowd, exclude, before) for crowd in distinct]
    rows = [distinct.index(crowd) for crowd in crowds]
    sums = np.array([one.sums[0] for one in found]).reshape(len(found), dim)
    return PeerSums(sums[rows], np.array([one.counts[0] for one in found], dtype=np.int64)[rows])


def _crowd(
    connection: sa.Connection, key: int, dim: int, crowd: str | None, exclude: UserId, before: int | None
) -> PeerSums:
    given = {"by": key, "of": exclude, "before": before, "about": crowd}
    if before is not None:
        return _added_up(connection, _about(_EARLIER, _reviews.item, crowd), given, dim)
    own = _added_up(connection, _about(_OWN, _reviews.item, crowd), given, dim)
    sums, counts = np.zeros((1, dim)), np.zeros(1, dtype=np.int64)
    for part in _streamed(connection, _about(_TOTALS, _sums.item, crowd), given):
        sums += np.frombuffer(b"".join(blob for blob, _ in part), dtype="<f8").reshape(len(part), dim).sum(axis=0)
        counts += sum(count for _, count in part)
    return PeerSums(sums - own.sums, counts - own.counts)


def _about(query: sa.Select, item: sa.ColumnElement, crowd: str | None) -> sa.Select:
    return query if crowd is None else query.where(item.in_(_ABOUT))


def _added_up(connection: sa.Connection, query: sa.Select, given: Mapping[str, object], dim: int) -> PeerSums:
    sums, counts = np.zeros((1, dim)), np.zeros(1, dtype=np.int64)
    for part in _streamed(connection, query, given):
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), dim)
        found = group_sums(vectors, np.zeros(len(part), dtype=np.int64), 1)
        sums, counts = sums + found.sums, counts + found.counts
    return PeerSums(sums, counts)


def _streamed(connection: sa.Connection, query: sa.Select, given: Mapping[str, object]) -> Iterator[Sequence[sa.Row]]:
    return connection.execution_options(stream_results=True).execute(query, given).partitions(_BATCH)
