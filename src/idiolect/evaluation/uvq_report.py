"""What UVQ says about a run: whether it goes with the texts' quality, and the paper's signs that something is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.errors import InputError
from idiolect.evaluation.additive import AdditiveScore
from idiolect.evaluation.base import Signature
from idiolect.evaluation.significance import LEVEL, Interval, Resamples, interval
from idiolect.evaluation.uvq import Uvq


class Correlation(AdditiveScore):
    """Pearson's r as an aggregate of the five sums it needs; 0 where one of the two does not vary."""

    name = "correlation"
    greater_is_better = True

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Additive``; the columns are x, y, x squared, y squared, x times y."""
        x, y, xx, yy, xy = (totals / counts[:, None]).T
        spread = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        return np.divide(xy - x * y, spread, out=np.zeros_like(spread), where=spread > 1e-12)

    def signature(self) -> Signature:
        """Name and kind."""
        return Signature((("metric", self.name), ("kind", "pearson")))


def correlation(
    counts: Sequence[float] | np.ndarray,
    scores: Sequence[float] | np.ndarray,
    resamples: Resamples,
    *,
    ranks: bool = False,
    level: float = LEVEL,
) -> Interval:
    """How far UVQ and a score of the texts go together, with a percentile bootstrap interval (the paper's Figure 2).

    Args:
        counts: float (n,): UVQ of each user, or of each system.
        scores: float (n,): BLEU or METEOR of the same, in the same order.
        resamples: Of the same n.
        ranks: Spearman's rho (Pearson's r of ranks in the whole sample) instead of Pearson's r.
        level: Coverage of the interval.

    Raises:
        InputError: The two are of different lengths, or one of them does not vary.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (counts, scores))
    if x.shape != y.shape:
        raise InputError(f"{len(x)} UVQ values but {len(y)} scores", hint="one of each a user")
    if ranks:
        x, y = _ranks(x), _ranks(y)
    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        raise InputError("no correlation: one of the two is the same everywhere", hint="take more users or systems")
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    return interval(resamples.score(Correlation(), np.stack([x, y, x * x, y * y, x * y], axis=1)), level=level)


class Alarms(Config):
    """From where on a run is suspicious. The signs are the paper's, the numbers ours: it gives none."""

    least_uvq: float = Field(default=2.0, ge=0)
    """Mean UVQ below which the extractor finds too little that is different and holds."""
    most_surface: float = Field(default=0.65, gt=0, le=1)
    """Share of Writing and Emotion among valid differences above which extraction stays on the surface (they have 13 of
    35 keys)."""
    most_rejected: float = Field(default=0.5, gt=0, le=1)
    """Share of rejected differences above which extractor and validator are at odds."""


def failure_signs(result: Uvq, alarms: Alarms | None = None, *, validated: Uvq | None = None) -> list[str]:
    """The paper's failure signatures that a run shows, one sentence each, with what it may come from.

    Args:
        result: Of a run.
        alarms: From where on; None: the defaults.
        validated: The same as validation left it, where ``result`` is a judge's; None: it is ``result``.
    """
    limits, before = alarms or Alarms(), validated or result
    if not len(result.kept):
        return []
    signs = []
    if result.mean < limits.least_uvq:
        signs.append(
            f"low UVQ ({result.mean:.2f} differences a user, below {limits.least_uvq:g}): the extractor finds few "
            "different valid features; try more comparisons or open dimensions, or another model if one was asked"
        )
    total = sum(result.distribution.values())
    surface = result.distribution["Writing"] + result.distribution["Emotion"]
    if total and surface / total > limits.most_surface:
        signs.append(
            f"Writing and Emotion dominate ({surface / total:.0%} of {total} valid features): the extractor does not "
            "reach semantics, structure and pragmatics"
        )
    if before.rejection_rate > limits.most_rejected:
        signs.append(
            f"high rejection ({before.rejection_rate:.0%} of {before.n_units} features): extractor and validation are "
            "at odds; look at the reasons"
        )
    return signs


def _ranks(values: np.ndarray) -> np.ndarray:
    """float64 (n,): 1 for the smallest; ties share the mean of their ranks."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]
