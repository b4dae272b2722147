"""The iterative k-core: until every item has enough users and every user enough reviews."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from idiolect.corpus.dedupe import identity, newest_unique
from idiolect.corpus.rules import SplitConfig


class Core(NamedTuple):
    """What the rounds left."""

    reviews: pl.DataFrame
    """In the order they came in; repeated items and texts are still there."""
    rounds: tuple[int, ...]
    """Reviews left after each round; the last round removed nothing."""


def k_core(reviews: pl.DataFrame, config: SplitConfig) -> Core:
    """The largest part of ``reviews`` in which items and users support each other.

    Both thresholds are applied at once in each round (the authors' order). An item is supported by the users of *all*
    its reviews, a user by those of their reviews that ``newest_unique`` keeps.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``, newest first.
        config: ``min_item_users``, ``min_user_reviews``, ``max_user_reviews``.
    """
    # A pair of user and item stays or goes as a whole, so its first review may speak for it in every round.
    rows = identity(reviews).with_columns(first=pl.col("pair").is_first_distinct())
    rounds: list[int] = []
    before = -1
    while rows.height != before:
        before = rows.height
        rows = _round(rows, config)
        rounds.append(rows.height)
    return Core(reviews[rows["place"]], tuple(rounds))


def _round(rows: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    most = config.max_user_reviews or rows.height
    items = rows.filter("first").group_by("item").len().filter(pl.col("len") >= config.min_item_users)
    users = newest_unique(rows).group_by("user").len()
    users = users.filter(pl.col("len").is_between(config.min_user_reviews, most))
    return rows.filter(pl.col("item").is_in(items["item"].implode()), pl.col("user").is_in(users["user"].implode()))
