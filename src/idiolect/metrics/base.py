"""The interface of metrics: statistics per segment, aggregated separately, as bootstrap and paired tests need it.

Also the base of aggregates that are a function of ``stats.sum(axis=0)``: they are computed for a thousand bootstrap
resamples with one matrix product. Every metric of this package is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from idiolect.errors import InputError


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything that a score depends on, as ``key:value|key:value`` (after sacrebleu)."""

    fields: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "|".join(f"{key}:{value}" for key, value in self.fields)


class Metric(Protocol):
    """A score of texts against one reference each."""

    @property
    def name(self) -> str:
        """What tables and results call it."""
        ...

    @property
    def greater_is_better(self) -> bool:
        """Whether a higher score is the better one."""
        ...

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, n_stats): sufficient statistics of every pair; a prediction may be empty."""
        ...

    def aggregate(self, stats: np.ndarray) -> float:
        """The overall score of rows of ``segments``, or of any subset or resample of them."""
        ...

    def signature(self) -> Signature:
        """Everything the score depends on."""
        ...


class Aggregate(Protocol):
    """The part of a ``Metric`` that needs no texts: statistics per segment to one score."""

    @property
    def name(self) -> str:
        """What tables and results call it."""
        ...

    @property
    def greater_is_better(self) -> bool:
        """Whether a higher score is the better one."""
        ...

    def aggregate(self, stats: np.ndarray) -> float:
        """The score of float64 (n, n_stats) rows."""
        ...

    def signature(self) -> Signature:
        """Everything the score depends on."""
        ...


@runtime_checkable
class SufficientStatistics(Protocol):
    """An aggregate that needs only the sums of the statistics."""

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Scores of many sets of segments at once.

        Args:
            totals: float64 (n_sets, n_stats): the sum of each set's rows.
            counts: float64 (n_sets,): the number of rows of each set; at least 1.

        Returns:
            float64 (n_sets,).
        """
        ...


class AdditiveScore:
    """Base of aggregates: ``aggregate`` follows from ``score_totals``."""

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Means of the first statistic; see ``SufficientStatistics``."""
        return totals[:, 0] / counts

    def aggregate(self, stats: np.ndarray) -> float:
        """The score of float64 (n, n_stats) rows.

        Raises:
            InputError: There are no rows.
        """
        if not len(stats):
            raise InputError("there is no segment to score", hint="check the split and the filters before it")
        return float(self.score_totals(stats.sum(axis=0, keepdims=True), np.array([float(len(stats))]))[0])


class Mean(AdditiveScore):
    """The mean of given numbers, such as a reference's negative log-likelihood.

    Args:
        name: Name in tables.
        greater_is_better: Whether a higher mean is the better one.
        unit: Unit of the numbers, for the signature ("nats/text").
    """

    def __init__(self, name: str, *, greater_is_better: bool, unit: str = "") -> None:
        self.name = name
        self.greater_is_better = greater_is_better
        self.unit = unit

    def signature(self) -> Signature:
        """Name, unit and aggregation."""
        unit = (("unit", self.unit),) if self.unit else ()
        return Signature((("metric", self.name), *unit, ("aggregate", "mean")))


def score_each(metric: Aggregate, stats: np.ndarray) -> np.ndarray:
    """float64 (n,): the score of each row of float64 (n, n_stats) on its own."""
    if isinstance(metric, SufficientStatistics):
        return metric.score_totals(stats, np.ones(len(stats)))
    return np.array([metric.aggregate(stats[place : place + 1]) for place in range(len(stats))])


def check_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    """Check that predictions and references are pairs.

    Raises:
        InputError: A single text was given for a list, or the two are of different lengths.
    """
    if isinstance(predictions, str) or isinstance(references, str):
        raise InputError("a metric takes lists of texts, not one text", hint="put the text into a list")
    if len(predictions) != len(references):
        raise InputError(
            f"{len(predictions)} predictions but {len(references)} references", hint="pass one of each per sample"
        )


def column(values: Sequence[float]) -> np.ndarray:
    """float64 (n, 1) of one number per segment."""
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)
