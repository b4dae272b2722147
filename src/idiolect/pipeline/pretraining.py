"""Which reviews a backbone is pretrained on: found in buckets of users, so that only these are ever in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from idiolect.data.buckets import Buckets, Scatter
from idiolect.data.scan import BUCKET_ROWS, collapse_whitespace
from idiolect.data.split import Split
from idiolect.store.frames import StoreScan
from idiolect.store.sql import SqlStore
from idiolect.types import Review

_ROWS = pl.Schema(
    {
        "place": pl.Int64(),
        "review_id": pl.String(),
        "user": pl.String(),
        "item": pl.String(),
        "said": pl.UInt64(),
    }
)
"""``said`` is a hash of the text: two of one user's texts have the same by chance once in 2**64 pairs."""
_TARGETS = pl.Schema({"review_id": pl.String(), "user": pl.String()})
_MOST_BUCKETS = 500
_USER_SHARE, _USER_REVIEWS = 20, 200
"""Of a limit, a user gets at most one in so many, or so many reviews: else the most active user could be all of it."""


def pretraining_reviews(
    store: SqlStore, split: Split | None, limit: int | None, seed: int, *, work: Path
) -> list[Review]:
    """All reviews but a split's targets, and but what their users wrote again, or about the same item.

    The split drops such repeats, so that they have no role; read here, they would give the targets away.

    Args:
        store: The reviews.
        split: Of that store; None: there are no targets.
        limit: About how many reviews: those of users drawn at random until there are so many, of each at most a
            twentieth of the limit, or 200; None: all of all users.
        seed: Of the draw.
        work: An empty folder, for tables of more than a million reviews.

    Returns:
        In the order of the store.
    """
    n = max(1, min(_MOST_BUCKETS, -(-store.counts().reviews // BUCKET_ROWS)))
    folder = work if n > 1 else None
    rows, targets = _rows(store, n, folder), _targets(split, n, folder)
    kept, counts = Buckets(folder, "kept"), [pl.DataFrame(schema={"user": pl.String(), "len": pl.UInt32()})]
    for bucket in range(n):
        some = _without(rows[bucket], targets[bucket])
        rows.drop(bucket)
        targets.drop(bucket)
        if limit is not None:
            some = some.group_by("user", maintain_order=True).head(max(_USER_REVIEWS, limit // _USER_SHARE))
        counts.append(some.group_by("user").len())
        kept[bucket] = some
    users = _drawn(pl.concat(counts), limit, seed)
    chosen = [kept[bucket].join(users, on="user", how="semi").select("place", "review_id") for bucket in range(n)]
    return store.reviews(pl.concat(chosen).sort("place")["review_id"].to_list())


def _rows(store: SqlStore, n: int, folder: Path | None) -> Scatter:
    found, place = Scatter(n, folder, "rows", _ROWS), 0
    with store.reading() as connection:
        for batch in StoreScan(connection).batches("review_id", "user", "item", "text"):
            rows = batch.with_row_index("place", place).with_columns(
                place=pl.col("place").cast(pl.Int64), said=collapse_whitespace(batch["text"]).hash()
            )
            found.add(rows, _bucket(batch, n))
            place += batch.height
    found.finish()
    return found


def _targets(split: Split | None, n: int, folder: Path | None) -> Scatter:
    found = Scatter(n, folder, "targets", _TARGETS)
    for batch in split.batches() if split else ():
        targets = batch.filter(pl.col("role") != "profile")
        found.add(targets, _bucket(targets, n))
    found.finish()
    return found


def _bucket(rows: pl.DataFrame, n: int) -> np.ndarray:
    return (rows["user"].hash() % n).to_numpy().astype(np.int64)


def _without(rows: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """``place``, ``review_id`` and ``user`` of the rows that are no targets and repeat none."""
    hidden = rows.join(targets, on="review_id", how="semi")
    for key in (["review_id"], ["user", "item"], ["user", "said"]):
        rows = rows.join(hidden, on=key, how="anti")
    return rows.select("place", "review_id", "user")


def _drawn(counts: pl.DataFrame, limit: int | None, seed: int) -> pl.DataFrame:
    """The users whose reviews are read; all of them if they have at most ``limit`` reviews."""
    counts = counts.sort("user")
    if limit is None or int(counts["len"].sum()) <= limit:
        return counts.select("user")
    order = np.random.default_rng([seed, 4]).permutation(counts.height)
    totals = np.cumsum(counts["len"].to_numpy()[order].astype(np.int64))
    return counts[order[: int(np.searchsorted(totals, limit)) + 1]].select("user")
