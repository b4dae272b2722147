"""k-means as scikit-learn's ``KMeans`` computes it by default, without what an estimator costs a call.

Representatives take one clustering of a few dozen vectors for every anchor of every user. There scikit-learn's checks
of its arguments cost several times what the arithmetic does, and the arithmetic is a page. A call of numpy on one such
clustering costs several times its arithmetic too, so clusterings of one size are computed side by side.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

_MAX_ITERATIONS = 300
_TOLERANCE = 1e-4


class Clusters(NamedTuple):
    """A clustering of each set."""

    labels: np.ndarray
    """int64 (sets, n): the cluster of every point."""
    centres: np.ndarray
    """float (sets, k, dim), of the points' dtype."""


def kmeans(points: np.ndarray, k: int, *, seed: int) -> Clusters:
    """Lloyd's algorithm from one greedy k-means++ start (Arthur and Vassilvitskii 2007), of many sets at once.

    Draws, arithmetic and stopping rule are those of ``KMeans(n_clusters=k, random_state=seed)`` on each set, so that
    the clusters are the same ones in the same order. What a set is clustered beside changes nothing.

    Args:
        points: float (sets, n, dim), at least ``k`` of every set's distinct.
        k: How many clusters, at least 1.
        seed: Of every set's start; nothing is seeded globally.
    """
    mean = points.mean(axis=1, keepdims=True)
    tolerance = points.var(axis=1).mean(axis=1).astype(np.float64) * _TOLERANCE
    centred = points - mean
    chosen = _starts(centred, k, seed)
    centres, labels = np.take_along_axis(centred, chosen[..., None], axis=1), np.full(points.shape[:2], -1)
    moving, unsettled = np.arange(len(points)), np.ones(len(points), dtype=bool)
    for _ in range(_MAX_ITERATIONS):
        own, before = centred[moving], centres[moving]
        assigned = _assign(own, before)
        moved = _means(own, assigned, before)
        unsettled[moving] = (assigned != labels[moving]).any(axis=1)
        labels[moving], centres[moving] = assigned, moved
        shift = ((moved - before) ** 2).reshape(len(moving), -1).sum(axis=1)
        moving = moving[unsettled[moving] & (shift > tolerance[moving])]
        if not len(moving):
            break
    labels[unsettled] = _assign(centred[unsettled], centres[unsettled])
    return Clusters(labels, centres + mean)


def _starts(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    """int64 (sets, k): points far from each other: of a few draws by squared distance, each time the best one."""
    (sets, n, _), trials = points.shape, 2 + int(np.log(k))
    first, *draws = np.split(_draws(seed, 1 + trials * (k - 1)), range(1, 1 + trials * (k - 1), trials))
    exact, ones = points.astype(np.float64), np.ones((n, 1), dtype=points.dtype)
    norms = np.einsum("snd,snd->sn", exact, exact)
    chosen, rows = np.full((sets, k), int(first[0] * n)), np.arange(sets)
    # Rounded to the points' own precision: of two points that are each other's nearest, rounding decides.
    nearest = _squared_distances(exact, norms, chosen[:, :1])[:, 0].astype(points.dtype)
    left = nearest @ ones
    for column, draw in enumerate(draws, start=1):
        sums = np.cumsum(nearest, axis=1)
        below = sums[:, None, :] < (draw * left.astype(np.float64))[..., None]
        drawn = np.minimum(below.sum(axis=2), n - 1)
        reached = np.minimum(nearest[:, None, :], _squared_distances(exact, norms, drawn).astype(points.dtype))
        would_be_left = reached @ ones
        best = would_be_left[..., 0].argmin(axis=1)
        nearest, left, chosen[:, column] = reached[rows, best], would_be_left[rows, best], drawn[rows, best]
    return chosen


@lru_cache(maxsize=64)
def _draws(seed: int, n: int) -> np.ndarray:
    """float64 (n,) in [0, 1), of the legacy generator, for the papers' programs drew from it.

    They do not depend on the points, and seeding that generator costs as much as placing the centres.
    """
    draws = np.random.RandomState(seed).random_sample(n)
    draws.flags.writeable = False
    return draws


def _squared_distances(points: np.ndarray, norms: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float64 (sets, m, n): of each set's points at ``places`` (sets, m) to all of that set."""
    chosen = np.take_along_axis(points, places[..., None], axis=1)
    own = np.take_along_axis(norms, places, axis=1)[..., None]
    distances = own - 2 * chosen @ points.swapaxes(1, 2) + norms[:, None, :]
    # Rounding leaves something else, and a point is not drawn twice.
    np.put_along_axis(distances, places[..., None], 0, axis=2)
    return np.maximum(distances, 0, out=distances)


def _assign(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int64 (sets, n): the nearest centre of every point."""
    norms = np.einsum("skd,skd->sk", centres, centres)[:, None, :]
    return (norms - 2 * points @ centres.swapaxes(1, 2)).argmin(axis=2)


def _means(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of every cluster; an empty one takes over a point that is far from its centre."""
    sets, k, dim = centres.shape
    sizes = _sizes(labels, k)
    short = np.flatnonzero(~sizes.all(axis=1))
    if len(short):
        labels = labels.copy()
        for row in short:
            labels[row] = _refilled(points[row], labels[row], centres[row])
        sizes = _sizes(labels, k)
    order = (labels + np.arange(0, sets * k, k)[:, None]).ravel().argsort(kind="stable")
    ends = sizes.ravel().cumsum()
    sums = np.add.reduceat(points.reshape(-1, dim)[order], ends - sizes.ravel(), axis=0).reshape(centres.shape)
    # The reciprocal first, as scikit-learn rounds it: of a cluster of two, rounding decides which is nearer its centre.
    return sums * (1 / sizes).astype(points.dtype)[..., None]


def _sizes(labels: np.ndarray, k: int) -> np.ndarray:
    """int64 (sets, k): members of every cluster."""
    return (labels[..., None] == np.arange(k)).sum(axis=1)


def _refilled(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The labels with the point farthest from its centre given to each empty cluster, of clusters that can spare it."""
    labels, sizes = labels.copy(), np.bincount(labels, minlength=len(centres))
    distances = ((points - centres[labels]) ** 2).sum(axis=1)
    for label in np.flatnonzero(sizes == 0):
        place = int(np.where(sizes[labels] > 1, distances, -1).argmax())
        sizes[labels[place]] -= 1
        sizes[label], labels[place], distances[place] = 1, label, 0
    return labels
