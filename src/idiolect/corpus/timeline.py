"""Time order of a table of reviews.

Where the corpus has timestamps they decide and ``order`` breaks ties; where it has none, ``order`` decides. What is
still tied stands in table order. Ties stand the same way round *when the newest come first*: timestamps are often whole
days, and the authors' program sorts them stably both ways, so that of two reviews of one day the earlier in the table
counts as the newer.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def oldest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` in time order: as ``Moment`` compares.

    Args:
        reviews: Table with the Int64 columns ``timestamp`` (seconds, may be null) and ``order``.
    """
    return reviews[np.lexsort((reviews["order"], _clock(reviews)))]


def newest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` from the newest on, ties as in ``oldest_first``."""
    return reviews[np.lexsort((reviews["order"], ~_clock(reviews)))]  # ~ is a minus sign that cannot overflow


def _clock(reviews: pl.DataFrame) -> np.ndarray:
    """int64 (n,): what decides."""
    timed = reviews["timestamp"].null_count() < reviews.height
    return (reviews["timestamp"].fill_null(0) if timed else reviews["order"]).to_numpy()
