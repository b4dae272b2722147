"""Samples to comparisons: anchors by a retriever, representatives by clustering (DRP, anchor choice and onwards).

Every choice is made from what the reader shows and from stored vectors; no text is embedded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np

from idiolect.methods.comparison import Case, ComparisonConfig
from idiolect.peers.pool import time_cut
from idiolect.peers.representatives import SELECTORS, PeerSelector
from idiolect.retrieval.base import Retriever
from idiolect.retrieval.table import make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample, UserId

_NOBODY = UserId("")
_AT_ONCE = 32
"""Samples whose crowds' vectors are in memory together."""


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
        ConfigError: No such retriever or selector, or the retriever cannot be made from the configuration alone.
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
        chosen: PeerSelector = SELECTORS.get(self.config.selector)
        self._select = chosen if encoder else SELECTORS.get("random")

    def build(self, samples: Sequence[Sample]) -> list[tuple[Case, ...]]:
        """See ``Cases.build``.

        Raises:
            NotFoundError: A vector is not there.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        others = Others(self.reader)
        parts = (samples[start : start + _AT_ONCE] for start in range(0, len(samples), _AT_ONCE))
        return [cases for some in parts for cases in self._built(some, others)]

    def anchors(self, sample: Sample) -> list[Review]:
        """The user's reviews that are compared, best first: only of items that enough others wrote about."""
        return self._anchors([sample], Others(self.reader))[0]

    def _built(self, samples: Sequence[Sample], others: Others) -> Iterator[tuple[Case, ...]]:
        """The cases of some samples, whose items and vectors are read at once."""
        anchors = self._anchors(samples, others)
        items = self._items(own.item for chosen in anchors for own in chosen)
        crowds = [
            (own, others.of(own, before=self._before(sample)))
            for sample, chosen in zip(samples, anchors, strict=True)
            for own in chosen
        ]
        vectors = self._vectors([[own, *crowd] for own, crowd in crowds])
        chosen = self._select(vectors, self.config.representatives, seed=self.config.seed)
        cases = (
            self._case(items[own.item], own, crowd, some) for (own, crowd), some in zip(crowds, chosen, strict=True)
        )
        return (tuple(islice(cases, len(own))) for own in anchors)

    def _anchors(self, samples: Sequence[Sample], others: Others) -> list[list[Review]]:
        pools = [self._pool(sample, others) for sample in samples]
        items = self._items(
            item
            for sample, pool in zip(samples, pools, strict=True)
            if pool
            for item in (sample.item, *(review.item for review in pool))
        )
        return [
            self.retriever.retrieve(sample, pool, items, self.config.anchors) if pool else []
            for sample, pool in zip(samples, pools, strict=True)
        ]

    def _pool(self, sample: Sample, others: Others) -> list[Review]:
        """The user's reviews of items that enough others wrote about, oldest first."""
        before, enough = self._before(sample), self.config.min_others or self.config.representatives
        history = self.reader.profile(sample.user, before=sample.moment)
        return [one for one in history if one.id != sample.target and len(others.of(one, before=before)) >= enough]

    def _case(self, item: Item, own: Review, crowd: Sequence[Review], chosen: Sequence[int]) -> Case:
        return Case(item=item, own=own, others=tuple(crowd[place] for place in chosen), crowd=tuple(self._drawn(crowd)))

    def _drawn(self, crowd: Sequence[Review]) -> Sequence[Review]:
        if len(crowd) <= self.config.max_crowd:
            return crowd
        order = np.random.default_rng(self.config.seed).permutation(len(crowd))[: self.config.max_crowd]
        return [crowd[place] for place in sorted(order.tolist())]

    def _vectors(self, groups: Sequence[Sequence[Review]]) -> list[np.ndarray]:
        """float32 (n, dim) for every group of reviews; all are read at once, and each once."""
        if self.encoder is None:
            return [np.zeros((len(group), 1), dtype=np.float32) for group in groups]
        if not groups:
            return []
        rows = {id: row for row, id in enumerate(dict.fromkeys(one.id for group in groups for one in group))}
        vectors = self.reader.vectors(list(rows), encoder=self.encoder).astype(np.float32)
        return [vectors[[rows[one.id] for one in group]] for group in groups]

    def _items(self, ids: Iterable[ItemId]) -> Mapping[ItemId, Item]:
        wanted = list(dict.fromkeys(ids))
        known = self.reader.items(wanted) if wanted else {}
        return {id: known.get(id, Item(id=id)) for id in wanted}

    def _before(self, sample: Sample) -> int | None:
        return time_cut(sample) if self.config.peers_before else None
