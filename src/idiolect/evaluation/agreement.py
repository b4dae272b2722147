"""Agreement of raters beyond chance: Krippendorff's alpha for categories, with an interval over the rated units."""

from __future__ import annotations

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.significance import Bootstrapped, Interval, Resamples, interval
from idiolect.metrics.base import AdditiveScore, Signature

MISSING = -1
"""Marks a missing rating."""


class Alpha(AdditiveScore):
    """Krippendorff's alpha from sums of coincidences (Krippendorff 2011, nominal), with missing ratings.

    1 is full agreement, 0 is chance level, negative values are systematic disagreement. If all ratings are equal, alpha
    is undefined: nan.

    Args:
        n_categories: Number of categories.
    """

    name = "krippendorff_alpha"
    greater_is_better = True

    def __init__(self, n_categories: int) -> None:
        self._n = n_categories

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``SufficientStatistics``; the columns are a unit's coincidences, flattened."""
        del counts
        table = totals.reshape(len(totals), self._n, self._n)
        margins = table.sum(axis=2)
        n = margins.sum(axis=1)
        agreed = np.trace(table, axis1=1, axis2=2)
        expected = n**2 - (margins**2).sum(axis=1)
        unlike = (n - 1) * (n - agreed)
        return 1 - np.divide(unlike, expected, out=np.full(len(n), np.nan), where=expected > 1e-9)

    def signature(self) -> Signature:
        """Name, level and categories."""
        return Signature((("metric", self.name), ("level", "nominal"), ("categories", str(self._n))))


def coincidences(ratings: np.ndarray, n_categories: int) -> np.ndarray:
    """Coincidences of each unit: every ordered pair of raters counts 1 / (raters of the unit - 1).

    Args:
        ratings: int (n_units, n_raters): categories from 0, or ``MISSING``.
        n_categories: Number of categories.

    Returns:
        float64 (n_units, n_categories squared); zeros for units with fewer than two ratings.

    Raises:
        InputError: A rating is no category.
    """
    if ratings.size and not MISSING <= ratings.min() <= ratings.max() < n_categories:
        raise InputError(f"ratings must be categories from 0 to {n_categories - 1}, or {MISSING} for none")
    given = (ratings[:, :, None] == np.arange(n_categories)).sum(axis=1).astype(np.float64)
    pairs = given[:, :, None] * given[:, None, :] - given[:, :, None] * np.eye(n_categories)
    n = given.sum(axis=1)
    pairs /= np.maximum(n - 1, 1)[:, None, None]
    return pairs.reshape(len(ratings), -1) * (n > 1)[:, None]


def alpha(ratings: np.ndarray, n_categories: int) -> float:
    """Krippendorff's alpha; arguments are those of ``coincidences``; nan if it is undefined."""
    return Alpha(n_categories).aggregate(coincidences(ratings, n_categories))


def alpha_interval(ratings: np.ndarray, n_categories: int, resamples: Resamples) -> Interval:
    """Alpha with its percentile bootstrap interval over units; resamples without a defined alpha are skipped.

    Args:
        ratings: See ``coincidences``.
        n_categories: Number of categories.
        resamples: Over the same units, or over groups of them.
    """
    drawn = resamples.score(Alpha(n_categories), coincidences(ratings, n_categories))
    known = drawn.resampled[np.isfinite(drawn.resampled)]
    if not len(known):
        return Interval(drawn.value, float("nan"), float("nan"))
    return interval(Bootstrapped(drawn.value, known))
