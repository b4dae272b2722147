"""k-means as scikit-learn's ``KMeans`` computes it by default, without what an estimator costs a call.

Representatives take one clustering of a few dozen vectors for every anchor of every user. There scikit-learn's checks
of its arguments cost several times what the arithmetic does, and the arithmetic is a page.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

_MAX_ITERATIONS = 300
_TOLERANCE = 1e-4


class Clusters(NamedTuple):
    """A clustering."""

    labels: np.ndarray
    """int64 (n,): the cluster of every point."""
    centres: np.ndarray
    """float (k, dim), of the points' dtype."""


def kmeans(points: np.ndarray, k: int, *, seed: int) -> Clusters:
    """Lloyd's algorithm from one greedy k-means++ start (Arthur and Vassilvitskii 2007).

    Draws, arithmetic and stopping rule are those of ``KMeans(n_clusters=k, random_state=seed)``, so that the clusters
    are the same ones in the same order.

    Args:
        points: float (n, dim), at least ``k`` of them distinct.
        k: How many clusters, at least 1.
        seed: Of the start; nothing is seeded globally.
    """
    mean = points.mean(axis=0)
    tolerance = float(points.var(axis=0).mean()) * _TOLERANCE
    centred = points - mean
    centres = centred[_starts(centred.astype(np.float64), k, seed)]
    labels = np.full(len(points), -1)
    for _ in range(_MAX_ITERATIONS):
        previous, labels = labels, _assign(centred, centres)
        moved = _means(centred, labels, centres)
        shift, centres = float(((moved - centres) ** 2).sum()), moved
        if np.array_equal(labels, previous):
            return Clusters(labels, centres + mean)
        if shift <= tolerance:
            break
    return Clusters(_assign(centred, centres), centres + mean)


def _starts(points: np.ndarray, k: int, seed: int) -> list[int]:
    """Places of ``k`` points far from each other: of a few draws by squared distance, each time the best one."""
    trials = 2 + int(np.log(k))
    first, *draws = np.split(_draws(seed, 1 + trials * (k - 1)), range(1, 1 + trials * (k - 1), trials))
    norms = np.einsum("nd,nd->n", points, points)
    chosen = [int(first[0] * len(points))]
    nearest = _squared_distances(points, norms, chosen)[0]
    for draw in draws:
        sums = np.cumsum(nearest)
        drawn = np.minimum(np.searchsorted(sums, draw * sums[-1]), len(points) - 1)
        reached = np.minimum(nearest, _squared_distances(points, norms, drawn))
        best = int(reached.sum(axis=1).argmin())
        nearest = reached[best]
        chosen.append(int(drawn[best]))
    return chosen


@lru_cache(maxsize=64)
def _draws(seed: int, n: int) -> np.ndarray:
    """float64 (n,) in [0, 1), of the legacy generator, for the papers' programs drew from it.

    They do not depend on the points, and seeding that generator costs as much as placing the centres.
    """
    draws = np.random.RandomState(seed).random_sample(n)
    draws.flags.writeable = False
    return draws


def _squared_distances(points: np.ndarray, norms: np.ndarray, places: np.ndarray | list[int]) -> np.ndarray:
    """float64 (len(places), n): of the points at ``places`` to all."""
    distances = norms[places][:, None] - 2 * points[places] @ points.T + norms
    distances[np.arange(len(places)), places] = 0  # rounding leaves something else, and a point is not drawn twice
    return np.maximum(distances, 0, out=distances)


def _assign(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int64 (n,): the nearest centre of every point."""
    return (np.einsum("kd,kd->k", centres, centres) - 2 * points @ centres.T).argmin(axis=1)


def _means(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of every cluster; an empty one takes over a point that is far from its centre."""
    sizes = np.bincount(labels, minlength=len(centres))
    if not sizes.all():
        labels = _refilled(points, labels, centres)
        sizes = np.bincount(labels)
    order, ends = labels.argsort(kind="stable"), sizes.cumsum()
    sums = np.add.reduceat(points[order], ends - sizes, axis=0)
    # The reciprocal first, as scikit-learn rounds it: of a cluster of two, rounding decides which is nearer its centre.
    return sums * (1 / sizes).astype(points.dtype)[:, None]


def _refilled(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The labels with the point farthest from its centre given to each empty cluster, of clusters that can spare it."""
    labels, sizes = labels.copy(), np.bincount(labels, minlength=len(centres))
    distances = ((points - centres[labels]) ** 2).sum(axis=1)
    for label in np.flatnonzero(sizes == 0):
        place = int(np.where(sizes[labels] > 1, distances, -1).argmax())
        sizes[labels[place]] -= 1
        sizes[label], labels[place], distances[place] = 1, label, 0
    return labels
