"""A user's reviews beside others' reviews of the same items: all that a card rests on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from idiolect.errors import NotFoundError
from idiolect.experiments.explain.settings import ExplainConfig
from idiolect.peers.pool import peers_of
from idiolect.store.base import ReviewReader
from idiolect.types import ItemId, Review, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One user against the crowd, item by item."""

    user: UserId
    n_reviews: int
    """All of the user's reviews, comparable or not."""
    own: tuple[Review, ...]
    """The user's newest review of each item that others wrote about too, oldest first."""
    peers: tuple[tuple[Review, ...], ...]
    """For each, others' reviews of the item; these are measured and never shown."""

    @property
    def n_peer_reviews(self) -> int:
        """Others' reviews compared with."""
        return sum(map(len, self.peers))

    @property
    def n_others(self) -> int:
        """Users who wrote them."""
        return len({peer.user for peer in chain.from_iterable(self.peers)})

    @property
    def texts(self) -> list[str]:
        """Every text that is measured."""
        return [review.text for review in (*self.own, *chain.from_iterable(self.peers))]


def gather(reader: ReviewReader, user: UserId, config: ExplainConfig) -> Compared:
    """What there is to compare for a user.

    Raises:
        NotFoundError: The user has no review.
    """
    profile = reader.profile(user)
    if not profile:
        raise NotFoundError(f"no review by user {user!r} in the store", hint="check the id; ids are case-sensitive")
    newest: dict[ItemId, Review] = {review.item: review for review in profile}
    own: list[Review] = []
    peers: list[tuple[Review, ...]] = []
    rng = np.random.default_rng(config.seed)
    for review in sorted(newest.values(), key=lambda one: one.moment, reverse=True):
        if len(own) == config.max_items:
            break
        others = peers_of(reader, review)
        if len({other.user for other in others}) >= config.min_peers:
            own.append(review)
            peers.append(_some(others, config.max_peers, rng))
    return Compared(user=user, n_reviews=len(profile), own=tuple(own[::-1]), peers=tuple(peers[::-1]))


def _some(reviews: list[Review], most: int, rng: np.random.Generator) -> tuple[Review, ...]:
    if len(reviews) <= most:
        return tuple(reviews)
    return tuple(reviews[k] for k in np.sort(rng.choice(len(reviews), most, replace=False)))
