"""Items and reviews as polars tables, in the order they were read in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

import polars as pl

from idiolect.types import Item, Review

T = TypeVar("T")

REVIEW_SCHEMA = pl.Schema(
    {
        "review_id": pl.String(),
        "user": pl.String(),
        "item": pl.String(),
        "rating": pl.Float64(),
        "title": pl.String(),
        "text": pl.String(),
        "timestamp": pl.Int64(),
        "order": pl.Int64(),
    }
)
"""Columns of a table of reviews; ``rating`` and ``timestamp`` (seconds) may be null."""

ITEM_SCHEMA = pl.Schema(
    {"item": pl.String(), "title": pl.String(), "description": pl.String(), "category": pl.String()}
)
"""Columns of a table of items."""

_CHUNK_ROWS = 65_536


def review_frame(reviews: Iterable[Review]) -> pl.DataFrame:
    """``reviews`` as a table of ``REVIEW_SCHEMA``, row k for the k-th review."""
    return _frame(
        reviews, REVIEW_SCHEMA, attrgetter("id", "user", "item", "rating", "title", "text", "timestamp", "order")
    )


def item_frame(items: Iterable[Item]) -> pl.DataFrame:
    """``items`` as a table of ``ITEM_SCHEMA``, row k for the k-th item."""
    return _frame(items, ITEM_SCHEMA, attrgetter("id", "title", "description", "category"))


def _frame(values: Iterable[T], schema: pl.Schema, cells: Callable[[T], tuple[Any, ...]]) -> pl.DataFrame:
    """Built chunk by chunk, so that the values need not all be in memory as objects."""
    stream = iter(values)
    chunks = [schema.to_frame()]
    while chunk := list(islice(stream, _CHUNK_ROWS)):
        columns = zip(*map(cells, chunk), strict=True)
        chunks.append(pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema))
    return pl.concat(chunks, rechunk=True)
