"""Peers of a user on an item, and selectors of representatives among their reviews (DPL, DRP: clustering).

A peer is any other user who wrote about the same item, optionally before a time. The reader decides which reviews are
visible (a snapshot has one phase's pool).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from idiolect.errors import ConfigError, NotFoundError
from idiolect.registry import Registry
from idiolect.store.base import PeerSums, ReviewReader
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, Sample, UserId


def time_cut(sample: Sample) -> int | None:
    """The time (seconds) before which peers must have written.

    Returns:
        The sample's timestamp; None (no cut) for a new text, because all stored reviews are in the past.

    Raises:
        ConfigError: The sample has no timestamp; its order is unrelated to other users' reviews.
    """
    if sample.target is None:
        return None
    if sample.timestamp is None:
        raise ConfigError(
            f"no time cut between users without timestamps (review {sample.target!r})", hint="set peers_before to false"
        )
    return sample.timestamp


def peers_of(reader: ReviewReader, review: Review, *, before: int | None = None) -> list[Review]:
    """The visible reviews of the same item by other users, oldest first.

    Args:
        reader: The visible reviews.
        review: The compared review.
        before: Only reviews with timestamp < ``before`` (seconds).
    """
    return reader.reviews_of(review.item, exclude=review.user, before=before)


class InMemoryReviews:
    """A ``ReviewReader`` over lists. Every look-up is a scan, so use it for hundreds of reviews at most.

    Args:
        items: Known items.
        reviews: Visible reviews, in any order.
        vectors: float (dim,) per review, of one encoder.
        encoder: The encoder's name.
        opted_out: Users who opted out of comparison.
    """

    def __init__(
        self,
        items: Iterable[Item],
        reviews: Iterable[Review],
        vectors: Mapping[ReviewId, np.ndarray],
        *,
        encoder: str,
        opted_out: Container[UserId] = (),
    ) -> None:
        self._opted_out = opted_out
        self._items = {item.id: item for item in items}
        self._reviews = sorted(reviews, key=lambda review: review.moment)
        self._vectors = {key: np.asarray(vector, dtype=np.float16) for key, vector in vectors.items()}
        self._encoder = encoder
        self._dim = len(next(iter(self._vectors.values()))) if self._vectors else 0

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return [
            review for review in self._reviews if review.user == user and (before is None or review.moment < before)
        ]

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return [review for review in self._peers(exclude, before) if review.item == item]

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``ReviewReader``."""
        return {key: self._items[key] for key in ids if key in self._items}

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """See ``ReviewReader``."""
        for key in ids:
            if encoder != self._encoder or key not in self._vectors:
                raise NotFoundError(f"review {key!r} has no vector of encoder {encoder!r}", hint="embed it first")
        return np.array([self._vectors[key] for key in ids], dtype=np.float16).reshape(len(ids), self._dim)

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """See ``ReviewReader``."""
        found = [self.reviews_of(item, exclude=exclude, before=before) for item in items]
        return self._sums(found, encoder, at_least)

    def peer_group_sums(
        self,
        groups: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """See ``ReviewReader``."""
        peers = self._peers(exclude, before)
        category = {item.id: item.category for item in self._items.values()}
        about = [[r for r in peers if group in (None, category.get(r.item, ""))] for group in groups]
        return self._sums(about, encoder, at_least)

    def _peers(self, exclude: UserId, before: int | None) -> list[Review]:
        if before is not None and all(review.timestamp is None for review in self._reviews):
            raise ConfigError("no time cut between users: the reviews have no timestamps", hint="leave out `before`")
        others = (r for r in self._reviews if r.user != exclude and r.user not in self._opted_out)
        return [r for r in others if before is None or (r.timestamp is not None and r.timestamp < before)]

    def _sums(self, groups: Sequence[Sequence[Review]], encoder: str, at_least: int) -> PeerSums:
        sums = np.zeros((len(groups), self._dim))
        counts = np.zeros(len(groups), dtype=np.int64)
        for row, group in enumerate(groups):
            peers = [peer for peer in group if peer.id in self._vectors]
            if len({peer.user for peer in peers}) < at_least:
                continue
            vectors = self.vectors([peer.id for peer in peers], encoder=encoder)
            sums[row], counts[row] = vectors.sum(axis=0, dtype=np.float64), len(vectors)
        return PeerSums(sums, counts)


class PeerSelector(Protocol):
    """Chooses representatives among the peers of one item, for many items at once."""

    def __call__(self, groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
        """Choose at most ``k`` peers per group, independently of the other groups.

        Args:
            groups: float (1 + n, dim), each: the vector of the user's own review, then those of the peers' reviews.
            k: Number of representatives, at least 1 (the papers: 4).
            seed: Seed of every group's draws; no global generator is seeded.

        Returns:
            Indices of the peers, from 0.
        """
        ...


def nearest_to_centres(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """The peer nearest to the centre of each of ``k + 1`` clusters, without the cluster of the user's own review.

    The review is clustered together with its peers. With at most ``k`` distinct texts besides the user's own, all are
    chosen without clustering. Source: DPL's and DRP's released programs, ``KMeans`` of scikit-learn with its defaults
    and ``random_state = 42``. Arguments: see ``PeerSelector``.

    Returns:
        In the order of the clusters' labels; fewer than ``k`` if clusters are empty.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # OpenMP's threads would be started for every group, which takes longer than clustering a small one.
    with threadpool_limits(1):
        return [_nearest(texts, k, KMeans(n_clusters=k + 1, random_state=seed)) for texts in groups]


def _nearest(texts: np.ndarray, k: int, kmeans: Any) -> list[int]:
    """``nearest_to_centres`` of one group."""
    distinct = _distinct(texts)
    if len(distinct) < k:
        return distinct
    kmeans.fit(texts)
    apart = texts[1:] - kmeans.cluster_centers_[kmeans.labels_[1:]]
    # The dot product per vector, as in the authors' program: two members are equally far, and rounding decides.
    order = np.sqrt(np.vecdot(apart, apart)).argsort(kind="stable")
    return _firsts(kmeans.labels_.tolist(), order.tolist())


def at_random(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """Random peers, drawn without replacement. Arguments: see ``PeerSelector``."""
    return [np.random.default_rng(seed).permutation(len(texts) - 1)[:k].tolist() for texts in groups]


def farthest(groups: Sequence[np.ndarray], k: int, *, seed: int = 42) -> list[list[int]]:
    """The peers with the smallest cosine to the user's own review, smallest first. Arguments: see ``PeerSelector``."""
    return [_by_cosine(texts[0], texts[1:])[:k] for texts in groups]


def _by_cosine(target: np.ndarray, peers: np.ndarray) -> list[int]:
    lengths = np.linalg.norm(peers, axis=1) * np.linalg.norm(target)
    cosines = (peers @ target) / np.where(lengths > 0, lengths, 1)
    return np.argsort(cosines, kind="stable").tolist()


def _distinct(texts: np.ndarray) -> list[int]:
    """Indices of the peers' distinct texts, without the user's own text."""
    first = {text.tobytes(): row for row, text in reversed(list(enumerate(texts)))}
    return sorted(row - 1 for row in first.values() if row > 0)


def _firsts(labels: Sequence[int], order: Sequence[int]) -> list[int]:
    """The first peer in ``order`` of every cluster but the user's own, whose label comes first."""
    own, *theirs = labels
    firsts = {theirs[place]: place for place in reversed(order)}
    return [firsts[label] for label in sorted(firsts) if label != own]


SELECTORS: Registry[PeerSelector] = Registry(
    "peer selector",
    {
        "kmeans": "idiolect.peers:nearest_to_centres",
        "random": "idiolect.peers:at_random",
        "farthest": "idiolect.peers:farthest",
    },
)
