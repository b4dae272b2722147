"""The two ways to compare a user's reviews with their peers: the paper's plain mean and its program's weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from idiolect.difference.latent import Differences, peer_mean_difference, weighted_difference
from idiolect.peers.pool import peers_of
from idiolect.store.base import ReviewReader
from idiolect.types import UNDATED, Moment, Review, ReviewId

PeerWeighting = Literal["mean", "profile_distance"]


class Comparison(Protocol):
    """Compares reviews of one user with what others wrote about the same items."""

    def __call__(
        self, chosen: Sequence[Review], own: np.ndarray, *, history: Sequence[Review], before: int | None
    ) -> Differences:
        """One difference a review.

        Args:
            chosen: Reviews of one user, at least one.
            own: float (len(chosen), dim): their vectors.
            history: The user's visible reviews, of which ``chosen`` are some.
            before: Only peers' reviews with timestamp < ``before`` (seconds) are known.
        """
        ...


@dataclass(frozen=True, slots=True)
class MeanOfPeers:
    """Eq. 4 of the DEP paper, by item sums: no peer is read."""

    reader: ReviewReader
    encoder: str
    min_peers: int

    def __call__(
        self, chosen: Sequence[Review], own: np.ndarray, *, history: Sequence[Review], before: int | None
    ) -> Differences:
        """See ``Comparison``."""
        items, user = [review.item for review in chosen], chosen[0].user
        peers = self.reader.peer_sums(items, exclude=user, encoder=self.encoder, before=before, at_least=self.min_peers)
        return peer_mean_difference(own, peers.sums, peers.counts)


@dataclass(frozen=True, slots=True)
class ProfileDistance:
    """The weighting of the DEP authors' program, which reads every peer's review and whole history."""

    reader: ReviewReader
    encoder: str
    min_peers: int

    def __call__(
        self, chosen: Sequence[Review], own: np.ndarray, *, history: Sequence[Review], before: int | None
    ) -> Differences:
        """See ``Comparison``."""
        user_mean = self._mean([review.id for review in history])
        pools = [self._pool(review, before) for review in chosen]
        diff = np.zeros(own.shape, dtype=np.float32)
        for row, pool in enumerate(pools):
            if pool:
                vectors = self.reader.vectors([peer.id for peer in pool], encoder=self.encoder)
                means = np.stack([self._history_mean(peer, before) for peer in pool])
                diff[row] = weighted_difference(own[row], vectors, np.linalg.norm(means - user_mean, axis=1))
        return Differences(diff, np.array([len(pool) for pool in pools], dtype=np.int64))

    def _pool(self, review: Review, before: int | None) -> list[Review]:
        """The review's peers; nobody where they are too few."""
        pool = peers_of(self.reader, review, before=before)
        return pool if len({peer.user for peer in pool}) >= self.min_peers else []

    def _history_mean(self, peer: Review, before: int | None) -> np.ndarray:
        """The mean vector of the peer's history, or of the review itself where no history of theirs is visible."""
        history = self.reader.profile(peer.user, before=None if before is None else Moment(before, UNDATED))
        if before is not None:  # what has no timestamp may be later than the cut
            history = [review for review in history if review.timestamp is not None]
        return self._mean([review.id for review in history] or [peer.id])

    def _mean(self, ids: Sequence[ReviewId]) -> np.ndarray:
        return self.reader.vectors(ids, encoder=self.encoder).mean(axis=0, dtype=np.float64)


COMPARISONS: dict[PeerWeighting, type[MeanOfPeers] | type[ProfileDistance]] = {
    "mean": MeanOfPeers,
    "profile_distance": ProfileDistance,
}
