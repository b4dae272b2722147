"""Bootstrap intervals, a paired randomization test, and Holm's correction.

Units are segments or users. Resamples and permutations are drawn once and used for every metric and method, so that
all comparisons are paired. An aggregate that is ``SufficientStatistics`` costs one matrix product over all draws; any
other metric is aggregated once per resample.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.metrics.base import Aggregate, SufficientStatistics

_BLOCK = 1 << 22
"""Drawn numbers held at once (32 MB of int64)."""


@dataclass(frozen=True, slots=True, eq=False)
class Permutations:
    """Permutations of a paired randomisation test: for which units two systems' outputs are exchanged."""

    swapped: np.ndarray
    """uint8 (n_permutations, n_units): 1 if a unit's outputs are exchanged."""
    exact: bool
    """Whether these are all permutations."""

    @classmethod
    def draw(cls, n_units: int, limit: int, rng: np.random.Generator) -> Permutations:
        """All permutations if there are at most ``limit``, else that many random ones.

        A permutation and its complement give differences of opposite sign, so the last unit is never exchanged, and
        there are 2^(n_units - 1) permutations.

        Args:
            n_units: Number of users or segments.
            limit: Most permutations.
            rng: Draws random permutations.
        """
        if n_units - 1 < limit.bit_length() and 1 << (n_units - 1) <= limit:
            numbers = np.arange(1 << (n_units - 1), dtype=np.int64)
            return cls((numbers[:, None] >> np.arange(n_units) & 1).astype(np.uint8), exact=True)
        return cls(rng.integers(2, size=(limit, n_units), dtype=np.uint8), exact=False)

    @property
    def min_p(self) -> float:
        """The smallest possible p value."""
        return self.p(1 if self.exact else 0)

    def p(self, n_as_far: int) -> float:
        """The p value from the number of permutations with a difference at least as far from 0.

        The observed difference is among all permutations, and is added to random ones (Phipson and Smyth 2010).
        """
        n = len(self.swapped)
        return n_as_far / n if self.exact else (n_as_far + 1) / (n + 1)


def number(labels: Sequence[Hashable]) -> np.ndarray:
    """int64 (n,): 0, 1, ... for each label in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def draw_counts(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (resamples, n): counts of n draws with replacement; counts above 255 do not happen."""
    counts = np.empty((resamples, n), dtype=np.uint8)
    size = max(1, _BLOCK // n)
    for start in range(0, resamples, size):
        block = counts[start : start + size]
        drawn = rng.integers(n, size=block.shape) + n * np.arange(len(block))[:, None]
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def sums_of(drawn: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """float64 (n, columns): uint8 (n, units) counts times (units, columns) sums, a block of rows at a time."""
    size = max(1, _BLOCK // len(sums))
    blocks = (drawn[start : start + size] for start in range(0, len(drawn), size))
    return np.concatenate([block.astype(np.float64) @ sums for block in blocks])


RESAMPLES = 1000
MOST_RESAMPLES = 1_000_000
LEVEL = 0.95
SIGNIFICANT = 0.05
"""p below which a difference is significant."""
FEW = 8
"""Users below which a percentile interval is too narrow: with 5 users its coverage is 83 %, not 95 %."""

_ROUNDING = 1e-10
"""Tolerance relative to the largest score, for sums of the same numbers in another order."""


def check_draws(*, resamples: int, seed: int = 0) -> None:
    """Refuse numbers that no resamples can be drawn with.

    Raises:
        ConfigError: With the number and what it may be.
    """
    for name, value, least, most in (("resamples", resamples, 1, MOST_RESAMPLES), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise ConfigError(f"{name} is {value}", hint=f"give a number from {least} to {most}")


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrapped:
    """A score, on the sample and on every resample."""

    value: float
    resampled: np.ndarray
    """float64 (resamples,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Score(Bootstrapped):
    """A system's score, with what tests need."""

    metric: Aggregate
    rows: np.ndarray
    """float64 (n, n_stats)."""
    resamples: Resamples


class Interval(NamedTuple):
    """A score and its percentile interval; the bounds are NaN for a single sample or user."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Difference of a system from a baseline on the same segments."""

    difference: float
    """System minus baseline, in the metric's units."""
    low: float
    high: float
    p: float
    """Two-sided, not corrected; at least ``Resamples.min_p``."""


class Resamples:
    """Bootstrap resamples of segments or users, and permutations for tests.

    With ``clusters`` whole users are drawn and permuted, because segments of one user are correlated, and intervals
    over segments are too narrow for a claim about users. With few users (below about 20) percentile intervals are still
    too narrow; the test is exact for any number.

    Args:
        n: Number of segments.
        rng: Source of the draws; its seed belongs in the result's provenance.
        clusters: The user of each segment, length n; None: segments are drawn independently.
        resamples: Number of resamples, and most permutations.
        least: Fewest segments or users, 1 or 2. Of one there are no resamples, so that its scores have no intervals
            and cannot be compared.

    Raises:
        InputError: ``clusters`` has another length, or there are fewer than ``least`` segments or users.
    """

    def __init__(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        clusters: Sequence[Hashable] | None = None,
        resamples: int = RESAMPLES,
        least: Literal[1, 2] = 2,
    ) -> None:
        if clusters is not None and len(clusters) != n:
            raise InputError(f"{len(clusters)} cluster labels for {n} segments", hint="pass one label per segment")
        self.n = n
        self.clustered = clusters is not None
        self._groups = np.arange(n) if clusters is None else number(clusters)
        self.units = int(self._groups.max(initial=-1)) + 1
        if self.units < least:
            raise InputError(
                f"{self.units} samples or users are too few for intervals and tests",
                hint="score at least two samples or users",
            )
        self._draws = draw_counts(self.units, resamples if self.units > 1 else 0, rng)
        (self._rng,) = rng.spawn(1)

    def __len__(self) -> int:
        return len(self._draws)

    @cached_property
    def exchanges(self) -> Permutations:
        """The permutations of tests; drawn separately from the resamples."""
        return Permutations.draw(self.units, len(self), self._rng)

    @property
    def min_p(self) -> float:
        """The smallest possible p, given the number of units or of permutations."""
        return self.exchanges.min_p

    def score(self, metric: Aggregate, stats: np.ndarray) -> Score:
        """Score the segments and every resample of them.

        Args:
            metric: What aggregates the rows.
            stats: float (n, n_stats) from ``Metric.segments``, or (n,) plain numbers with a ``Mean``.

        Raises:
            InputError: The number of rows is not that of the segments, or a value is not finite.
        """
        if len(stats) != self.n:
            raise InputError(f"{len(stats)} segments, but the resamples are of {self.n}", hint="score the same samples")
        rows = np.asarray(stats, dtype=np.float64).reshape(self.n, -1)
        check_finite(metric, rows)
        return Score(metric.aggregate(rows), self._resampled(metric, rows), metric, rows, self)

    def exchanged(self, system: Score, baseline: Score) -> np.ndarray:
        """float64 (n_permutations,): system minus baseline after each permutation."""
        metric, ours, theirs = system.metric, system.rows, baseline.rows
        if isinstance(metric, SufficientStatistics):
            (own, other), counts = map(self._sums, (ours, theirs)), np.full(len(self.exchanges.swapped), float(self.n))
            moved = sums_of(self.exchanges.swapped, other - own)
            return metric.score_totals(own.sum(axis=0) + moved, counts) - metric.score_totals(
                other.sum(axis=0) - moved, counts
            )
        swaps = (swapped[self._groups][:, None] > 0 for swapped in self.exchanges.swapped)
        both = ((np.where(swap, theirs, ours), np.where(swap, ours, theirs)) for swap in swaps)
        return np.array([metric.aggregate(one) - metric.aggregate(other) for one, other in both])

    def _resampled(self, metric: Aggregate, rows: np.ndarray) -> np.ndarray:
        """float64 (resamples,): the score of every resample."""
        if not len(self):
            return np.empty(0)
        if isinstance(metric, SufficientStatistics):
            totals = sums_of(self._draws, self._sums(np.column_stack([rows, np.ones(self.n)])))
            return metric.score_totals(totals[:, :-1], totals[:, -1])
        places = (np.repeat(np.arange(self.n), draw[self._groups]) for draw in self._draws)
        return np.array([metric.aggregate(rows[drawn]) for drawn in places])

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """float64 (units, columns): the sum of each unit's rows."""
        sums = np.zeros((self.units, rows.shape[1]))
        np.add.at(sums, self._groups, rows)
        return sums


def interval(score: Bootstrapped, *, level: float = LEVEL) -> Interval:
    """A system's score with its percentile interval of coverage ``level``."""
    low, high = _percentiles(score.resampled, level)
    return Interval(score.value, low, high)


def compare(system: Score, baseline: Score, *, level: float = LEVEL) -> Comparison:
    """A paired bootstrap interval of the difference, and the p value of a paired randomisation test.

    Under the null hypothesis the two outputs of a user are exchangeable. ``p`` is the share of permutations after which
    the difference is at least as far from 0 as the observed one (Noreen 1989; Riezler and Maxwell 2005; sacrebleu's
    paired approximate randomisation). It is valid for corpus scores such as BLEU, which are not means, and for any
    number of users; with 2 to 5 users p < 0.05 is impossible. A bootstrap's p value (Koehn 2004) would be below 0.05
    for every second pair of equal systems on 2 users.

    Args:
        system: Scored by the same ``Resamples`` as the baseline, segment by segment for the same samples.
        baseline: The baseline's score.
        level: Coverage of the difference's interval.

    Raises:
        InputError: The two were scored by different resamples, or on one segment or user.
    """
    resamples = system.resamples
    if not len(resamples):
        raise InputError("one sample or user is too few for a test", hint="score at least two samples or users")
    if baseline.resamples is not resamples:
        raise InputError("two scores of different resamples cannot be paired", hint="score both by the same")
    observed, exchanged = system.value - baseline.value, np.abs(resamples.exchanged(system, baseline))
    slack = _ROUNDING * max(abs(system.value), abs(baseline.value), float(exchanged.max()))
    p = resamples.exchanges.p(int((exchanged >= abs(observed) - slack).sum()))
    low, high = _percentiles(system.resampled - baseline.resampled, level)
    return Comparison(observed, low, high, p)


def check_finite(metric: Aggregate, values: np.ndarray) -> None:
    """Check that all values are finite.

    Raises:
        InputError: A value is not.
    """
    if not np.isfinite(values).all():
        raise InputError(f"{metric.name!r} is not a finite number everywhere", hint="leave that score out")


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction: p values that hold for the whole family at once, in the given order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected.tolist()


def _percentiles(scores: np.ndarray, level: float) -> tuple[float, float]:
    if not len(scores):
        return math.nan, math.nan
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
