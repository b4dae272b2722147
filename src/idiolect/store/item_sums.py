"""Item sums in the database: ``P = S_item - (the user's own sum there)`` and its ``m`` (DEP, Eq. 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from idiolect.errors import ConfigError
from idiolect.store import tables
from idiolect.store.base import PeerSums
from idiolect.store.bulk import ANY_OF, insert_rows, key_chunks
from idiolect.store.category_sums import change_category_sums
from idiolect.store.rows import Row
from idiolect.store.sums import group_codes, group_sums, withhold
from idiolect.store.voices import enough_on_items
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
    sa.select(_reviews.item, _vectors.vector, _reviews.user)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.item.in_(ANY_OF))
)
_summed_users = _reviews.user.not_in(sa.select(tables.not_peers.c.user))
_OWN = _ROWS.where(_reviews.user == sa.bindparam("of"), _summed_users)
_EARLIER = _ROWS.where(_reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"), _summed_users)


def change_sums(connection: sa.Connection, key: int, items: Sequence[str], vectors: np.ndarray, *, sign: int) -> None:
    """Add vectors to the sums of their items and categories, or take them out; what is left without vectors has no row.

    Args:
        connection: An open write transaction.
        key: Of the encoder.
        items: The item of each vector.
        vectors: float16 (n, dim).
        sign: 1 adds, -1 takes out.
    """
    names, groups = group_codes(items)
    found = group_sums(vectors, groups, len(names))
    delta = PeerSums(sign * found.sums, sign * found.counts)
    change_category_sums(connection, key, names, delta)
    for start in range(0, len(names), _ITEMS):
        part = slice(start, start + _ITEMS)
        stored = _stored(connection, key, names[part], vectors.shape[1])
        sums, counts = stored.sums + delta.sums[part], stored.counts + delta.counts[part]
        _write(connection, key, names[part], PeerSums(sums, counts), known=stored.counts > 0)


def read_peer_sums(
    connection: sa.Connection, encoder: tuple[int, int], items: Sequence[ItemId], exclude: UserId, at_least: int
) -> PeerSums:
    """The items' sums and counts without the user's own vectors; no peer's text or vector is read."""
    key, dim = encoder
    names, groups = group_codes(items)
    total = _stored(connection, key, names, dim)
    own = _summed(_rows(connection, _OWN, names, by=key, of=exclude), names, dim)
    found = PeerSums(total.sums - own.sums, total.counts - own.counts)
    enough = enough_on_items(connection, key, names, found.counts, exclude=exclude, at_least=at_least)
    found = withhold(found, enough)
    return PeerSums(found.sums[groups], found.counts[groups])


def read_peer_sums_before(
    connection: sa.Connection,
    encoder: tuple[int, int],
    items: Sequence[ItemId],
    exclude: UserId,
    before: int,
    at_least: int,
) -> PeerSums:
    """The same over the reviews with timestamp < ``before`` only, from the items' rows."""
    key, dim = encoder
    names, groups = group_codes(items)
    rows = _rows(connection, _EARLIER, names, by=key, of=exclude, before=before)
    voices = Counter(item for item, _ in {(row.item, row.user) for row in rows})
    enough = np.array([voices[name] >= at_least for name in names], dtype=bool)
    found = withhold(_summed(rows, names, dim), enough)
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


def _rows(
    connection: sa.Connection, query: sa.Executable, items: Sequence[str], **parameters: object
) -> list[sa.Row[Any]]:
    return [row for some in key_chunks(items, **parameters) for row in connection.execute(query, some)]


def _summed(rows: Sequence[sa.Row[Any]], items: Sequence[str], dim: int) -> PeerSums:
    place = {item: k for k, item in enumerate(items)}
    groups = np.array([place[row.item] for row in rows], dtype=np.int64)
    vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f2").reshape(len(rows), dim)
    return group_sums(vectors, groups, len(items))


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
