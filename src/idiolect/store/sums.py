"""Exact sums of vectors per item and per category: ``P = S_item - (the user's own sum)`` and its ``m`` (DEP, Eq. 4).

A float16 within [-1, 1] is a multiple of 2**-24, so a float64 holds every sum of up to 2**29 of them without rounding:
sums do not depend on order, and adding then subtracting a vector changes nothing. Category sums replace those of an
item's peers if these are too few; items without a category share the empty one. Sums of too few distinct users are
suppressed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from idiolect.errors import ConfigError, InputError
from idiolect.store import schema as tables
from idiolect.store.base import PeerSums
from idiolect.store.engine import ANY_OF, insert_rows, key_chunks, look_up
from idiolect.types import ItemId, UserId

_ROWS = 1024
"""Rows converted to float64 at a time: 3 MB at 384 dimensions, which stay in the cache until they are added."""


def group_sums(vectors: np.ndarray, groups: np.ndarray, n: int, *, rows: np.ndarray | None = None) -> PeerSums:
    """Sum and number of the vectors of every group.

    Args:
        vectors: float16 (m, dim); may be memory-mapped.
        groups: int (k,) within [0, n): the group of each summed row.
        n: Number of groups.
        rows: int (k,): the summed rows of ``vectors``; None: all in order.

    Returns:
        float64 (n, dim) and int64 (n,); a group without rows is zero.
    """
    sums = np.zeros((n, vectors.shape[1]), dtype=np.float64)
    add_group_sums(sums, vectors, groups, rows=rows)
    return PeerSums(sums, np.bincount(groups, minlength=n).astype(np.int64))


def add_group_sums(
    sums: np.ndarray, vectors: np.ndarray, groups: np.ndarray, *, rows: np.ndarray | None = None
) -> None:
    """Add the sums of ``group_sums`` to ``sums`` (float64 (n, dim), may be memory-mapped); for large n."""
    order = np.argsort(groups, kind="stable")
    ranked = groups[order]
    picked = order if rows is None else rows[order]
    for start in range(0, len(picked), _ROWS):
        part = ranked[start : start + _ROWS]
        firsts = np.flatnonzero(np.r_[True, part[1:] != part[:-1]])
        block = vectors[picked[start : start + _ROWS]].astype(np.float64)
        sums[part[firsts]] += np.add.reduceat(block, firsts, axis=0)


def suppress_small_groups(found: PeerSums, enough: np.ndarray) -> PeerSums:
    """``found`` with zeros in the rows that are not ``enough`` (bool (n,)), so that small groups are suppressed."""
    return PeerSums(np.where(enough[:, None], found.sums, 0.0), np.where(enough, found.counts, 0))


_ONE, _MINUS_ONE = 0x3C00, 0xBC00
"""The bits of 1.0 and -1.0 as float16; those of infinity and of what is no number are larger."""


def to_float16(vectors: np.ndarray, *, n: int) -> np.ndarray:
    """Vectors as stored (float16), after checks.

    Args:
        vectors: Any float (n, dim).
        n: Expected number.

    Raises:
        InputError: Another shape, or a component that is not a number within [-1, 1] (sums would not be exact).
    """
    if vectors.ndim != 2 or len(vectors) != n or not vectors.shape[1]:
        raise InputError(
            f"{n} reviews came with vectors of shape {vectors.shape}", hint="pass one row of numbers per review"
        )
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(vectors, dtype="<f2")
    # float16 of one sign are ordered as their bits are. As signed integers negative ones are below all others, as
    # unsigned ones above: two maxima check both signs, many times faster than numpy compares float16, without a copy.
    if halves.size and (halves.view("<i2").max() > _ONE or halves.view("<u2").max() > _MINUS_ONE):
        first = int(np.argmax((halves.view("<u2") & 0x7FFF).max(axis=1) > _ONE))
        raise InputError(
            f"vector {first} has a component that is not a number within [-1, 1]",
            hint="normalise the vectors to length 1",
        )
    return halves


def group_codes(names: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """The distinct names by first occurrence, and int64 (n,): the index of each name among them."""
    names = list(names)
    place = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return list(place), np.fromiter((place[name] for name in names), dtype=np.int64, count=len(names))


_reviews, _vectors, _items = tables.reviews.c, tables.vectors.c, tables.items.c

_summed = sa.exists().where(_vectors.review == _reviews.seq, _vectors.encoder == sa.bindparam("by"))
_enough = sa.bindparam("enough", type_=sa.Integer)
_OTHER_USERS = (
    sa.select(_reviews.user)
    .distinct()
    .where(_reviews.user != sa.bindparam("of"), _reviews.user.not_in(sa.select(tables.opted_out.c.user)), _summed)
    .limit(_enough)
)
_ON_ITEM = _OTHER_USERS.where(_reviews.item == sa.bindparam("on"))
_IN_CATEGORY = _OTHER_USERS.join_from(tables.reviews, tables.items, _items.id == _reviews.item).where(
    _items.category == sa.bindparam("about")
)
_IN_NONE = _OTHER_USERS.outerjoin_from(tables.reviews, tables.items, _items.id == _reviews.item).where(
    sa.func.coalesce(_items.category, "") == ""
)


def _everybody() -> sa.Select:
    """Users from the index one by one, each by its first review, so that users with many reviews cost no more."""
    user = sa.select(sa.func.min(_reviews.user).label("user")).cte("other_user", recursive=True)
    following = sa.select(sa.func.min(_reviews.user)).where(_reviews.user > user.c.user).scalar_subquery()
    user = user.union_all(sa.select(following).where(user.c.user.is_not(None)))
    embedded = sa.select(_reviews.seq).where(_reviews.user == user.c.user, _summed).exists()
    apart = user.c.user.in_(sa.select(tables.opted_out.c.user))
    return sa.select(user.c.user).where(user.c.user != sa.bindparam("of"), ~apart, embedded).limit(_enough)


_IN_CORPUS = _everybody()


def enough_on_items(
    connection: sa.Connection, key: int, items: list[str], counts: np.ndarray, *, exclude: UserId, at_least: int
) -> np.ndarray:
    """Bool (n,): whether ``at_least`` others' vectors are summed for each item.

    Args:
        connection: An open transaction.
        key: Key of the encoder.
        items: The items.
        counts: int (n,): the number of the others' reviews of each; if it is too small, no row is read.
        exclude: The user who is not counted.
        at_least: Minimum number of distinct users.
    """
    enough = counts >= at_least
    if at_least > 1:  # else one review is enough
        given = {"by": key, "of": exclude, "enough": at_least}
        for row in np.flatnonzero(enough).tolist():
            enough[row] = _are_enough(connection, _ON_ITEM, {**given, "on": items[row]}, at_least)
    return enough


def enough_users_in_group(
    connection: sa.Connection, key: int, group: str | None, count: int, *, exclude: UserId, at_least: int
) -> bool:
    """The same for all who wrote about items of a category; None: all who wrote."""
    if count < at_least or at_least <= 1:
        return count >= at_least
    query = _IN_CORPUS if group is None else _IN_CATEGORY if group else _IN_NONE
    return _are_enough(connection, query, {"by": key, "of": exclude, "enough": at_least, "about": group}, at_least)


def _are_enough(connection: sa.Connection, query: sa.Select, given: dict[str, object], at_least: int) -> bool:
    return len(connection.execute(query, given).all()) == at_least


_sums, _category_sums = tables.item_sums.c, tables.category_sums.c
_this = (_category_sums.category == sa.bindparam("of"), _category_sums.encoder == sa.bindparam("by"))
_SUMS = sa.select(_category_sums["count"].label("n"), _category_sums["sum"])
_STORED = _SUMS.where(*_this)
_ALL = _SUMS.where(_category_sums.encoder == sa.bindparam("by"))
_CHANGE = sa.update(tables.category_sums).where(*_this).values(count=sa.bindparam("m"), sum=sa.bindparam("s"))
_DROP = sa.delete(tables.category_sums).where(*_this)
_CATEGORIES = sa.select(_items.id, _items.category).where(_items.id.in_(ANY_OF))
_ITEM_SUMS = sa.select(_sums.item, _sums.encoder, _sums["count"].label("n"), _sums["sum"]).where(_sums.item.in_(ANY_OF))


def change_category_sums(connection: sa.Connection, key: int, items: Sequence[str], delta: PeerSums) -> None:
    """Add the changes of item sums to the sums of their categories.

    Args:
        connection: An open write transaction.
        key: Key of the encoder.
        items: Distinct items, with a record or without.
        delta: One row per item.
    """
    known = dict(look_up(connection, _CATEGORIES, items))
    names, groups = group_codes(known.get(item, "") for item in items)
    _change(connection, key, names, _grouped(delta, groups, len(names)))


def take_categories(connection: sa.Connection, categories: Mapping[str, str]) -> None:
    """Move the sums of items that got a record after their reviews to their categories.

    Args:
        connection: An open write transaction.
        categories: By item.
    """
    category = {item: name for item, name in categories.items() if name}
    for some in key_chunks(list(category)):
        found = connection.execute(_ITEM_SUMS, some).all()
        for key in {row.encoder for row in found}:
            rows = [row for row in found if row.encoder == key]
            sums = np.frombuffer(b"".join(row.sum for row in rows), dtype="<f8").reshape(len(rows), -1)
            moved = PeerSums(sums, np.array([row.n for row in rows], dtype=np.int64))
            names, groups = group_codes(category[row.item] for row in rows)
            everything = _grouped(moved, np.zeros(len(rows), dtype=np.int64), 1)
            _change(connection, key, [""], PeerSums(-everything.sums, -everything.counts))
            _change(connection, key, names, _grouped(moved, groups, len(names)))


def read_category_sums(connection: sa.Connection, key: int, dim: int, group: str | None) -> PeerSums:
    """The sum (1, dim) and number (1,) of a category's vectors; None: of all."""
    query, given = (_ALL, {"by": key}) if group is None else (_STORED, {"by": key, "of": group})
    rows = connection.execute(query, given).all()
    sums = np.frombuffer(b"".join(row.sum for row in rows), dtype="<f8").reshape(len(rows), dim)
    return PeerSums(sums.sum(axis=0, keepdims=True), np.array([sum(row.n for row in rows)], dtype=np.int64))


def category_sums_of_items(connection: sa.Connection) -> Mapping[tuple[str, int], tuple[int, np.ndarray]]:
    """The correct contents of the table, from the item sums: count and float64 (dim,) by category and encoder."""
    joined = tables.item_sums.outerjoin(tables.items, _items.id == _sums.item)
    category = sa.func.coalesce(_items.category, "")
    query = sa.select(category, _sums.encoder, _sums.count, _sums.sum).select_from(joined)
    found: dict[tuple[str, int], tuple[int, np.ndarray]] = {}
    for name, key, count, blob in connection.execution_options(stream_results=True).execute(query):
        before, total = found.get((name, key), (0, 0.0))
        found[name, key] = before + count, total + np.frombuffer(blob, "<f8")
    return found


def _grouped(delta: PeerSums, groups: np.ndarray, n: int) -> PeerSums:
    total = PeerSums(np.zeros((n, delta.sums.shape[1])), np.zeros(n, dtype=np.int64))
    np.add.at(total.sums, groups, delta.sums)
    np.add.at(total.counts, groups, delta.counts)
    return total


def _change(connection: sa.Connection, key: int, categories: Sequence[str], delta: PeerSums) -> None:
    for name, total, change in zip(categories, delta.sums, delta.counts.tolist(), strict=True):
        this = {"of": name, "by": key}
        stored = connection.execute(_STORED, this).first()
        count = change + (stored.n if stored else 0)
        now = {"m": count, "s": (total + (np.frombuffer(stored.sum, "<f8") if stored else 0.0)).tobytes()}
        if stored and not count:
            connection.execute(_DROP, this)
        elif stored:
            connection.execute(_CHANGE, {**this, **now})
        else:
            row = {"category": name, "encoder": key, "count": count, "sum": now["s"]}
            connection.execute(sa.insert(tables.category_sums), row)


_ITEMS = 1000
"""Sums read and written at a time."""

_this_item = (_sums.item == sa.bindparam("of"), _sums.encoder == sa.bindparam("by"))
_CHANGE_ITEM = sa.update(tables.item_sums).where(*_this_item).values(count=sa.bindparam("m"), sum=sa.bindparam("s"))
_DROP_ITEM = sa.delete(tables.item_sums).where(*_this_item)

# Built once, because SQLAlchemy takes longer to build a query than SQLite to answer it.
_STORED_ITEMS = sa.select(_sums.item, _sums.count, _sums.sum).where(
    _sums.encoder == sa.bindparam("by"), _sums.item.in_(ANY_OF)
)
_ITEM_ROWS = (
    sa.select(_reviews.item, _vectors.vector, _reviews.user)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.item.in_(ANY_OF))
)
_summed_users = _reviews.user.not_in(sa.select(tables.opted_out.c.user))
_OWN = _ITEM_ROWS.where(_reviews.user == sa.bindparam("of"), _summed_users)
_EARLIER = _ITEM_ROWS.where(
    _reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"), _summed_users
)


def change_sums(connection: sa.Connection, key: int, items: Sequence[str], vectors: np.ndarray, *, sign: int) -> None:
    """Add vectors to the sums of their items and categories, or subtract them; sums without vectors are deleted.

    Args:
        connection: An open write transaction.
        key: Key of the encoder.
        items: The item of each vector.
        vectors: float16 (n, dim).
        sign: 1 adds, -1 subtracts.
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
    own = _sums_per_item(_rows(connection, _OWN, names, by=key, of=exclude), names, dim)
    found = PeerSums(total.sums - own.sums, total.counts - own.counts)
    enough = enough_on_items(connection, key, names, found.counts, exclude=exclude, at_least=at_least)
    found = suppress_small_groups(found, enough)
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
    user_counts = Counter(item for item, _ in {(row.item, row.user) for row in rows})
    enough = np.array([user_counts[name] >= at_least for name in names], dtype=bool)
    found = suppress_small_groups(_sums_per_item(rows, names, dim), enough)
    return PeerSums(found.sums[groups], found.counts[groups])


def check_dated(dated: int | bool) -> None:
    """Check that a time cut between users is possible.

    Raises:
        ConfigError: No review has a timestamp.
    """
    if not dated:
        message = "a time cut between users needs timestamps, and the reviews have none"
        raise ConfigError(message, hint="leave `before` out")


def _stored(connection: sa.Connection, key: int, items: Sequence[str], dim: int) -> PeerSums:
    place = {item: k for k, item in enumerate(items)}
    found = PeerSums(np.zeros((len(items), dim)), np.zeros(len(items), dtype=np.int64))
    for item, count, blob in look_up(connection, _STORED_ITEMS, items, by=key):
        found.sums[place[item]], found.counts[place[item]] = np.frombuffer(blob, "<f8"), count
    return found


def _rows(
    connection: sa.Connection, query: sa.Executable, items: Sequence[str], **parameters: object
) -> list[sa.Row[Any]]:
    return [row for some in key_chunks(items, **parameters) for row in connection.execute(query, some)]


def _sums_per_item(rows: Sequence[sa.Row[Any]], items: Sequence[str], dim: int) -> PeerSums:
    place = {item: k for k, item in enumerate(items)}
    groups = np.array([place[row.item] for row in rows], dtype=np.int64)
    vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f2").reshape(len(rows), dim)
    return group_sums(vectors, groups, len(items))


def _write(connection: sa.Connection, key: int, items: Sequence[str], now: PeerSums, *, known: np.ndarray) -> None:
    added: list[tuple[object, ...]] = []
    changed: list[dict[str, object]] = []
    emptied: list[dict[str, object]] = []
    sums = blobs(now.sums)
    for item, total, count, old in zip(items, sums, now.counts.tolist(), known.tolist(), strict=True):
        if not count:
            emptied.append({"of": item, "by": key})
        elif old:
            changed.append({"of": item, "by": key, "m": count, "s": total})
        else:
            added.append((item, key, count, total))
    insert_rows(connection, tables.item_sums, ("item", "encoder", "count", "sum"), added)
    if changed:
        connection.execute(_CHANGE_ITEM, changed)
    if emptied:
        connection.execute(_DROP_ITEM, emptied)


def blobs(rows: np.ndarray) -> list[bytes]:
    """The bytes of every row of numbers (n, dim), which are little-endian."""
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    return rows.view(f"V{rows.dtype.itemsize * rows.shape[1]}").ravel().tolist()


_BATCH = 8192
# An outer join, because an item may lack a record, and so that the database begins with the user's few reviews.
_known = tables.reviews.join(tables.vectors, _vectors.review == _reviews.seq).outerjoin(
    tables.items, _items.id == _reviews.item
)
_GROUP_ROWS = (
    sa.select(_vectors.vector, _reviews.user)
    .select_from(_known)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.user.not_in(sa.select(tables.opted_out.c.user)))
)
_GROUP_OWN = _GROUP_ROWS.where(_reviews.user == sa.bindparam("of"))
_GROUP_EARLIER = _GROUP_ROWS.where(_reviews.user != sa.bindparam("of"), _reviews.timestamp < sa.bindparam("before"))
_about = sa.func.coalesce(_items.category, "") == sa.bindparam("about")


def read_peer_group_sums(
    connection: sa.Connection,
    encoder: tuple[int, int],
    groups: Sequence[str | None],
    exclude: UserId,
    before: int | None,
    at_least: int,
) -> PeerSums:
    """One row per group (see ``ReviewReader.peer_group_sums``); each distinct group is read once.

    Without ``before`` it is a category's sum minus the user's own vectors; else the rows of the reviews.
    """
    key, dim = encoder
    distinct = list(dict.fromkeys(groups))
    given = {"by": key, "of": exclude, "before": before}
    if before is None:
        found = [_group(connection, group, given, dim, at_least) for group in distinct]
    else:
        found = [_earlier_group(connection, group, given, dim, at_least) for group in distinct]
    rows = [distinct.index(group) for group in groups]
    sums = np.array([one.sums[0] for one in found]).reshape(len(found), dim)
    return PeerSums(sums[rows], np.array([one.counts[0] for one in found], dtype=np.int64)[rows])


def _group(connection: sa.Connection, group: str | None, given: Mapping[str, Any], dim: int, at_least: int) -> PeerSums:
    total = read_category_sums(connection, given["by"], dim, group)
    own, _ = _added_up(connection, _GROUP_OWN, group, given, dim)
    found = PeerSums(total.sums - own.sums, total.counts - own.counts)
    enough = enough_users_in_group(
        connection, given["by"], group, int(found.counts[0]), exclude=given["of"], at_least=at_least
    )
    return suppress_small_groups(found, np.array([enough]))


def _earlier_group(
    connection: sa.Connection, group: str | None, given: Mapping[str, Any], dim: int, at_least: int
) -> PeerSums:
    found, users = _added_up(connection, _GROUP_EARLIER, group, given, dim)
    return suppress_small_groups(found, np.array([len(users) >= at_least]))


def _added_up(
    connection: sa.Connection, query: sa.Select, group: str | None, given: Mapping[str, Any], dim: int
) -> tuple[PeerSums, set[str]]:
    """The sum and number of a query's vectors, and the users of their reviews."""
    sums, counts, users = np.zeros((1, dim)), np.zeros(1, dtype=np.int64), set[str]()
    query = query if group is None else query.where(_about)
    for part in _streamed(connection, query, {**given, "about": group}):
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), dim)
        found = group_sums(vectors, np.zeros(len(part), dtype=np.int64), 1)
        sums, counts = sums + found.sums, counts + found.counts
        users.update(row.user for row in part)
    return PeerSums(sums, counts), users


def _streamed(connection: sa.Connection, query: sa.Select, given: Mapping[str, object]) -> Iterator[Sequence[sa.Row]]:
    return connection.execution_options(stream_results=True).execute(query, given).partitions(_BATCH)
