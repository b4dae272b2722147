"""Tables of reviews to tables of departures."""

from __future__ import annotations

import numpy as np
import polars as pl

from idiolect.difference.stylometry.departure import departures
from idiolect.difference.stylometry.measuring import measure
from idiolect.difference.stylometry.table import N_MEASURES, NAMES


def codes(ids: pl.Series) -> np.ndarray:
    """int64 (n,): each id as its place among the distinct ones, in their order."""
    return ids.rank("dense").cast(pl.Int64).to_numpy() - 1


def departure_frame(reviews: pl.DataFrame, *, min_peers: int = 1) -> pl.DataFrame:
    """How every user of a corpus departs from the others on the same items.

    Args:
        reviews: ``user``, ``item`` and ``text``, a row a review.
        min_peers: Others who must have written about an item for it to count.

    Returns:
        A row a user and measure, users in order and measures in that of ``MEASURES``: ``user``, ``measure``,
        ``difference`` (in the measure's unit), ``standard_error`` (infinite below two items), ``effect`` (in spreads)
        and ``n_items``.
    """
    found = departures(
        measure(reviews["text"].to_list()), codes(reviews["user"]), codes(reviews["item"]), min_peers=min_peers
    )
    users = reviews["user"].unique().sort()
    return pl.DataFrame(
        {
            "user": np.repeat(users.to_numpy(), N_MEASURES),
            "measure": NAMES * len(users),
            "difference": found.difference.ravel(),
            "standard_error": found.standard_error.ravel(),
            "effect": found.effects().ravel(),
            "n_items": np.repeat(found.n_items, N_MEASURES),
        },
        schema_overrides={"user": pl.String},
    )
