"""What luck does: the user's reviews against reviews drawn at random from the same items.

Where a user writes like everybody else, the user's review of an item could be any of the item's reviews. So the same
mean difference is computed with one review of each item drawn at random in the user's place, thousands of times. This
holds for any distribution: marks that few texts show at all make Student's t call everybody different who happens not
to show them (in worlds without any user effect more than a third of all users, at a level of 5 % held by Holm).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry.style_difference import effect_sizes

_TIE = 1e-5
"""Relative to the largest difference: what float32 sums cannot tell apart."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NullDistribution:
    """An observed mean difference beside those of random members of the crowd."""

    observed: np.ndarray
    """float64 (n_measures,): own minus others', mean over items."""
    drawn: np.ndarray
    """float32 (draws, n_measures): the same of one random review an item."""

    @property
    def p(self) -> np.ndarray:
        """float64 (n_measures,): two-sided, twice the smaller tail, ties in both; not corrected."""
        tie = _TIE * np.maximum(np.abs(self.drawn).max(axis=0), 1e-12)
        above = (self.drawn >= self.observed - tie).sum(axis=0)
        below = (self.drawn <= self.observed + tie).sum(axis=0)
        return np.minimum(1.0, 2 * (1 + np.minimum(above, below)) / (1 + len(self.drawn)))

    def interval(self, level: float) -> np.ndarray:
        """float64 (2, n_measures): the differences that the test would not reject (it is inverted by shifts)."""
        tail = (1 - level) / 2
        return self.observed - np.quantile(self.drawn, [1 - tail, tail], axis=0)


def permutation_test(
    own: np.ndarray, peers: Sequence[np.ndarray], rng: np.random.Generator, *, draws: int = 10_000
) -> NullDistribution:
    """Put random members of each item's crowd in the user's place.

    Args:
        own: float (n_items, n_measures): of the user's review of each item.
        peers: For each item float (n_peers, n_measures), at least one row: of the others' reviews.
        rng: Where the draws come from.
        draws: How many.
    """
    total = np.zeros((draws, own.shape[1]), dtype=np.float32)
    observed = np.zeros(own.shape[1])
    for mine, others in zip(own, peers, strict=True):
        crowd = np.vstack([mine, others])
        n = len(crowd)
        apart = (crowd * n - crowd.sum(axis=0)) / (n - 1)  # each review minus the mean of the n - 1 others
        observed += apart[0]
        total += apart.astype(np.float32)[rng.integers(n, size=draws)]
    n_items = max(1, len(own))
    return NullDistribution(observed=observed / n_items, drawn=total / np.float32(n_items))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judged:
    """Which mean differences are more than luck, all measures taken together; arrays are (n_measures,)."""

    effect: np.ndarray
    """float64: the observed differences in spreads; 0 where nothing varies."""
    low: np.ndarray
    """float64: lower ends of the effects' intervals."""
    high: np.ndarray
    """float64: upper ends; no interval of a sure effect holds 0."""
    p: np.ndarray
    """float64: of each measure alone; 1 where nothing varies."""
    corrected: np.ndarray
    """float64: corrected for the number of measures that vary."""
    sure: np.ndarray
    """bool: among these at most ``fdr_level`` are expected to be luck."""
    n_tested: int
    """Measures that vary."""
    level: float
    """Coverage of the intervals: that of Benjamini and Yekutieli (2005) for parameters that were selected, so that of
    the sure ones' intervals the expected share that misses is at most ``fdr_level``."""


def judge(luck: NullDistribution, spreads: np.ndarray, *, fdr_level: float) -> Judged:
    """Hold every measure against luck.

    Args:
        luck: Of every measure.
        spreads: float (n_measures,): the unit of effects (see ``pairs.spread``).
        fdr_level: Expected share of what is sure that is luck, at most.
    """
    varying = spreads > 0
    p, corrected = np.where(varying, luck.p, 1.0), np.ones(len(spreads))
    corrected[varying] = correct(p[varying])
    sure, n_tested = corrected <= fdr_level, int(varying.sum())
    level = 1 - fdr_level * max(1, int(sure.sum())) / max(1, n_tested)
    low, high = effect_sizes(luck.interval(level), spreads)
    return Judged(
        effect=effect_sizes(luck.observed, spreads),
        low=low,
        high=high,
        p=p,
        corrected=corrected,
        sure=sure,
        n_tested=n_tested,
        level=level,
    )


def min_p(crowds: Sequence[int]) -> float:
    """The smallest two-sided p value that items with so many reviews (the user's with them) can give."""
    return min(1.0, 2 * math.exp(-sum(math.log(n) for n in crowds)))


def correct(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's (1995) p values: a limit on them limits the expected share of luck among what passes.

    Measures of one text rise and fall together, under which the limit still holds (Benjamini and Yekutieli 2001).

    Args:
        p: float (n,).

    Returns:
        float64 (n,), in the same order.
    """
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) / ranks), 1.0)
    return corrected
