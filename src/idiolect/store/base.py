"""Interfaces of the store, and which reviews are visible per phase (docs/architecture.md, "Visibility, per phase").

A live store and a snapshot of one phase are both a ``ReviewReader``, so everything built on top works with either.
A user's own history and the pool of peers are separate sets: a review without a role is in no history and may still be
a peer review.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import polars as pl

from idiolect.types import Item, ItemId, Moment, Phase, Review, ReviewId, UserId


class PeerSums(NamedTuple):
    """Sum and number of the peers' vectors per item (Eq. 4)."""

    sums: np.ndarray
    """float64 (n_items, dim): sum over the others' vectors of the item."""
    counts: np.ndarray
    """int64 (n_items,): how many of the others' reviews were summed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddReport:
    """Counts of an ``add``."""

    items_added: int = 0
    items_known: int = 0
    reviews_added: int = 0
    reviews_known: int = 0
    refused_items: tuple[tuple[ItemId, str], ...] = ()
    """Not stored, each with the reason."""
    refused_reviews: tuple[tuple[ReviewId, str], ...] = ()

    @property
    def refused(self) -> tuple[tuple[ReviewId | ItemId, str], ...]:
        """Items and reviews not stored, each with the reason."""
        return (*self.refused_items, *self.refused_reviews)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """What a ``forget`` removed, without naming the user."""

    reviews: int
    vectors: int
    items_touched: int
    items_removed: int = 0
    """Records with texts of items that only this user wrote about."""
    items_shared: int = 0
    """Records with texts of items that stay because others wrote about them too."""
    vacuumed: bool = True
    """Whether the database files were rewritten without deleted bytes; other processes that read them can prevent
    it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A user's correction of a claimed difference."""

    difference: str
    """Name of a measure, or an attribute of the taxonomy."""
    text: str = ""
    """The user's own statement, used instead of the claim; empty: the difference is muted."""

    @property
    def state(self) -> Literal["muted", "corrected"]:
        """Whether the claim is left out, or replaced by the user's statement."""
        return "corrected" if self.text else "muted"


class ReviewReader(Protocol):
    """Read access to reviews and vectors, as retrieval, differences and contexts need it."""

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """The user's visible reviews, oldest first, strictly before ``before``; empty for an unknown user."""
        ...

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """Visible peer reviews of ``item`` by others than ``exclude``, oldest first, with timestamp < ``before``."""
        ...

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """The known items among ``ids``."""
        ...

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """float16 (n, dim), row k for ``ids[k]``.

        Raises:
            NotFoundError: A review has no vector of this encoder.
        """
        ...

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """Sums and counts of the others' visible vectors, row k for ``items[k]`` (Eq. 4 by item sums).

        Args:
            items: Items, repeats allowed.
            exclude: The user whose own reviews are left out.
            encoder: Name of the encoder that made the vectors.
            before: Only reviews with timestamp < ``before`` (seconds) count.
            at_least: Minimum number of distinct users; a sum of fewer is suppressed: a row of zeros and the count 0.
        """
        ...

    def peer_group_sums(
        self,
        groups: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """Sums and counts of the others' visible vectors, one row per group.

        Args:
            groups: A category: all who wrote about its items; None: all who wrote.
            exclude: The user whose own reviews are left out.
            encoder: Name of the encoder that made the vectors.
            before: Only reviews with timestamp < ``before`` (seconds) count.
            at_least: Minimum number of distinct users, as in ``peer_sums``.
        """
        ...


SplitRole = Literal["profile", "train", "validation", "test"]
"""Role of a review in a split: known past, or the target of a sample of that phase."""

PeerPool = Literal["corpus", "split"]
"""Whose reviews may be peers: all reviews, or only those with a role in the split."""

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
"""Roles that are hidden in a phase."""


def is_history(phase: Phase) -> pl.Expr:
    """Over a column ``role`` (null: none): is the review its user's history?"""
    return pl.col("role").is_in(HISTORY[phase]).fill_null(False)


def is_peer(phase: Phase, peers: PeerPool) -> pl.Expr:
    """Over a column ``role`` (null: none): may the review be compared with?"""
    return ~pl.col("role").is_in(HIDDEN[phase]).fill_null(peers == "split")


class KnownUsers(ReviewReader, Protocol):
    """A reader that can list its peers: a snapshot or a live store."""

    def peers(self) -> list[UserId]:
        """All users that others may be compared with."""
        ...


class WrappedReader:
    """Base of readers that show less than another reader; by itself it changes nothing.

    Args:
        reader: What is visible otherwise.
    """

    def __init__(self, reader: KnownUsers) -> None:
        self._reader = reader

    def peers(self) -> list[UserId]:
        """See ``KnownUsers``."""
        return self._reader.peers()

    def corrections(self, user: UserId) -> list[Correction]:
        """The user's corrections; none, if the reader is no live store."""
        found = getattr(self._reader, "corrections", None)
        return found(user) if found else []

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._reader.profile(user, before=before)

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._reader.reviews_of(item, exclude=exclude, before=before)

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``ReviewReader``."""
        return self._reader.items(ids)

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """See ``ReviewReader``."""
        return self._reader.vectors(ids, encoder=encoder)

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """See ``ReviewReader``."""
        least = self._least(exclude, at_least)
        return self._reader.peer_sums(items, exclude=exclude, encoder=encoder, before=before, at_least=least)

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
        least = self._least(exclude, at_least)
        return self._reader.peer_group_sums(groups, exclude=exclude, encoder=encoder, before=before, at_least=least)

    def _least(self, exclude: UserId, at_least: int) -> int:
        """The ``at_least`` of sums without ``exclude``; called before every sum."""
        return at_least


class WithoutReviews(WrappedReader):
    """A reader that hides some reviews of one user; sums over others do not change.

    Sums raise ``ValueError`` if the user is not the one who is excluded, because they would hold the hidden reviews.

    Args:
        reader: What is visible otherwise.
        hidden: The reviews that are not shown.
        user: Their author.
    """

    def __init__(self, reader: KnownUsers, hidden: Collection[ReviewId], *, user: UserId) -> None:
        super().__init__(reader)
        self._hidden, self._user = frozenset(hidden), user

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._visible(super().profile(user, before=before))

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        return self._visible(super().reviews_of(item, exclude=exclude, before=before))

    def _visible(self, reviews: list[Review]) -> list[Review]:
        return [review for review in reviews if review.id not in self._hidden]

    def _least(self, exclude: UserId, at_least: int) -> int:
        if exclude != self._user:
            raise ValueError(f"sums without {exclude!r} would hold the hidden reviews of {self._user!r}")
        return at_least
