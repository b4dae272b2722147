"""Who may see which review in which phase (docs/architecture.md, "Visibility, per phase").

Own history and the peers' pool are separate sets: a review without a role is nobody's history and may still be a peer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import polars as pl

from idiolect.store.base import PeerSums, ReviewReader
from idiolect.types import Item, ItemId, Moment, Phase, Review, ReviewId, UserId

SplitRole = Literal["profile", "train", "validation", "test"]
"""What a split says of a review: known past, or the target of a sample of that phase."""

PeerPool = Literal["corpus", "split"]
"""Whose reviews may be peers: everybody's, or only those that the split gives a role."""

HISTORY: Mapping[Phase, tuple[SplitRole, ...]] = {
    "fit": ("profile", "train"),
    "validation": ("profile", "train"),
    "test": ("profile", "train", "validation"),
}
"""Roles that are history in a phase; before a fit target only what is strictly earlier is taken from it."""

HIDDEN: Mapping[Phase, tuple[SplitRole, ...]] = {
    "fit": ("validation", "test"),
    "validation": ("validation", "test"),
    "test": ("test",),
}
"""Roles that nobody sees in a phase."""


def is_history(phase: Phase) -> pl.Expr:
    """Over a column ``role`` (null: none): is the review its user's history?"""
    return pl.col("role").is_in(HISTORY[phase]).fill_null(False)


def is_peer(phase: Phase, peers: PeerPool) -> pl.Expr:
    """Over a column ``role`` (null: none): may the review be compared with?"""
    return ~pl.col("role").is_in(HIDDEN[phase]).fill_null(peers == "split")


class KnownUsers(ReviewReader, Protocol):
    """A reader that can list whom others may be compared with: a snapshot or a live store."""

    def peers(self) -> list[UserId]:
        """Everybody who wrote something that others may be compared with."""
        ...


class WithoutReviews:
    """A reader that does not show some reviews of one user; what is summed over others is as it was.

    Args:
        reader: What is visible otherwise.
        hidden: The reviews that are not shown.
        user: Who wrote them. Sums and vectors of others never hold them, since they are asked for without this user.
    """

    def __init__(self, reader: KnownUsers, hidden: Collection[ReviewId], *, user: UserId) -> None:
        self._reader, self._hidden, self._user = reader, frozenset(hidden), user

    def peers(self) -> list[UserId]:
        """See ``KnownUsers``."""
        return self._reader.peers()

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._shown(self._reader.profile(user, before=before))

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._shown(self._reader.reviews_of(item, exclude=exclude, before=before))

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``ReviewReader``."""
        return self._reader.items(ids)

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """See ``ReviewReader``."""
        return self._reader.vectors(ids, encoder=encoder)

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """See ``ReviewReader``.

        Raises:
            ValueError: The user is not the one who is excluded, so that the sums would hold the hidden reviews.
        """
        self._check(exclude)
        return self._reader.peer_sums(items, exclude=exclude, encoder=encoder, before=before, at_least=at_least)

    def crowd_sums(
        self,
        crowds: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """See ``peer_sums``."""
        self._check(exclude)
        return self._reader.crowd_sums(crowds, exclude=exclude, encoder=encoder, before=before, at_least=at_least)

    def _shown(self, reviews: list[Review]) -> list[Review]:
        return [review for review in reviews if review.id not in self._hidden]

    def _check(self, exclude: UserId) -> None:
        if exclude != self._user:
            raise ValueError(f"sums without {exclude!r} would hold the hidden reviews of {self._user!r}")
