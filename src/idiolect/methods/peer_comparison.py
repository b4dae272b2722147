"""Peer comparisons: a user's review and other users' reviews of the same item (DPL, DRP).

Anchors are chosen by a retriever and representatives by clustering stored vectors (DRP, anchor choice and onwards); no
text is embedded here. ``Dimensions`` says along what an extractor compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config, Retired
from idiolect.difference.claims.feature import Comparison
from idiolect.peers import SELECTORS, PeerSelector, time_cut
from idiolect.retrieval import Retriever, make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample, UserId


class Dimension(Config):
    """One way in which writing can differ."""

    name: str
    definition: str


class Standard(Config):
    """The standard for comparison in the extractor's prompt (Delta in DPL, Delta_auto in DRP)."""

    dimensions: tuple[Dimension, ...]
    open: bool = False
    """Whether the extractor may find further dimensions, each with a definition of its own."""


Dimensions = Literal["fixed", "auto"] | tuple[Dimension, ...]
"""``fixed``: DPL's three. ``auto``: these first, then whatever the texts show (DRP). Else a list of your own."""

SEEDS = (
    Dimension(name="Writing Style", definition="the choice of words and how sentences are built"),
    Dimension(name="Emotional Style", definition="the affective tone: positive, neutral or negative, and how strong"),
    Dimension(name="Semantic Style", definition="how dense the information is and how well the text hangs together"),
)
"""DPL's dimensions, which DRP judges first."""


def standard(dimensions: Dimensions) -> Standard:
    """The standard for ``dimensions``."""
    if isinstance(dimensions, str):
        return Standard(dimensions=SEEDS, open=dimensions == "auto")
    return Standard(dimensions=dimensions)


MAX_PEERS = 64
"""Most peers' reviews of an item that are measured, drawn at random if there are more: beyond it the intervals hardly
narrow, and a popular item may have thousands."""
SEED = 42
"""Of clusterings and draws, as in the DPL and DRP programs. A run is repeated with other sampling seeds."""


class ComparisonConfig(Config):
    """Which comparisons are made. The defaults are those of the DPL and DRP programs; there may be fewer than asked."""

    anchors: int = Field(default=8, ge=1)
    """Own reviews that are compared (N)."""
    representatives: int = Field(default=4, ge=1)
    """Peers' reviews that an anchor is compared with (M)."""
    retriever: str = "bm25"
    """Which reviews are anchors: ``bm25`` as in the DPL and DRP programs, ``recency`` as in the DEP paper's rows of
    these methods, or another name in ``idiolect.retrieval.RETRIEVERS``."""
    selector: str = "kmeans"
    """Which peers' reviews are representatives: one near each cluster's centre (``kmeans``), random ones (``random``),
    the least similar (``farthest``), or another name in ``idiolect.peers.SELECTORS``."""

    retired: ClassVar = {
        "min_others": None,
        "max_peers": MAX_PEERS,
        "seed": SEED,
        "peers_before": Retired(False, "set context.peers_before"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerComparison:
    """One review of the user and peers' reviews of the same item."""

    item: Item
    own: Review
    representatives: tuple[Review, ...]
    """Peers' reviews in the prompts."""
    all_peers: tuple[Review, ...]
    """Peers' reviews that are measured, one per user; at most ``MAX_PEERS``."""

    @property
    def visible_texts(self) -> Comparison:
        """The texts in the prompts."""
        return self._comparison(self.representatives)

    @property
    def all_texts(self) -> Comparison:
        """The texts that are measured."""
        return self._comparison(self.all_peers)

    def _comparison(self, others: Sequence[Review]) -> Comparison:
        return Comparison(id=self.own.id, target=self.own.text, peers=tuple(other.text for other in others))


class PeerComparisons(Protocol):
    """Source of a method's comparisons: a builder over a store or snapshot, or a control that alters them."""

    def build(self, samples: Sequence[Sample]) -> list[tuple[PeerComparison, ...]]:
        """The comparisons of every sample, best anchor first; empty if nothing can be compared."""
        ...


_NOBODY = UserId("")
_AT_ONCE = 32
"""Samples whose peers' vectors are in memory together."""


class AllPeers:
    """All peers' reviews of an item: the latest of each user, sorted by user id.

    An item is read once for all of its users, so use an instance for one batch only: it does not see later reviews.

    Args:
        reader: What is visible.
    """

    def __init__(self, reader: ReviewReader) -> None:
        self._reader = reader
        self._reviews_of = lru_cache(maxsize=4096)(self._read)

    def of(self, review: Review, *, before: int | None = None) -> list[Review]:
        """Peers' reviews of a review's item, those with timestamp < ``before`` (seconds)."""
        return [other for other in self._reviews_of(review.item, before) if other.user != review.user]

    def _read(self, item: ItemId, before: int | None) -> list[Review]:
        latest = {review.user: review for review in self._reader.reviews_of(item, exclude=_NOBODY, before=before)}
        return [latest[user] for user in sorted(latest)]


class PeerComparisonBuilder:
    """Builds comparisons: chooses anchors and representatives.

    Args:
        reader: A live store or one phase's snapshot.
        config: How many and which.
        encoder: Name of the encoder whose stored vectors are clustered; None: no vectors are read, and the selector
            is ``random``.
        retriever: Used instead of ``config.retriever``; needed for one that encodes (``dense``).
        peers_before: Peers must have written before the sample's time.

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
        peers_before: bool = False,
    ) -> None:
        self._peers_before = peers_before
        self.reader, self.config, self.encoder = reader, config or ComparisonConfig(), encoder
        self.retriever = retriever or make_retriever(self.config.retriever, seed=SEED, reader=reader)
        chosen: PeerSelector = SELECTORS.get(self.config.selector)
        self._select = chosen if encoder else SELECTORS.get("random")

    def build(self, samples: Sequence[Sample]) -> list[tuple[PeerComparison, ...]]:
        """See ``PeerComparisons.build``.

        Raises:
            NotFoundError: A vector is not there.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        peers = AllPeers(self.reader)
        parts = (samples[start : start + _AT_ONCE] for start in range(0, len(samples), _AT_ONCE))
        return [comparisons for some in parts for comparisons in self._comparisons(some, peers)]

    def anchors(self, sample: Sample) -> list[Review]:
        """The user's reviews that are compared, best first: only of items with enough peers."""
        return self._anchors([sample], AllPeers(self.reader))[0]

    def _comparisons(self, samples: Sequence[Sample], peers: AllPeers) -> Iterator[tuple[PeerComparison, ...]]:
        """The comparisons of some samples; their items and vectors are read together."""
        anchors = self._anchors(samples, peers)
        items = self._items(own.item for chosen in anchors for own in chosen)
        compared = [
            (own, peers.of(own, before=self._before(sample)))
            for sample, chosen in zip(samples, anchors, strict=True)
            for own in chosen
        ]
        vectors = self._vectors([[own, *all_peers] for own, all_peers in compared])
        chosen = self._select(vectors, self.config.representatives, seed=SEED)
        comparisons = (
            self._comparison_of(items[own.item], own, all_peers, some)
            for (own, all_peers), some in zip(compared, chosen, strict=True)
        )
        return (tuple(islice(comparisons, len(own))) for own in anchors)

    def _anchors(self, samples: Sequence[Sample], peers: AllPeers) -> list[list[Review]]:
        pools = [self._pool(sample, peers) for sample in samples]
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

    def _pool(self, sample: Sample, peers: AllPeers) -> list[Review]:
        """The user's reviews of items with enough peers, oldest first."""
        before, enough = self._before(sample), self.config.representatives
        history = self.reader.profile(sample.user, before=sample.moment)
        return [one for one in history if one.id != sample.target and len(peers.of(one, before=before)) >= enough]

    def _comparison_of(
        self, item: Item, own: Review, all_peers: Sequence[Review], chosen: Sequence[int]
    ) -> PeerComparison:
        return PeerComparison(
            item=item,
            own=own,
            representatives=tuple(all_peers[place] for place in chosen),
            all_peers=tuple(self._drawn(all_peers)),
        )

    def _drawn(self, all_peers: Sequence[Review]) -> Sequence[Review]:
        if len(all_peers) <= MAX_PEERS:
            return all_peers
        order = np.random.default_rng(SEED).permutation(len(all_peers))[:MAX_PEERS]
        return [all_peers[place] for place in sorted(order.tolist())]

    def _vectors(self, groups: Sequence[Sequence[Review]]) -> list[np.ndarray]:
        """float32 (n, dim) per group of reviews; every vector is read once."""
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
        return time_cut(sample) if self._peers_before else None
