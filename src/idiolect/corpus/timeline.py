"""Time order of a table of reviews.

Timestamps decide and ``order`` breaks ties. A review without a timestamp stands before all that have one, and among
themselves such reviews stand by ``order``, so that in a corpus without timestamps ``order`` alone decides. What is
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
    return reviews[np.lexsort((reviews["order"], _clock(reviews), _dated(reviews)))]


def newest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` from the newest on, ties as in ``oldest_first``."""
    # ~ is a minus sign that cannot overflow.
    return reviews[np.lexsort((reviews["order"], ~_clock(reviews), ~_dated(reviews)))]


def _dated(reviews: pl.DataFrame) -> np.ndarray:
    """Whether the time is known: bool (n,)."""
    return reviews["timestamp"].is_not_null().to_numpy()


def _clock(reviews: pl.DataFrame) -> np.ndarray:
    """int64 (n,): what decides among the dated reviews, and among the others."""
    return reviews["timestamp"].fill_null(reviews["order"]).to_numpy()
