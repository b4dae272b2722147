"""Which peers stand for all: a few unlike each other, chosen by clustering the reviews of one item (DPL, DRP).

The vectors are the caller's, every distinct text embedded once. Fewer peers than asked for is normal.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from idiolect.peers.kmeans import kmeans
from idiolect.registry import Registry


class PeerSelector(Protocol):
    """Chooses representatives among the peers of one item."""

    def __call__(self, target: np.ndarray, peers: np.ndarray, k: int, *, seed: int = 42) -> list[int]:
        """Places of at most ``k`` of ``peers``.

        Args:
            target: float (dim,): the vector of the user's own review.
            peers: float (n, dim): vectors of the others' reviews.
            k: How many, at least 1 (the papers: 4).
            seed: Of everything that is drawn; nothing is seeded globally.
        """
        ...


def nearest_to_centres(target: np.ndarray, peers: np.ndarray, k: int, *, seed: int = 42) -> list[int]:
    """The peer nearest the centre of each of ``k + 1`` clusters but the one the user's own review falls into.

    The review itself is clustered with its peers. Where there are no more than ``k`` distinct texts besides the user's
    own there is nothing to cluster, and each is chosen. Source: DPL's and DRP's released programs, ``KMeans`` of
    scikit-learn with its defaults and ``random_state = 42``; arguments as of ``PeerSelector``.

    Returns:
        In the order of the clusters' labels; fewer than ``k`` where clusters stay empty.
    """
    texts = np.vstack([target, peers])
    distinct = {text.tobytes(): row for row, text in reversed(list(enumerate(texts)))}
    if len(distinct) <= k:
        return sorted(row - 1 for row in distinct.values() if row > 0)
    found = kmeans(texts, k + 1, seed=seed)
    own, labels = found.labels[0], found.labels[1:]
    clusters = [label for label in range(k + 1) if label != own and (labels == label).any()]
    return [_nearest(peers, np.flatnonzero(labels == label), found.centres[label]) for label in clusters]


def at_random(target: np.ndarray, peers: np.ndarray, k: int, *, seed: int = 42) -> list[int]:
    """Any peers, drawn without replacement; arguments as of ``PeerSelector``."""
    drawn = np.random.default_rng(seed).permutation(len(peers))[:k]
    return [int(place) for place in drawn]


def farthest(target: np.ndarray, peers: np.ndarray, k: int, *, seed: int = 42) -> list[int]:
    """The peers least like the user's own review by cosine, the least alike first; arguments as of ``PeerSelector``."""
    lengths = np.linalg.norm(peers, axis=1) * np.linalg.norm(target)
    alike = (peers @ target) / np.where(lengths > 0, lengths, 1)
    return [int(place) for place in np.argsort(alike, kind="stable")[:k]]


def _nearest(peers: np.ndarray, members: np.ndarray, centre: np.ndarray) -> int:
    # One vector at a time, as the authors' program: two members are equally far from their centre; rounding decides.
    return int(min(members, key=lambda place: float(np.linalg.norm(peers[place] - centre))))


SELECTORS: Registry[PeerSelector] = Registry(
    "peer selector",
    {
        "kmeans": "idiolect.peers.representatives:nearest_to_centres",
        "random": "idiolect.peers.representatives:at_random",
        "farthest": "idiolect.peers.representatives:farthest",
    },
)
