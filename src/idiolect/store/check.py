"""Consistency check of a store: everything that is updated incrementally is computed again and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from idiolect.store import schema as tables
from idiolect.store.base import PeerSums
from idiolect.store.engine import ANY_OF
from idiolect.store.metadata import flag_digest, is_vacuumed
from idiolect.store.schema import ITEM, REVIEW, Refused, has_digest, item_row, to_item, to_review
from idiolect.store.sums import add_group_sums, category_sums_of_items

_BATCH = 8192
_ITEMS = 500

_item, _review, _vector, _sum = tables.items.c, tables.reviews.c, tables.vectors.c, tables.item_sums.c
_encoder = tables.encoders.c
_peer = _review.user.not_in(sa.select(tables.opted_out.c.user))
_summed = (
    sa.select(_review.item, _vector.vector).join(tables.vectors, _vector.review == _review.seq).where(_peer)
).where(_vector.encoder == sa.bindparam("by"))

_STORED = sa.select(_sum.item, _sum.count, _sum.sum).where(_sum.encoder == sa.bindparam("by"), _sum.item.in_(ANY_OF))

_CATEGORY_SUMS = sa.select(tables.category_sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    detail: str
    """The result in one line."""


def check_store(connection: sa.Connection) -> list[Finding]:
    """Check a whole store; it reads every row once or twice, and keeps the names of the items in memory.

    Args:
        connection: All of whose reads see the same commit (``SqlStore.reading``).
    """
    looks: dict[str, Callable[[sa.Connection], str]] = {
        "database": _database,
        "rows": _rows,
        "orphans": _orphans,
        "vectors": _vectors,
        "sums": _sums,
        "categories": _category_sums,
        "erasures": _erasures,
    }
    results = []
    for name, look in looks.items():
        try:
            wrong = look(connection)
        except DBAPIError as error:
            wrong = f"cannot be read: {' '.join(str(error.orig).split())}"
        results.append(Finding(name=name, ok=not wrong, detail=wrong or _GOOD[name]))
    return results


_GOOD = {
    "database": "the database finds no damage",
    "rows": "totals and fingerprint are those of the rows",
    "orphans": "every vector has its review and its encoder",
    "vectors": "every vector has its encoder's length, and they are as many as its total says",
    "sums": "every item sum is exactly that of its vectors",
    "categories": "every category's sum is exactly that of its items",
    "erasures": "no erasure is unfinished",
}


def _database(connection: sa.Connection) -> str:
    """SQLite's own check of pages, indexes and keys; nothing for a database server."""
    if connection.dialect.name != "sqlite":
        return ""
    said = connection.exec_driver_sql("PRAGMA integrity_check(3)").scalars().all()
    return "" if said == ["ok"] else "; ".join(" ".join(line.split()) for line in said)


def _rows(connection: sa.Connection) -> str:
    """Compare contents with their digests, and all rows with the totals."""
    digest = sum(flag_digest(user) for user in connection.scalars(sa.select(tables.opted_out.c.user)))
    counts, wrong = [0, 0, 0], []
    for place, columns, stored, is_of in (
        (0, ITEM, _item.digest, lambda row: item_row(to_item(row))[-1] == row.digest),
        (1, REVIEW, _review.digest, lambda row: has_digest(to_review(row), row.digest)),
    ):
        for row in _stream(connection, sa.select(*columns, stored)):
            counts[place] += 1
            counts[2] += place == 1 and row.timestamp is not None
            digest += int.from_bytes(row.digest)
            if not _is_intact(is_of, row):
                wrong.append(row.id)
    if wrong:
        return f"{len(wrong)} rows do not match their digests, the first is {wrong[0]!r}"
    meta = connection.execute(sa.select(tables.meta)).one()
    kept = [meta.n_items, meta.n_reviews, meta.n_dated]
    if kept != counts:
        return f"items, reviews and dated reviews are {counts}, the totals say {kept}"
    return "" if meta.digest == f"{digest % 2**128:032x}" else "the fingerprint is not that of the rows"


def _is_intact(is_of: Callable[[sa.Row], bool], row: sa.Row) -> bool:
    try:
        return is_of(row)
    except Refused:
        return False


def _orphans(connection: sa.Connection) -> str:
    reviews, encoders = sa.select(_review.seq), sa.select(tables.encoders.c.key)
    for what, column, known in (
        ("vectors have no review", _vector.review, reviews),
        ("vectors have no encoder", _vector.encoder, encoders),
        ("item sums have no encoder", _sum.encoder, encoders),
    ):
        count = connection.execute(sa.select(sa.func.count()).where(column.not_in(known))).scalar_one()
        if count:
            return f"{count} {what}"
    return ""


def _vectors(connection: sa.Connection) -> str:
    for table, column, width in (
        (tables.vectors, _vector.vector, 2),
        (tables.item_sums, _sum.sum, 8),
        (tables.category_sums, tables.category_sums.c.sum, 8),
    ):
        fits = sa.func.length(column) == width * tables.encoders.c.dim
        query = sa.select(sa.func.count()).select_from(table.join(tables.encoders)).where(~fits)
        if count := connection.execute(query).scalar_one():
            return f"{count} {table.name.replace('_', ' ')} are not of their encoder's length"
    counted = sa.select(sa.func.count()).where(_vector.encoder == _encoder.key).scalar_subquery()
    wrong = connection.scalars(sa.select(_encoder.name).where(_encoder.n_vectors != counted)).all()
    return f"the number of vectors of {wrong[0]!r} is not what its total says" if wrong else ""


def _sums(connection: sa.Connection) -> str:
    if _vectors(connection):
        return "not compared: see vectors"
    for key, name, dim in connection.execute(sa.select(_encoder.key, _encoder.name, _encoder.dim)).all():
        wrong = [item for items in _items(connection, key) for item in _differing(connection, key, dim, items)]
        if wrong:
            return f"{len(wrong)} sums of {name!r} are not those of their vectors, the first is item {wrong[0]!r}"
    return ""


def _category_sums(connection: sa.Connection) -> str:
    if _vectors(connection):
        return "not compared: see vectors"
    anew = {key: (count, total.tobytes()) for key, (count, total) in category_sums_of_items(connection).items()}
    kept = {(name, key): (count, blob) for name, key, count, blob in connection.execute(_CATEGORY_SUMS)}
    wrong = sorted({category for category, _ in dict(anew.items() ^ kept.items())})
    return f"{len(wrong)} sums are not those of their items, the first is category {wrong[0]!r}" if wrong else ""


def _items(connection: sa.Connection, key: int) -> Iterator[list[str]]:
    """Every item that has a sum, or a vector that should be in one, some at a time."""
    stored = sa.select(_sum.item).where(_sum.encoder == key)
    summed = _summed.with_only_columns(_review.item).params(by=key)
    names = connection.scalars(sa.union(stored, summed)).all()
    yield from (list(names[start : start + _ITEMS]) for start in range(0, len(names), _ITEMS))


def _differing(connection: sa.Connection, key: int, dim: int, items: list[str]) -> list[str]:
    given, place = {"keys": items, "by": key}, {item: k for k, item in enumerate(items)}
    kept = PeerSums(np.zeros((len(items), dim)), np.zeros(len(items), dtype=np.int64))
    anew = PeerSums(np.zeros((len(items), dim)), np.zeros(len(items), dtype=np.int64))
    for item, count, blob in connection.execute(_STORED, given):
        kept.sums[place[item]], kept.counts[place[item]] = np.frombuffer(blob, "<f8"), count
    rows = connection.execution_options(stream_results=True).execute(_summed.where(_review.item.in_(ANY_OF)), given)
    for part in rows.partitions(_BATCH):
        groups = np.array([place[row.item] for row in part])
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), dim)
        add_group_sums(anew.sums, vectors, groups)
        anew.counts[:] += np.bincount(groups, minlength=len(items))
    differs = (kept.counts != anew.counts) | (kept.sums.view(np.int64) != anew.sums.view(np.int64)).any(axis=1)
    return [items[k] for k in np.flatnonzero(differs)]


def _erasures(connection: sa.Connection) -> str:
    return "" if is_vacuumed(connection) else "bytes of an erased user may be left in the file"


def _stream(connection: sa.Connection, query: sa.Select) -> Iterator[sa.Row]:
    for rows in connection.execution_options(stream_results=True).execute(query).partitions(_BATCH):
        yield from rows
