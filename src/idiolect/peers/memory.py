"""Reviews in plain lists behind the reader's seam: for tests and for programs whose data fit in a notebook cell."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from idiolect.errors import ConfigError, NotFoundError
from idiolect.store.base import PeerSums
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId


class InMemoryReviews:
    """A ``ReviewReader`` over lists. Every look-up scans, which is right for hundreds of reviews and no more.

    Args:
        items: Known items.
        reviews: Visible reviews, in any order.
        vectors: float (dim,) for every review that has one; one encoder's.
        encoder: That encoder's name.
        not_peers: Users with whom nobody is compared.
    """

    def __init__(
        self,
        items: Iterable[Item],
        reviews: Iterable[Review],
        vectors: Mapping[ReviewId, np.ndarray],
        *,
        encoder: str,
        not_peers: Container[UserId] = (),
    ) -> None:
        self._not_peers = not_peers
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

    def crowd_sums(
        self,
        crowds: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """See ``ReviewReader``."""
        peers = self._peers(exclude, before)
        category = {item.id: item.category for item in self._items.values()}
        about = [[r for r in peers if crowd in (None, category.get(r.item, ""))] for crowd in crowds]
        return self._sums(about, encoder, at_least)

    def _peers(self, exclude: UserId, before: int | None) -> list[Review]:
        if before is not None and all(review.timestamp is None for review in self._reviews):
            raise ConfigError("no time cut between users: the reviews have no timestamps", hint="leave out `before`")
        others = (r for r in self._reviews if r.user != exclude and r.user not in self._not_peers)
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
