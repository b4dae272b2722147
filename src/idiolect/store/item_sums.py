"""Item sums in the database: ``P = S_item - (the user's own sum there)`` and its ``m`` (DEP, Eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from idiolect.errors import ConfigError
from idiolect.store import tables
from idiolect.store.base import PeerSums
from idiolect.store.bulk import ANY_OF, insert_rows, key_chunks
from idiolect.store.rows import Row
from idiolect.store.sums import group_codes, group_sums
from idiolect.types import ItemId, UserId

_ITEMS = 1000
"""Sums read and written at a time."""

_reviews, _vectors, _sums = tables.reviews.c, tables.vectors.c, tables.item_sums.c
_this = (_sums.item == sa.bindparam("of"), _sums.encoder == sa.bindparam("by"))
_CHANGE = sa.update(tables.item_sums).where(*_this).values(count=sa.bindparam("m"), sum=sa.bindparam("s"))
_DROP = sa.delete(tables.item_sums).where(*_this)

# Built once: SQLAlchemy takes longer to build and key a query than SQLite to answer it.
_SUMS = sa.select(_sums.item, _sums.count, _sums.sum).where(_sums.encoder == sa.bindparam("by"), _sums.item.in_(ANY_OF))
_ROWS = (
    sa.select(_reviews.item, _vectors.vector)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.item.in_(ANY_OF))
)
_summed_users = _reviews.user.not_in(sa.select(tables.not_peers.c.user))
_OWN = _ROWS.where(_reviews.user == sa.bindparam("of"), _summed_users)
_EARLIER = _ROWS.where(_reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"), _summed_users)


def change_sums(connection: sa.Connection, key: int, items: Sequence[str], vectors: np.ndarray, *, sign: int) -> None:
    """Add vectors to the sums of their items, or take them out; an item left without vectors has no row.

    Args:
        connection: An open write transaction.
        key: Of the encoder.
        items: The item of each vector.
        vectors: float16 (n, dim).
        sign: 1 adds, -1 takes out.
    """
    names, groups = group_codes(items)
    delta = group_sums(vectors, groups, len(names))
    for start in range(0, len(names), _ITEMS):
        part = slice(start, start + _ITEMS)
        stored = _stored(connection, key, names[part], vectors.shape[1])
        sums = stored.sums + sign * delta.sums[part]
        counts = stored.counts + sign * delta.counts[part]
        _write(connection, key, names[part], PeerSums(sums, counts), known=stored.counts > 0)


def read_peer_sums(
    connection: sa.Connection, encoder: tuple[int, int], items: Sequence[ItemId], exclude: UserId
) -> PeerSums:
    """The items' sums and counts without the user's own vectors; no peer is read."""
    key, dim = encoder
    names, groups = group_codes(items)
    total = _stored(connection, key, names, dim)
    own = _summed(connection, _OWN, names, dim, by=key, of=exclude)
    return PeerSums((total.sums - own.sums)[groups], (total.counts - own.counts)[groups])


def read_peer_sums_before(
    connection: sa.Connection, encoder: tuple[int, int], items: Sequence[ItemId], exclude: UserId, before: int
) -> PeerSums:
    """The same over the reviews with timestamp < ``before`` only, from the items' rows."""
    key, dim = encoder
    names, groups = group_codes(items)
    found = _summed(connection, _EARLIER, names, dim, by=key, of=exclude, before=before)
    return PeerSums(found.sums[groups], found.counts[groups])


def check_dated(dated: int | bool) -> None:
    """Refuse a time cut between users where order in a file is all the time order there is.

    Raises:
        ConfigError: No review has a timestamp.
    """
    if not dated:
        message = "a time cut between users needs timestamps, and this corpus has none"
        raise ConfigError(message, hint="leave `before` out")


def _stored(connection: sa.Connection, key: int, items: Sequence[str], dim: int) -> PeerSums:
    place = {item: k for k, item in enumerate(items)}
    found = PeerSums(np.zeros((len(items), dim)), np.zeros(len(items), dtype=np.int64))
    for some in key_chunks(items, by=key):
        for item, count, blob in connection.execute(_SUMS, some):
            found.sums[place[item]], found.counts[place[item]] = np.frombuffer(blob, "<f8"), count
    return found


def _summed(
    connection: sa.Connection, query: sa.Executable, items: Sequence[str], dim: int, **parameters: object
) -> PeerSums:
    place = {item: k for k, item in enumerate(items)}
    groups: list[int] = []
    blobs: list[bytes] = []
    for some in key_chunks(items, **parameters):
        for item, blob in connection.execute(query, some):
            groups.append(place[item])
            blobs.append(blob)
    vectors = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), dim)
    return group_sums(vectors, np.array(groups, dtype=np.int64), len(items))


def _write(connection: sa.Connection, key: int, items: Sequence[str], now: PeerSums, *, known: np.ndarray) -> None:
    added: list[Row] = []
    changed: list[Row] = []
    emptied: list[Row] = []
    for item, total, count, old in zip(items, now.sums, now.counts.tolist(), known, strict=True):
        if not count:
            emptied.append({"of": item, "by": key})
        elif old:
            changed.append({"of": item, "by": key, "m": count, "s": _blob(total)})
        else:
            added.append({"item": item, "encoder": key, "count": count, "sum": _blob(total)})
    insert_rows(connection, tables.item_sums, added)
    if changed:
        connection.execute(_CHANGE, changed)
    if emptied:
        connection.execute(_DROP, emptied)


def _blob(total: np.ndarray) -> bytes:
    return total.astype("<f8").tobytes()
