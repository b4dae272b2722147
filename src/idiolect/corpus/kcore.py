"""The iterative k-core: until every item has enough users and every user enough reviews."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from idiolect.corpus.dedupe import newest_unique
from idiolect.corpus.rules import SplitConfig


class Core(NamedTuple):
    """What the rounds left."""

    rows: pl.DataFrame
    """In the order they came in; repeated items and texts are still there."""
    rounds: tuple[int, ...]
    """Rows left after each round; the last round removed nothing."""


def k_core(rows: pl.DataFrame, config: SplitConfig) -> Core:
    """The largest part of ``rows`` in which items and users support each other.

    Both thresholds are applied at once in each round (the authors' order). An item is supported by the users of *all*
    its reviews, a user by those of their reviews that ``newest_unique`` keeps.

    Args:
        rows: Table of ``with_texts``, newest first.
        config: ``min_item_users``, ``min_user_reviews``, ``max_user_reviews``.
    """
    # A pair of user and item stays or goes as a whole, so its first review may speak for it in every round.
    left = rows.with_columns(first=pl.col("pair").is_first_distinct())
    rounds: list[int] = []
    before = -1
    while left.height != before:
        before = left.height
        left = _round(left, config)
        rounds.append(left.height)
    return Core(left.drop("first"), tuple(rounds))


def _round(rows: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    fans = _support(rows["item"], rows.filter("first")["item"])
    own = _support(rows["user"], newest_unique(rows.select("user", "pair", "saying", "rival"))["user"])
    most = config.max_user_reviews or rows.height
    return rows.filter((fans >= config.min_item_users) & (own >= config.min_user_reviews) & (own <= most))


def _support(codes: pl.Series, supporters: pl.Series) -> np.ndarray:
    """int64 (n,): how often each of ``codes`` stands among ``supporters``, where each stands at least once."""
    return np.bincount(supporters.to_numpy())[codes.to_numpy()]
