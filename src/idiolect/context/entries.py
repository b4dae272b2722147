"""A user's chosen reviews to entries: as text alone, or with their vectors and what these differ by from the peers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from idiolect.context.base import NO_VECTOR, Entry
from idiolect.context.cold_start import Compared, Ladder
from idiolect.context.differences import Comparison
from idiolect.peers.pool import time_cut
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, ReviewId, Sample


class Chosen(NamedTuple):
    """The reviews that a sample is written from, best first, and the history they were chosen from."""

    sample: Sample
    reviews: Sequence[Review]
    history: Sequence[Review]


class Entries(Protocol):
    """Makes the entries of many samples at once."""

    def __call__(self, chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
        """The entries of every sample, in order.

        Args:
            chosen: What they are made from.
            items: Of all chosen reviews.
        """
        ...


def text_alone(chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
    """See ``Entries``; nothing is read."""
    return [
        tuple(
            Entry(review=review, item=items[review.item], e_his=NO_VECTOR, e_diff=None, n_peers=0)
            for review in one.reviews
        )
        for one in chosen
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEntries:
    """Vectors by the review's id, never by its position in some other list, and differences to peers."""

    reader: ReviewReader
    encoder: str
    compare: Comparison
    ladder: Ladder
    peers_before: bool

    def __call__(self, chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
        """See ``Entries``.

        Raises:
            NotFoundError: A vector is not there.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        vectors = self._vectors([review.id for one in chosen for review in one.reviews])
        return [self._compared(one, items, vectors) if one.reviews else () for one in chosen]

    def _vectors(self, ids: Sequence[ReviewId]) -> dict[ReviewId, np.ndarray]:
        if not ids:
            return {}
        return dict(zip(ids, self.reader.vectors(ids, encoder=self.encoder).astype(np.float32), strict=True))

    def _compared(
        self, one: Chosen, items: Mapping[ItemId, Item], vectors: Mapping[ReviewId, np.ndarray]
    ) -> tuple[Entry, ...]:
        own = np.stack([vectors[review.id] for review in one.reviews])
        before = time_cut(one.sample) if self.peers_before else None
        diff, n_peers = self.compare(one.reviews, own, history=one.history, before=before)
        found = Compared(diff=diff, n_peers=n_peers, rungs=["item"] * len(one.reviews))
        about = [items[review.item] for review in one.reviews]
        self.ladder.climb(found, own, about, user=one.sample.user, before=before)
        return tuple(
            Entry(
                review=review,
                item=item,
                e_his=own[row],
                e_diff=found.diff[row] if found.n_peers[row] else None,
                n_peers=int(found.n_peers[row]),
                peers=found.rungs[row],
            )
            for row, (review, item) in enumerate(zip(one.reviews, about, strict=True))
        )
