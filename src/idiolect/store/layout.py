"""The parts of a snapshot folder, written.

Rows stand history first, then by user and time, so that a user's profile is a slice. ``pool_*`` holds the rows of each
item's peers, oldest first, with their users and times beside them, so that a request reads one run, and how many
different users these are; ``own_*`` holds the same rows by user, so that a user's part of a sum is found without a look
at the item's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa

from idiolect.corpus.frame import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.store.files import create_array, write_table
from idiolect.store.keys import write_keys
from idiolect.store.sums import add_group_sums
from idiolect.store.vectors import EncoderRow, vector_batches

NEVER = np.iinfo(np.int64).max
"""Stands in ``pool_times`` for no timestamp: it is before no time cut."""


def write_items(folder: Path, records: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Write every item that has a record or a visible review; an item's code is its row.

    Args:
        folder: The new snapshot.
        records: The store's items (``ITEM_SCHEMA``).
        rows: The visible reviews.

    Returns:
        Columns item and item_code.
    """
    bare = rows.select(pl.col("item").unique(maintain_order=True)).join(records, on="item", how="anti")
    items = pl.concat([records.with_columns(known=True), bare.with_columns(known=False)], how="diagonal")
    write_table(folder / "items.arrow", items.select(*ITEM_SCHEMA, "known"))
    write_keys(folder / "items.keys.npy", items["item"].to_list())
    return items.select("item", item_code=pl.int_range(pl.len()))


def write_reviews(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """Write the visible reviews, the users, and where each user's history begins and ends.

    Returns:
        Columns user and user_code.
    """
    write_table(folder / "reviews.arrow", rows.select(*REVIEW_SCHEMA))
    write_keys(folder / "reviews.keys.npy", rows["review_id"].to_list())
    users = rows.group_by("user").agg(pl.col("history").sum()).sort("user")
    write_table(folder / "users.arrow", users.select("user"))
    write_keys(folder / "users.keys.npy", users["user"].to_list())
    np.save(folder / "profiles.npy", _offsets(users["history"]))
    return users.select("user", user_code=pl.int_range(pl.len(), dtype=pl.Int32))


def write_vectors(folder: Path, connection: sa.Connection, encoder: EncoderRow, rows: pl.DataFrame) -> np.ndarray:
    """Copy the rows' vectors out of the database, one pass over its table; returns them memory-mapped."""
    vectors = create_array(folder / "vectors.npy", (rows.height, encoder.dim), "<f2")
    by_seq = rows.select("seq", row=pl.int_range(pl.len())).sort("seq")
    seqs, places = by_seq["seq"].to_numpy(), by_seq["row"].to_numpy()
    for some, halves in vector_batches(connection, encoder):
        at = np.searchsorted(seqs, some).clip(max=max(len(seqs) - 1, 0))
        wanted = seqs[at] == some if len(seqs) else np.zeros(len(some), dtype=bool)
        vectors[places[at[wanted]]] = halves[wanted]
    return vectors


def write_pool(folder: Path, rows: pl.DataFrame, vectors: np.ndarray, items: pl.DataFrame, users: pl.DataFrame) -> None:
    """Write each item's peers and the sum of their vectors."""
    pool = (
        rows.select("peer", "item", "user", "timestamp", "order", "review_id", row=pl.int_range(pl.len()))
        .filter("peer")
        .join(items, on="item")
        .join(users, on="user")
        .sort("item_code", "timestamp", "order", "review_id")  # without a timestamp first, as ``Moment`` compares
    )
    codes, places = pool["item_code"].to_numpy(), pool["row"].to_numpy()
    np.save(folder / "pool_offsets.npy", _offsets(pl.Series(np.bincount(codes, minlength=items.height))))
    np.save(folder / "pool_rows.npy", places)
    np.save(folder / "pool_voices.npy", _voices(pool, items.height))
    np.save(folder / "pool_users.npy", pool["user_code"].to_numpy())
    np.save(folder / "pool_times.npy", pool["timestamp"].fill_null(NEVER).to_numpy())
    own = pool.sort("user_code")
    np.save(folder / "own_offsets.npy", _offsets(pl.Series(np.bincount(own["user_code"], minlength=users.height))))
    np.save(folder / "own_rows.npy", own["row"].to_numpy())
    np.save(folder / "own_items.npy", own["item_code"].to_numpy())
    sums = create_array(folder / "sums.npy", (items.height, vectors.shape[1]), "<f8")
    add_group_sums(sums, vectors, codes, rows=places)


def _voices(pool: pl.DataFrame, n_items: int) -> np.ndarray:
    """int64 (n_items,): how many different users wrote about each item."""
    voices = np.zeros(n_items, dtype=np.int64)
    counted = pool.group_by("item_code").agg(pl.col("user_code").n_unique())
    voices[counted["item_code"].to_numpy()] = counted["user_code"].to_numpy()
    return voices


def _offsets(lengths: pl.Series) -> np.ndarray:
    """int64 (n + 1,): where each of n runs of these lengths begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths.to_numpy())]).astype(np.int64)
