"""Time order of a table of reviews.

Where the corpus has timestamps they decide and ``order`` breaks ties; where it has none, ``order`` decides. What is
still tied stands in table order, *also when the newest come first*: timestamps are often whole days, and the authors'
program sorts them stably both ways, so that of two reviews of one day the earlier in the table counts as the newer.
"""

from __future__ import annotations

import polars as pl


def oldest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` in time order: as ``Moment`` compares."""
    return reviews.sort(_clock(reviews), "order", maintain_order=True)


def newest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` from the newest on, ties as in ``oldest_first``."""
    return reviews.sort(_clock(reviews), "order", descending=[True, False], maintain_order=True)


def _clock(reviews: pl.DataFrame) -> pl.Expr:
    timed = reviews["timestamp"].null_count() < reviews.height
    return pl.col("timestamp").fill_null(0) if timed else pl.col("order")
