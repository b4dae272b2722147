"""Sums over whole categories in the database: what stands in for an item's peers where there are too few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import PeerSums
from idiolect.store.category_sums import read_category_sums
from idiolect.store.sums import group_sums, withhold
from idiolect.store.voices import enough_in_crowd
from idiolect.types import UserId

_BATCH = 8192

_reviews, _vectors, _items = tables.reviews.c, tables.vectors.c, tables.items.c
# An outer join, so that an item may lack a record, and so that a database begins with the user's few reviews.
_known = tables.reviews.join(tables.vectors, _vectors.review == _reviews.seq).outerjoin(
    tables.items, _items.id == _reviews.item
)
_ROWS = (
    sa.select(_vectors.vector, _reviews.user)
    .select_from(_known)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.user.not_in(sa.select(tables.not_peers.c.user)))
)
_OWN = _ROWS.where(_reviews.user == sa.bindparam("of"))
_EARLIER = _ROWS.where(_reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"))
_about = sa.func.coalesce(_items.category, "") == sa.bindparam("about")


def read_crowd_sums(
    connection: sa.Connection,
    encoder: tuple[int, int],
    crowds: Sequence[str | None],
    exclude: UserId,
    before: int | None,
    at_least: int,
) -> PeerSums:
    """One row a crowd (see ``ReviewReader.crowd_sums``); each distinct one is read once.

    Without ``before`` it is a category's sum minus the user's own vectors; else the rows of the reviews.
    """
    key, dim = encoder
    distinct = list(dict.fromkeys(crowds))
    given = {"by": key, "of": exclude, "before": before}
    if before is None:
        found = [_crowd(connection, crowd, given, dim, at_least) for crowd in distinct]
    else:
        found = [_earlier_crowd(connection, crowd, given, dim, at_least) for crowd in distinct]
    rows = [distinct.index(crowd) for crowd in crowds]
    sums = np.array([one.sums[0] for one in found]).reshape(len(found), dim)
    return PeerSums(sums[rows], np.array([one.counts[0] for one in found], dtype=np.int64)[rows])


def _crowd(connection: sa.Connection, crowd: str | None, given: Mapping[str, Any], dim: int, at_least: int) -> PeerSums:
    total = read_category_sums(connection, given["by"], dim, crowd)
    own, _ = _added_up(connection, _OWN, crowd, given, dim)
    found = PeerSums(total.sums - own.sums, total.counts - own.counts)
    enough = enough_in_crowd(
        connection, given["by"], crowd, int(found.counts[0]), exclude=given["of"], at_least=at_least
    )
    return withhold(found, np.array([enough]))


def _earlier_crowd(
    connection: sa.Connection, crowd: str | None, given: Mapping[str, Any], dim: int, at_least: int
) -> PeerSums:
    found, users = _added_up(connection, _EARLIER, crowd, given, dim)
    return withhold(found, np.array([len(users) >= at_least]))


def _added_up(
    connection: sa.Connection, query: sa.Select, crowd: str | None, given: Mapping[str, Any], dim: int
) -> tuple[PeerSums, set[str]]:
    """The sum and number of a query's vectors, and who wrote what they are of."""
    sums, counts, users = np.zeros((1, dim)), np.zeros(1, dtype=np.int64), set[str]()
    query = query if crowd is None else query.where(_about)
    for part in _streamed(connection, query, {**given, "about": crowd}):
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), dim)
        found = group_sums(vectors, np.zeros(len(part), dtype=np.int64), 1)
        sums, counts = sums + found.sums, counts + found.counts
        users.update(row.user for row in part)
    return PeerSums(sums, counts), users


def _streamed(connection: sa.Connection, query: sa.Select, given: Mapping[str, object]) -> Iterator[Sequence[sa.Row]]:
    return connection.execution_options(stream_results=True).execute(query, given).partitions(_BATCH)
