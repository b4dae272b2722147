"""Linear probes: how much of the ground truth about users their vectors contain, by ridge regression.

Users are held out in folds: each fold is predicted by a probe fitted on the others, whose penalty was chosen on the
others only. The score is R2, the mean over traits. It follows from sums over users, so the bootstrap over held-out
users costs one matrix product, and all inputs are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.significance import RESAMPLES, Resamples, Score
from idiolect.metrics.base import AdditiveScore, Signature

PENALTIES = np.logspace(-2, 4, 25)
"""Ridge penalties tried, in units of the mean variance (1) of a standardised feature."""
FOLDS = 5

_LEAST_SD = 0.01
"""Lower bound of a feature's standard deviation, as a share of the features' root mean square."""


class MeanR2(AdditiveScore):
    """The mean over traits of R2, from rows of ``r2_stats``; predicting the users' mean gives 0.

    Args:
        n_traits: Number of traits.
    """

    name = "R2"
    greater_is_better = True

    def __init__(self, n_traits: int) -> None:
        self.n_traits = n_traits

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """R2 of many sets of users at once; see ``SufficientStatistics``."""
        errors, variances = np.split(totals, 2, axis=1)
        return (1 - errors / variances).mean(axis=1)

    def signature(self) -> Signature:
        """Name, number of traits and aggregation."""
        return Signature((("metric", self.name), ("traits", str(self.n_traits)), ("aggregate", "mean over traits")))


class Recovery(NamedTuple):
    """How well one input predicts the ground truth of held-out users."""

    mean: Score
    """R2, mean over traits."""
    traits: tuple[Score, ...]
    """R2 of each trait."""


def probe(
    inputs: Mapping[str, np.ndarray],
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    n_folds: int = FOLDS,
    resamples: int = RESAMPLES,
) -> dict[str, Recovery]:
    """Probe every input on the same folds and resamples of users, so that ``significance.compare`` pairs them.

    Args:
        inputs: By name float (n_draws, n_users, dim): a user's features in several draws, for instance of reviews.
            Probes are fitted on all draws; each draw is predicted separately.
        targets: float (n_users, n_traits): the ground truth.
        rng: Assigns users to folds and draws the resamples.
        n_folds: Parts of the users, at least 3: one is held out, another chooses the penalty.
        resamples: Bootstrap resamples of users.

    Raises:
        InputError: Too few users for the folds, a constant trait, or inputs with another number of users.
    """
    _check(inputs, targets, n_folds)
    folds = rng.permutation(np.arange(len(targets)) % n_folds)
    drawn = Resamples(len(targets), rng, resamples=resamples)
    return {name: _recovery(cross_predict(x, targets, folds), targets, drawn) for name, x in inputs.items()}


def cross_predict(
    features: np.ndarray, targets: np.ndarray, folds: np.ndarray, *, penalties: np.ndarray = PENALTIES
) -> np.ndarray:
    """Predictions for held-out users by ridge regressions.

    Each trait has its own penalty. The fit without folds a and b is validated on b for the probe that holds out a, and
    on a for the probe that holds out b. All fits are computed from sums of products per fold.

    Args:
        features: float (n_draws, n_users, dim).
        targets: float (n_users, n_traits).
        folds: int (n_users,): 0, 1, ...; at least 3 folds.
        penalties: float (n_penalties,), positive.

    Returns:
        float64 (n_draws, n_users, n_traits).
    """
    x = features.astype(np.float64)
    x -= x.mean(axis=(0, 1))  # changes no prediction, and avoids loss of precision in sums of squares
    y = targets.astype(np.float64)
    members = [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]
    products = [_products(x[:, users], y[users]) for users in members]
    total, dim = np.sum(products, axis=0), x.shape[2]
    errors = np.zeros((len(members), len(penalties), y.shape[1]))
    for a, b in combinations(range(len(members)), 2):
        fits = _solve(total - products[a] - products[b], dim, penalties)
        errors[a] += _squared_errors(fits, x[:, members[b]], y[members[b]])
        errors[b] += _squared_errors(fits, x[:, members[a]], y[members[a]])
    predicted = np.empty((*x.shape[:2], y.shape[1]))
    for fold, users in enumerate(members):
        fits = _solve(total - products[fold], dim, penalties)
        best, traits = errors[fold].argmin(axis=0), np.arange(y.shape[1])
        predicted[:, users] = x[:, users] @ fits.weights[best, :, traits].T + fits.intercepts[best, traits]
    return predicted


def r2_stats(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Statistics of every user for R2.

    Args:
        predicted: float (n_draws, n_users, n_traits).
        targets: float (n_users, n_traits).

    Returns:
        float64 (n_users, 2 n_traits): squared errors (mean over draws), then squared distances from the mean of all
        users. The mean is not recomputed in resamples, because their own mean is nearer and would bias R2 downwards.
    """
    y = targets.astype(np.float64)
    return np.concatenate([np.square(predicted - y).mean(axis=0), np.square(y - y.mean(axis=0))], axis=1)


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sufficient statistics of least squares over all draws; they are additive over users.

    Args:
        x: float64 (n_draws, n_users, dim).
        y: float64 (n_users, n_traits).

    Returns:
        float64 (1 + dim + n_traits,) squared: inner products of the columns 1, x and y.
    """
    ones, repeated = np.ones((*x.shape[:2], 1)), np.broadcast_to(y, (len(x), *y.shape))
    rows = np.concatenate([ones, x, repeated], axis=2).reshape(-1, 1 + x.shape[2] + y.shape[1])
    return rows.T @ rows


class _Fits(NamedTuple):
    """Ridge regressions of one set of rows, one per penalty."""

    weights: np.ndarray
    """float64 (n_penalties, dim, n_traits)."""
    intercepts: np.ndarray
    """float64 (n_penalties, n_traits)."""


def _solve(products: np.ndarray, dim: int, penalties: np.ndarray) -> _Fits:
    """Ridge regressions on ``dim`` standardised features: one eigendecomposition for all penalties and traits."""
    means = products[0, 1:] / products[0, 0]
    covariances = products[1:, 1:] / products[0, 0] - np.outer(means, means)
    covariance = covariances[:dim, :dim]
    sd = np.sqrt(covariance.diagonal().clip(min=0))
    sd = np.maximum(sd, _LEAST_SD * np.sqrt(np.square(sd).mean()) or 1.0)
    variances, axes = np.linalg.eigh(covariance / np.outer(sd, sd))
    shared = axes.T @ (covariances[:dim, dim:] / sd[:, None])
    shrunk = shared / (variances.clip(min=0)[:, None] + penalties[:, None, None])
    weights = (axes @ shrunk) / sd[:, None]
    return _Fits(weights, means[dim:] - means[:dim] @ weights)


def _squared_errors(fits: _Fits, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """float64 (n_penalties, n_traits): summed over draws and users."""
    n_penalties, dim, n_traits = fits.weights.shape
    together = fits.weights.transpose(1, 0, 2).reshape(dim, -1)
    predicted = (x @ together).reshape(*x.shape[:2], n_penalties, n_traits) + fits.intercepts
    return np.square(predicted - y[:, None]).sum(axis=(0, 1))


def _recovery(predicted: np.ndarray, targets: np.ndarray, drawn: Resamples) -> Recovery:
    n_traits = targets.shape[1]
    stats, one = r2_stats(predicted, targets), MeanR2(1)
    traits = (drawn.score(one, stats[:, trait::n_traits]) for trait in range(n_traits))
    return Recovery(drawn.score(MeanR2(n_traits), stats), tuple(traits))


def _check(inputs: Mapping[str, np.ndarray], targets: np.ndarray, n_folds: int) -> None:
    if n_folds < 3 or len(targets) < 2 * n_folds:
        raise InputError(
            f"{len(targets)} users cannot be probed in {n_folds} folds", hint="at least 3 folds of 2 users each"
        )
    if not (np.ptp(targets, axis=0) > 0).all():
        raise InputError("a trait is the same for all users", hint="raise user_sd above 0")
    for name, x in inputs.items():
        if x.ndim != 3 or x.shape[1] != len(targets):
            raise InputError(f"input {name!r} has shape {x.shape}, which is not (draws, {len(targets)} users, dim)")
