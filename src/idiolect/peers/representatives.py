"""Which peers stand for all: a few unlike each other, chosen by clustering the reviews of one item (DPL, DRP).

The vectors are the caller's, every distinct text embedded once. Fewer peers than asked for is normal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from idiolect.peers.kmeans import kmeans
from idiolect.registry import Registry

_NUMBERS = 1 << 20
"""Most numbers that are clustered side by side: as many vectors as a few megabytes hold."""


class PeerSelector(Protocol):
    """Chooses representatives among the peers of one item, for many items at once."""

    def __call__(self, groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
        """Places of at most ``k`` peers in every group; what a group is chosen beside changes nothing.

        Args:
            groups: float (1 + n, dim), each: the vector of the user's own review, then those of the others' reviews.
            k: How many, at least 1 (the papers: 4).
            seed: Of everything that is drawn, for every group anew; nothing is seeded globally.

        Returns:
            Places among the others, the first of whom is 0.
        """
        ...


def nearest_to_centres(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """The peer nearest the centre of each of ``k + 1`` clusters but the one the user's own review falls into.

    The review itself is clustered with its peers. Where there are no more than ``k`` distinct texts besides the user's
    own there is nothing to cluster, and each is chosen. Source: DPL's and DRP's released programs, ``KMeans`` of
    scikit-learn with its defaults and ``random_state = 42``; arguments as of ``PeerSelector``.

    Returns:
        In the order of the clusters' labels; fewer than ``k`` where clusters stay empty.
    """
    chosen = [_distinct(texts) for texts in groups]
    for some in _side_by_side(groups, (place for place, distinct in enumerate(chosen) if len(distinct) >= k)):
        found = _beside_centres(np.stack([groups[place] for place in some]), k, seed)
        for place, clusters in zip(some, found, strict=True):
            chosen[place] = clusters
    return chosen


def at_random(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """Any peers, drawn without replacement; arguments as of ``PeerSelector``."""
    return [np.random.default_rng(seed).permutation(len(texts) - 1)[:k].tolist() for texts in groups]


def farthest(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """The peers least like the user's own review by cosine, the least alike first; arguments as of ``PeerSelector``."""
    return [_least_alike(texts[0], texts[1:])[:k] for texts in groups]


def _least_alike(target: np.ndarray, peers: np.ndarray) -> list[int]:
    lengths = np.linalg.norm(peers, axis=1) * np.linalg.norm(target)
    alike = (peers @ target) / np.where(lengths > 0, lengths, 1)
    return np.argsort(alike, kind="stable").tolist()


def _distinct(texts: np.ndarray) -> list[int]:
    """Places of the others' texts, each distinct one once, none that is the user's own."""
    first = {text.tobytes(): row for row, text in reversed(list(enumerate(texts)))}
    return sorted(row - 1 for row in first.values() if row > 0)


def _side_by_side(groups: Sequence[np.ndarray], places: Iterable[int]) -> Iterator[list[int]]:
    """The places of groups of one shape, no more at once than memory has room for."""
    shapes: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for place in places:
        shapes[groups[place].shape].append(place)
    for alike in shapes.values():
        step = max(1, _NUMBERS // groups[alike[0]].size)
        yield from (alike[start : start + step] for start in range(0, len(alike), step))


def _beside_centres(texts: np.ndarray, k: int, seed: int) -> list[list[int]]:
    """``nearest_to_centres`` of groups (groups, 1 + n, dim) with enough distinct texts."""
    labels, centres = kmeans(texts, k + 1, seed=seed)
    apart = texts[:, 1:] - np.take_along_axis(centres, labels[:, 1:, None], axis=1)
    # The dot product of single vectors, as the authors' program: two members are equally far; rounding decides.
    order = np.sqrt(np.vecdot(apart, apart)).argsort(axis=1, kind="stable")
    return [_firsts(*one) for one in zip(labels.tolist(), order.tolist(), strict=True)]


def _firsts(labels: Sequence[int], order: Sequence[int]) -> list[int]:
    """The first peer in ``order`` of every cluster but the user's own, whose label is the first."""
    own, *theirs = labels
    firsts = {theirs[place]: place for place in reversed(order)}
    return [firsts[label] for label in sorted(firsts) if label != own]


SELECTORS: Registry[PeerSelector] = Registry(
    "peer selector",
    {
        "kmeans": "idiolect.peers.representatives:nearest_to_centres",
        "random": "idiolect.peers.representatives:at_random",
        "farthest": "idiolect.peers.representatives:farthest",
    },
)
