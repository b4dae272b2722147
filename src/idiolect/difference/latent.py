"""How one text differs from what others wrote about the same thing, as a vector (DEP, Eq. 2-4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Differences(NamedTuple):
    """Difference vectors, one row a review."""

    diff: np.ndarray
    """float32 (n, dim): own vector minus the peers' mean; a zero row where there are too few peers."""
    n_peers: np.ndarray
    """int64 (n,): how many peer reviews the row was compared with."""


def peer_mean_difference(own: np.ndarray, sums: np.ndarray, counts: np.ndarray, *, min_peers: int = 1) -> Differences:
    """Own vectors minus the plain mean of the peers' (DEP, Eq. 4, by sums).

    The mean of ``e_own - e_peer`` over the peers is ``e_own - sum(e_peer) / m``, so no peer is read one by one.

    Args:
        own: float (n, dim): the user's vectors.
        sums: float (n, dim): for each the sum of the peers' vectors.
        counts: int (n,): for each the number of peers' reviews summed.
        min_peers: Below so many, at least 1, there is no difference (a zero row).
    """
    means = sums / np.maximum(counts, 1).astype(sums.dtype)[:, None]
    diff = (own - means).astype(np.float32, copy=False)
    diff[counts < max(min_peers, 1)] = 0
    return Differences(diff, counts.astype(np.int64))


def weighted_difference(own: np.ndarray, peers: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Own vector minus a weighted mean of the peers', as the DEP authors' program computes it instead of Eq. 4.

    A peer's weight is the softmax, over the peers, of its share of the summed distances. Shares are at most 1, so the
    weights are nearly uniform and slightly favour peers whose histories are unlike the user's.

    Args:
        own: float (dim,).
        peers: float (m, dim), m at least 1.
        distances: float (m,), each >= 0: L2 distance between the mean vectors of the user's and each peer's history.

    Returns:
        float32 (dim,). Peers count equally where all distances are 0 (the authors' program yields NaN).
    """
    total = distances.sum(dtype=np.float64)
    weights = np.exp(distances / total if total > 0 else np.zeros(len(distances)))
    return (own - (weights / weights.sum()) @ peers.astype(np.float64)).astype(np.float32)
