"""A sum for every category, so that a crowd of any size is one row; items without a category share the empty one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import PeerSums
from idiolect.store.bulk import ANY_OF, key_chunks
from idiolect.store.rows import Row
from idiolect.store.sums import group_codes

_items, _sums, _category_sums = tables.items.c, tables.item_sums.c, tables.category_sums.c
_this = (_category_sums.category == sa.bindparam("of"), _category_sums.encoder == sa.bindparam("by"))
_SUMS = sa.select(_category_sums["count"].label("n"), _category_sums["sum"])
_STORED = _SUMS.where(*_this)
_ALL = _SUMS.where(_category_sums.encoder == sa.bindparam("by"))
_CHANGE = sa.update(tables.category_sums).where(*_this).values(count=sa.bindparam("m"), sum=sa.bindparam("s"))
_DROP = sa.delete(tables.category_sums).where(*_this)
_CATEGORIES = sa.select(_items.id, _items.category).where(_items.id.in_(ANY_OF))
_ITEM_SUMS = sa.select(_sums.item, _sums.encoder, _sums["count"].label("n"), _sums["sum"]).where(_sums.item.in_(ANY_OF))


def change_category_sums(connection: sa.Connection, key: int, items: Sequence[str], delta: PeerSums) -> None:
    """Add to the sums of the items' categories what was added to the items'.

    Args:
        connection: An open write transaction.
        key: Of the encoder.
        items: Distinct items, with a record or without.
        delta: One row an item.
    """
    known = {row.id: row.category for some in key_chunks(items) for row in connection.execute(_CATEGORIES, some)}
    names, groups = group_codes(known.get(item, "") for item in items)
    _change(connection, key, names, _grouped(delta, groups, len(names)))


def take_categories(connection: sa.Connection, items: Sequence[Row]) -> None:
    """Move the sums of new items that were written about before they had a record to their categories.

    Args:
        connection: An open write transaction.
        items: Their rows.
    """
    category = {row["id"]: row["category"] for row in items if row["category"]}
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


def read_category_sums(connection: sa.Connection, key: int, dim: int, crowd: str | None) -> PeerSums:
    """The sum (1, dim) and number (1,) of a category's vectors; None: of all."""
    query, given = (_ALL, {"by": key}) if crowd is None else (_STORED, {"by": key, "of": crowd})
    rows = connection.execute(query, given).all()
    sums = np.frombuffer(b"".join(row.sum for row in rows), dtype="<f8").reshape(len(rows), dim)
    return PeerSums(sums.sum(axis=0, keepdims=True), np.array([sum(row.n for row in rows)], dtype=np.int64))


def category_sums_of_items(connection: sa.Connection) -> Mapping[tuple[str, int], tuple[int, np.ndarray]]:
    """What the table should hold, computed from the item sums: count and float64 (dim,) by category and encoder."""
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
