"""Peers of a user on an item, and selectors of representatives among their reviews (DPL, DRP: clustering).

A peer is any other user who wrote about the same item, optionally before a time. The reader decides which reviews are
visible (a snapshot has one phase's pool). ``kmeans`` computes what scikit-learn's ``KMeans`` computes by default, for
many small sets at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

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


def with_peers(
    reader: ReviewReader, profile: Sequence[Review], *, at_least: int, before: int | None = None
) -> list[Review]:
    """The reviews of ``profile`` whose items have at least ``at_least`` peers, in the same order.

    Source: DRP, anchors for difference extraction (there with 4). Users are counted, not reviews.

    Args:
        reader: The visible reviews.
        profile: Reviews of one user.
        at_least: Fewest other users of an item; 0 keeps everything.
        before: Only peers' reviews with timestamp < ``before`` (seconds) count.
    """
    return [
        review for review in profile if len({peer.user for peer in peers_of(reader, review, before=before)}) >= at_least
    ]


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
    clusters and their order are equal. A result does not depend on the other sets of the batch.

    Args:
        points: float (sets, n, dim); every set has at least ``k`` distinct points.
        k: Number of clusters, at least 1.
        seed: Seed of every set's start; no global generator is seeded.
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
    """int64 (sets, k): initial centres by greedy k-means++: the best of a few draws by squared distance."""
    (sets, n, _), trials = points.shape, 2 + int(np.log(k))
    first, *draws = np.split(_draws(seed, 1 + trials * (k - 1)), range(1, 1 + trials * (k - 1), trials))
    exact, ones = points.astype(np.float64), np.ones((n, 1), dtype=points.dtype)
    norms = np.einsum("snd,snd->sn", exact, exact)
    chosen, rows = np.full((sets, k), int(first[0] * n)), np.arange(sets)
    # Rounded to the points' precision as in scikit-learn: rounding decides between two mutual nearest points.
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
    """float64 (n,) in [0, 1), from the legacy generator, which the papers' programs use.

    They do not depend on the points, and seeding that generator costs as much as choosing the centres.
    """
    draws = np.random.RandomState(seed).random_sample(n)
    draws.flags.writeable = False
    return draws


def _squared_distances(points: np.ndarray, norms: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float64 (sets, m, n): squared distances of each set's points at ``places`` (sets, m) to all points of the set."""
    chosen = np.take_along_axis(points, places[..., None], axis=1)
    own = np.take_along_axis(norms, places, axis=1)[..., None]
    distances = own - 2 * chosen @ points.swapaxes(1, 2) + norms[:, None, :]
    # Exactly 0 despite rounding, so that no point is drawn twice.
    np.put_along_axis(distances, places[..., None], 0, axis=2)
    return np.maximum(distances, 0, out=distances)


def _assign(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int64 (sets, n): the nearest centre of every point."""
    norms = np.einsum("skd,skd->sk", centres, centres)[:, None, :]
    return (norms - 2 * points @ centres.swapaxes(1, 2)).argmin(axis=2)


def _means(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of every cluster; an empty cluster takes a point that is far from its centre."""
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
    # The reciprocal first, rounded as in scikit-learn: in a cluster of two, rounding decides which is nearer.
    return sums * (1 / sizes).astype(points.dtype)[..., None]


def _sizes(labels: np.ndarray, k: int) -> np.ndarray:
    """int64 (sets, k): sizes of the clusters."""
    return (labels[..., None] == np.arange(k)).sum(axis=1)


def _refilled(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The labels after each empty cluster took the point farthest from its centre, from clusters of two or more."""
    labels, sizes = labels.copy(), np.bincount(labels, minlength=len(centres))
    distances = ((points - centres[labels]) ** 2).sum(axis=1)
    for label in np.flatnonzero(sizes == 0):
        place = int(np.where(sizes[labels] > 1, distances, -1).argmax())
        sizes[labels[place]] -= 1
        sizes[label], labels[place], distances[place] = 1, label, 0
    return labels


_NUMBERS = 1 << 20
"""Most numbers per batch of clusterings: a few megabytes."""


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
    chosen = [_distinct(texts) for texts in groups]
    for some in _batches(groups, (place for place, distinct in enumerate(chosen) if len(distinct) >= k)):
        found = _nearest_in_batch(np.stack([groups[place] for place in some]), k, seed)
        for place, clusters in zip(some, found, strict=True):
            chosen[place] = clusters
    return chosen


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


def _batches(groups: Sequence[np.ndarray], places: Iterable[int]) -> Iterator[list[int]]:
    """Batches of indices of groups with one shape, at most ``_NUMBERS`` numbers per batch."""
    shapes: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for place in places:
        shapes[groups[place].shape].append(place)
    for same in shapes.values():
        step = max(1, _NUMBERS // groups[same[0]].size)
        yield from (same[start : start + step] for start in range(0, len(same), step))


def _nearest_in_batch(texts: np.ndarray, k: int, seed: int) -> list[list[int]]:
    """``nearest_to_centres`` of groups (groups, 1 + n, dim) with enough distinct texts."""
    labels, centres = kmeans(texts, k + 1, seed=seed)
    apart = texts[:, 1:] - np.take_along_axis(centres, labels[:, 1:, None], axis=1)
    # The dot product per vector, as in the authors' program: two members are equally far, and rounding decides.
    order = np.sqrt(np.vecdot(apart, apart)).argsort(axis=1, kind="stable")
    return [_firsts(*one) for one in zip(labels.tolist(), order.tolist(), strict=True)]


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
