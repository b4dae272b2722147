"""Samples to comparisons: anchors by a retriever, representatives by clustering (DRP, anchor choice and onwards).

Every choice is made from what the reader shows and from stored vectors; no text is embedded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from idiolect.methods.comparison import Case, ComparisonConfig
from idiolect.peers.pool import time_cut
from idiolect.peers.representatives import SELECTORS, PeerSelector
from idiolect.retrieval.base import Retriever
from idiolect.retrieval.table import make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample, UserId

_NOBODY = UserId("")


class Others:
    """Who else wrote about an item, one review a user (the latest), users by id; a prolific user is one voice.

    An item is read once for all users who wrote about it, so an instance is for one batch: it does not see what comes
    later.

    Args:
        reader: What is visible.
    """

    def __init__(self, reader: ReviewReader) -> None:
        self._reader = reader
        self._everybody = lru_cache(maxsize=4096)(self._read)

    def of(self, review: Review, *, before: int | None = None) -> list[Review]:
        """The others of a review, those with timestamp < ``before`` (seconds)."""
        return [other for other in self._everybody(review.item, before) if other.user != review.user]

    def _read(self, item: ItemId, before: int | None) -> list[Review]:
        latest = {review.user: review for review in self._reader.reviews_of(item, exclude=_NOBODY, before=before)}
        return [latest[user] for user in sorted(latest)]


class CaseBuilder:
    """Chooses anchors and representatives.

    Args:
        reader: A live store or one phase's snapshot.
        config: How many and which.
        encoder: Whose stored vectors are clustered; None: none are read, and only ``random`` selects.
        retriever: Used instead of ``config.retriever``; needed for one that encodes (``dense``).

    Raises:
        ConfigError: No such retriever, or it cannot be made from the configuration alone.
    """

    def __init__(
        self,
        reader: ReviewReader,
        config: ComparisonConfig | None = None,
        *,
        encoder: str | None,
        retriever: Retriever | None = None,
    ) -> None:
        self.reader, self.config, self.encoder = reader, config or ComparisonConfig(), encoder
        self.retriever = retriever or make_retriever(self.config.retriever, seed=self.config.seed, reader=reader)
        self._select: PeerSelector = SELECTORS.get(self.config.selector if encoder else "random")

    def build(self, samples: Sequence[Sample]) -> list[tuple[Case, ...]]:
        """See ``Cases.build``.

        Raises:
            NotFoundError: A vector is not there.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        others = Others(self.reader)
        return [self._cases(sample, others) for sample in samples]

    def anchors(self, sample: Sample, others: Others | None = None) -> list[Review]:
        """The user's reviews that are compared, best first: only of items that enough others wrote about."""
        config, before, others = self.config, self._before(sample), others or Others(self.reader)
        history = [
            review for review in self.reader.profile(sample.user, before=sample.moment) if review.id != sample.target
        ]
        enough = config.min_others or config.representatives
        pool = [review for review in history if len(others.of(review, before=before)) >= enough]
        return self.retriever.retrieve(sample, pool, self._items(sample, pool), config.anchors) if pool else []

    def _cases(self, sample: Sample, others: Others) -> tuple[Case, ...]:
        anchors, before = self.anchors(sample, others), self._before(sample)
        items = self._items(sample, anchors)
        crowds = [others.of(own, before=before) for own in anchors]
        vectors = self._vectors([[own, *crowd] for own, crowd in zip(anchors, crowds, strict=True)])
        compared = zip(anchors, crowds, vectors, strict=True)
        return tuple(self._case(items[own.item], own, crowd, rows) for own, crowd, rows in compared)

    def _case(self, item: Item, own: Review, crowd: Sequence[Review], vectors: np.ndarray) -> Case:
        """The comparison of a review; ``vectors`` has its row first, then those of the others."""
        chosen = self._select(vectors[0], vectors[1:], self.config.representatives, seed=self.config.seed)
        return Case(item=item, own=own, others=tuple(crowd[place] for place in chosen), crowd=tuple(self._drawn(crowd)))

    def _drawn(self, crowd: Sequence[Review]) -> Sequence[Review]:
        if len(crowd) <= self.config.max_crowd:
            return crowd
        order = np.random.default_rng(self.config.seed).permutation(len(crowd))[: self.config.max_crowd]
        return [crowd[place] for place in sorted(order.tolist())]

    def _vectors(self, groups: Sequence[Sequence[Review]]) -> list[np.ndarray]:
        """float32 (n, dim) for every group of reviews; all are read at once."""
        if self.encoder is None:
            return [np.zeros((len(group), 1), dtype=np.float32) for group in groups]
        if not groups:
            return []
        ids = [review.id for group in groups for review in group]
        rows = self.reader.vectors(ids, encoder=self.encoder).astype(np.float32)
        return np.split(rows, np.cumsum([len(group) for group in groups])[:-1])

    def _items(self, sample: Sample, reviews: Sequence[Review]) -> Mapping[ItemId, Item]:
        wanted = list(dict.fromkeys([sample.item, *(review.item for review in reviews)]))
        known = self.reader.items(wanted)
        return {id: known.get(id, Item(id=id)) for id in wanted}

    def _before(self, sample: Sample) -> int | None:
        return time_cut(sample) if self.config.peers_before else None
