"""Permutation test: the null distribution comes from random reviews of the same items.

Null hypothesis: the user writes like everybody else, so that the user's review of an item could be any of its reviews.
The mean difference is recomputed thousands of times with one random review per item in the user's place. The test is
valid for any distribution. Student's t is not: with punctuation that few texts contain it rejects for more than a third
of all users in worlds without any user effect (level 5 %, Holm).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry.style_difference import effect_sizes

_TIE = 1e-5
"""Relative to the largest difference: the precision of float32 sums."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NullDistribution:
    """An observed mean difference, and the differences of random reviews of the same items."""

    observed: np.ndarray
    """float64 (n_measures,): own minus others', mean over items."""
    drawn: np.ndarray
    """float32 (draws, n_measures): the same with one random review per item."""

    @property
    def p(self) -> np.ndarray:
        """float64 (n_measures,): two-sided p values, twice the smaller tail, ties in both; not corrected."""
        tie = _TIE * np.maximum(np.abs(self.drawn).max(axis=0), 1e-12)
        above = (self.drawn >= self.observed - tie).sum(axis=0)
        below = (self.drawn <= self.observed + tie).sum(axis=0)
        return np.minimum(1.0, 2 * (1 + np.minimum(above, below)) / (1 + len(self.drawn)))

    def interval(self, level: float) -> np.ndarray:
        """float64 (2, n_measures): interval of the differences that the test does not reject (inverted by shifts)."""
        tail = (1 - level) / 2
        return self.observed - np.quantile(self.drawn, [1 - tail, tail], axis=0)


def permutation_test(
    own: np.ndarray, peers: Sequence[np.ndarray], rng: np.random.Generator, *, draws: int = 10_000
) -> NullDistribution:
    """Draw the null distribution: random reviews of each item take the place of the user's.

    Args:
        own: float (n_items, n_measures): values of the user's review of each item.
        peers: For each item float (n_peers, n_measures), at least one row: values of the peers' reviews.
        rng: Source of the draws.
        draws: Number of draws.
    """
    total = np.zeros((draws, own.shape[1]), dtype=np.float32)
    observed = np.zeros(own.shape[1])
    for mine, others in zip(own, peers, strict=True):
        pool = np.vstack([mine, others])
        n = len(pool)
        apart = (pool * n - pool.sum(axis=0)) / (n - 1)  # each review minus the mean of the n - 1 others
        observed += apart[0]
        total += apart.astype(np.float32).take(rng.integers(n, size=draws), axis=0)
    n_items = max(1, len(own))
    return NullDistribution(observed=observed / n_items, drawn=total / np.float32(n_items))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Significance:
    """Significance of every measure, corrected for the number of measures; arrays are (n_measures,)."""

    effect: np.ndarray
    """float64: the observed differences in standard deviations; 0 if nothing varies."""
    low: np.ndarray
    """float64: lower ends of the effects' intervals."""
    high: np.ndarray
    """float64: upper ends; the interval of a significant effect never contains 0."""
    p: np.ndarray
    """float64: not corrected; 1 if nothing varies."""
    corrected: np.ndarray
    """float64: corrected for the number of measures that vary (Benjamini and Hochberg 1995)."""
    significant: np.ndarray
    """bool: ``corrected`` is at most ``fdr_level``."""
    n_tested: int
    """Measures that vary."""
    level: float
    """Coverage of the intervals, by Benjamini and Yekutieli (2005) for selected parameters: of the significant effects'
    intervals, at most a share ``fdr_level`` is expected to miss."""


def find_significant(null: NullDistribution, sd: np.ndarray, *, fdr_level: float) -> Significance:
    """Test every measure against its null distribution.

    Args:
        null: Null distribution of every measure.
        sd: float (n_measures,): the unit of effects (see ``within_item_sd``).
        fdr_level: False discovery rate.
    """
    from scipy.stats import false_discovery_control  # lazy, because importing it takes longer than most calls

    varying = sd > 0
    p, corrected = np.where(varying, null.p, 1.0), np.ones(len(sd))
    if varying.any():
        # Measures of one text are positively dependent, under which it holds too (Benjamini and Yekutieli 2001).
        corrected[varying] = false_discovery_control(p[varying], method="bh")
    significant, n_tested = corrected <= fdr_level, int(varying.sum())
    level = 1 - fdr_level * max(1, int(significant.sum())) / max(1, n_tested)
    low, high = effect_sizes(null.interval(level), sd)
    return Significance(
        effect=effect_sizes(null.observed, sd),
        low=low,
        high=high,
        p=p,
        corrected=corrected,
        significant=significant,
        n_tested=n_tested,
        level=level,
    )


def min_p(sizes: Sequence[int]) -> float:
    """The smallest possible two-sided p value, given the number of reviews of each item (the user's included)."""
    return min(1.0, 2 * math.exp(-sum(math.log(n) for n in sizes)))
