"""Whole tables as polars frames, in table order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa

from idiolect.corpus.frame import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.store import tables
from idiolect.store.bulk import ANY_OF, key_chunks

_BATCH = 50_000

_item, _review = tables.items.c, tables.reviews.c


def item_frame(connection: sa.Connection) -> pl.DataFrame:
    """All items (``ITEM_SCHEMA``)."""
    query = sa.select(_item.id, _item.title, _item.description, _item.category).order_by(_item.seq)
    return _frame(connection, query, ITEM_SCHEMA)


def review_frame(connection: sa.Connection, *, with_seq: bool = False) -> pl.DataFrame:
    """All reviews (``REVIEW_SCHEMA``); ``with_seq`` puts the database's own key before."""
    columns = (_review.id, *(_review[name] for name in list(REVIEW_SCHEMA)[1:]))
    query = sa.select(*([_review.seq] if with_seq else []), *columns).order_by(_review.seq)
    return _frame(connection, query, pl.Schema({"seq": pl.Int64(), **REVIEW_SCHEMA}) if with_seq else REVIEW_SCHEMA)


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
    parts = [schema.to_frame()]
    result = connection.execution_options(stream_results=True).execute(query, keys)
    for rows in result.partitions(_BATCH):
        columns = zip(schema.items(), zip(*rows, strict=True), strict=True)
        parts.append(pl.DataFrame([pl.Series(name, values, dtype) for (name, dtype), values in columns]))
    return pl.concat(parts)
