"""The store's tables as polars frames, read whole or batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.store import schema as tables
from idiolect.store.engine import ANY_OF, key_chunks

_BATCH = 50_000

_item, _review = tables.items.c, tables.reviews.c


def item_batches(connection: sa.Connection) -> Iterator[pl.DataFrame]:
    """All items in table order (``ITEM_SCHEMA``), batch by batch."""
    query = sa.select(_item.id, _item.title, _item.description, _item.category).order_by(_item.seq)
    yield from _frames(connection, query, ITEM_SCHEMA)


def item_frame(connection: sa.Connection) -> pl.DataFrame:
    """All items in table order (``ITEM_SCHEMA``)."""
    return pl.concat([ITEM_SCHEMA.to_frame(), *item_batches(connection)])


def review_frame(connection: sa.Connection, *columns: str) -> pl.DataFrame:
    """All reviews in table order, with these columns of ``REVIEW_SCHEMA``; none named: with all of them."""
    names = columns or tuple(REVIEW_SCHEMA)
    schema = pl.Schema({name: REVIEW_SCHEMA[name] for name in names})
    return pl.concat([schema.to_frame(), *StoreScan(connection).batches(*names)])


def reviews_of(
    connection: sa.Connection, by: Literal["user", "item"], keys: Sequence[str], *columns: str
) -> pl.DataFrame:
    """The reviews by some users, or of some items, in table order; read by index, so that the others cost nothing.

    Args:
        connection: From ``SqlStore.reading``.
        by: What ``keys`` are.
        keys: Distinct ids.
        columns: Of ``REVIEW_SCHEMA``.
    """
    schema = pl.Schema({"seq": pl.Int64(), **{name: REVIEW_SCHEMA[name] for name in columns}})
    query = sa.select(*map(_column, schema)).where(_review[by].in_(ANY_OF))
    parts = [_frame(connection, query, schema, some) for some in key_chunks(keys)]
    return pl.concat([schema.to_frame(), *parts]).sort("seq").drop("seq")


def _column(name: str) -> sa.Column[Any]:
    return _review.id if name == "review_id" else _review[name]


class StoreScan:
    """A store's reviews, batch by batch, all of one commit (a ``data.scan.ReviewScan``).

    Args:
        connection: From ``SqlStore.reading``, open as long as the scan is used.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        meta = tables.meta.c
        self.height: int
        self.fingerprint: str
        self.height, self.fingerprint = connection.execute(sa.select(meta.n_reviews, meta.digest)).one()

    def batches(self, *columns: str) -> Iterator[pl.DataFrame]:
        """The reviews in table order, with these columns of ``REVIEW_SCHEMA`` or ``seq``, the internal key."""
        schema = pl.Schema({name: pl.Int64() if name == "seq" else REVIEW_SCHEMA[name] for name in columns})
        yield from _frames(self._connection, sa.select(*map(_column, columns)).order_by(_review.seq), schema)


def missing_frame(connection: sa.Connection, encoder: str, ids: Sequence[str] | None = None) -> pl.DataFrame:
    """Reviews (all, or those of ``ids``) without a vector of the encoder: seq, review_id, length (characters)."""
    vector, name = tables.vectors.c, tables.encoders.c
    key = sa.select(name.key).where(name.name == encoder).scalar_subquery()
    has = sa.exists().where(vector.review == _review.seq, vector.encoder == key)
    query = sa.select(_review.seq, _review.id, sa.func.length(_review.text)).where(~has)
    schema = pl.Schema({"seq": pl.Int64(), "review_id": pl.String(), "length": pl.Int64()})
    if ids is None:
        return _frame(connection, query.order_by(_review.seq), schema)
    some = query.where(_review.id.in_(ANY_OF))
    parts = [_frame(connection, some, schema, keys) for keys in key_chunks(ids)]
    return pl.concat([schema.to_frame(), *parts]).unique("seq").sort("seq")


def _frame(
    connection: sa.Connection, query: sa.Select, schema: pl.Schema, keys: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    return pl.concat([schema.to_frame(), *_frames(connection, query, schema, keys)])


def _frames(
    connection: sa.Connection, query: sa.Select, schema: pl.Schema, keys: Mapping[str, Any] | None = None
) -> Iterator[pl.DataFrame]:
    result = connection.execution_options(stream_results=True).execute(query, keys)
    for rows in result.partitions(_BATCH):
        columns = zip(schema.items(), zip(*rows, strict=True), strict=True)
        yield pl.DataFrame([pl.Series(name, values, dtype) for (name, dtype), values in columns])
