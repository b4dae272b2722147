"""How sure a score or a difference is: bootstrap over segments or over users, and Holm's correction.

Resamples are drawn once and used for every metric and method, so that all comparisons are paired. Scores that are
``Additive`` cost one matrix product over the drawn counts; any other metric is aggregated resample by resample.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.additive import Additive, Aggregate

RESAMPLES = 1000
LEVEL = 0.95

_BLOCK = 1 << 22
"""Drawn numbers held at once (32 MB of int64)."""


class Bootstrapped(NamedTuple):
    """A score and what it would have been on every resample."""

    value: float
    resampled: np.ndarray
    """float64 (resamples,)."""


class Interval(NamedTuple):
    """A score and its percentile interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """How much a system differs from a baseline on the same segments."""

    difference: float
    """System minus baseline, in the metric's units."""
    low: float
    high: float
    p: float
    """Two-sided, not corrected; at least 1 / (resamples + 1)."""


class Resamples:
    """How often each segment, or each user with all of theirs, was drawn in every bootstrap resample.

    With ``clusters`` whole users are drawn: segments of one user are alike, and intervals over segments are too narrow
    for a claim about users. With few clusters (below about 20) percentile intervals are still too narrow.

    Args:
        n: Number of segments.
        rng: Where the draws come from; its seed belongs in the result's provenance.
        clusters: The user of each segment, length n; None: each segment is drawn on its own.
        resamples: How many.

    Raises:
        InputError: ``clusters`` has another length, or there are fewer than two segments or users to draw from.
    """

    def __init__(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        clusters: Sequence[Hashable] | None = None,
        resamples: int = RESAMPLES,
    ) -> None:
        if clusters is not None and len(clusters) != n:
            raise InputError(f"{len(clusters)} cluster labels for {n} segments", hint="one label a segment")
        self.n = n
        self.clustered = clusters is not None
        self._groups = np.arange(n) if clusters is None else _codes(clusters)
        self._n_groups = int(self._groups.max(initial=-1)) + 1
        if self._n_groups < 2:
            raise InputError(f"cannot resample {self._n_groups} units", hint="score at least two segments or users")
        self._draws = _draw(self._n_groups, resamples, rng)

    def __len__(self) -> int:
        return len(self._draws)

    def score(self, metric: Aggregate, stats: np.ndarray) -> Bootstrapped:
        """Score the segments and every resample of them.

        Args:
            metric: What aggregates the rows.
            stats: float (n, n_stats) from ``Metric.segments``, or (n,) plain numbers with a ``Mean``.

        Raises:
            InputError: There is another number of rows than of segments.
        """
        if len(stats) != self.n:
            raise InputError(f"{len(stats)} segments, but the resamples are of {self.n}", hint="score the same samples")
        rows = np.asarray(stats, dtype=np.float64).reshape(self.n, -1)
        if isinstance(metric, Additive):
            totals = self._totals(np.column_stack([rows, np.ones(self.n)]))
            return Bootstrapped(metric.aggregate(rows), metric.score_totals(totals[:, :-1], totals[:, -1]))
        places = (np.repeat(np.arange(self.n), draw[self._groups]) for draw in self._draws)
        return Bootstrapped(metric.aggregate(rows), np.array([metric.aggregate(rows[drawn]) for drawn in places]))

    def _totals(self, rows: np.ndarray) -> np.ndarray:
        """float64 (resamples, columns): the sums of (n, columns) rows in every resample."""
        sums = np.zeros((self._n_groups, rows.shape[1]))
        np.add.at(sums, self._groups, rows)
        size = max(1, _BLOCK // self._n_groups)
        blocks = (self._draws[start : start + size] for start in range(0, len(self), size))
        return np.concatenate([block.astype(np.float64) @ sums for block in blocks])


def interval(score: Bootstrapped, *, level: float = LEVEL) -> Interval:
    """A system's score with its percentile interval of coverage ``level``."""
    low, high = _percentiles(score.resampled, level)
    return Interval(score.value, low, high)


def compare(system: Bootstrapped, baseline: Bootstrapped, *, level: float = LEVEL) -> Comparison:
    """The paired bootstrap test (Koehn 2004) with the shifted p value of Riezler and Maxwell (2005).

    ``p`` is the share of resampled differences that lie as far from their mean as the observed one lies from 0.

    Args:
        system: Scored by the same ``Resamples`` as the baseline, segment by segment for the same samples.
        baseline: What it is compared with.
        level: Coverage of the difference's interval.
    """
    observed = system.value - baseline.value
    differences = system.resampled - baseline.resampled
    as_far = np.abs(differences - differences.mean()) >= abs(observed)
    low, high = _percentiles(differences, level)
    return Comparison(observed, low, high, float((as_far.sum() + 1) / (len(differences) + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction: p values that hold for the whole family at once, in the given order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected.tolist()


def _codes(labels: Sequence[Hashable]) -> np.ndarray:
    """int64 (n,): 0, 1, ... for each label in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def _draw(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (resamples, n): counts of n draws with replacement; counts above 255 do not happen."""
    counts = np.empty((resamples, n), dtype=np.uint8)
    size = max(1, _BLOCK // n)
    for start in range(0, resamples, size):
        block = counts[start : start + size]
        drawn = rng.integers(n, size=block.shape) + n * np.arange(len(block))[:, None]
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def _percentiles(scores: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
