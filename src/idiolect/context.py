"""Contexts: a sample with its item and history entries, their vectors and differences (DEP, Eq. 2-4).

Training, generation and explanation use the same contexts. One list of reviews gives the text, ``e_his`` and
``e_diff`` of every entry, each found by the review's id and never by position. (The DEP authors' program has
parallel lists and mixes up the reviews of 17 to 37 % of its virtual tokens.) Peers are compared by the paper's plain
mean or its program's weighting; if an item has too few peers, ``PeerFallback`` compares with a larger group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.latent import Differences, peer_mean_difference, weighted_difference
from idiolect.peers import peers_of, time_cut
from idiolect.retrieval import Retriever, make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import UNDATED, Item, ItemId, Moment, PeerScope, Review, ReviewId, Sample, UserId, VirtualToken

NO_VECTOR = np.zeros(0, dtype=np.float32)
"""Placeholder for a vector that was not read, for text-only prompts."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entry:
    """One review of the user's history with its vectors."""

    review: Review
    item: Item
    e_his: np.ndarray
    """float32 (dim,): the review's embedding (Eq. 2); ``NO_VECTOR`` if none was read."""
    e_diff: np.ndarray | None
    """float32 (dim,): own embedding minus the peers' mean (Eq. 4); None if there are too few peers."""
    n_peers: int
    """Number of peers' reviews; 0 if there are too few peers."""
    peers: PeerScope = "item"
    """The peer scope of these reviews."""

    @property
    def peer_scope(self) -> PeerScope:
        """The peer scope; ``none`` if there is no difference."""
        return "none" if self.e_diff is None else self.peers


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PastVectors:
    """Vectors of the user's latest past reviews, oldest first, for methods that read more than the entries."""

    reviews: tuple[ReviewId, ...] = ()
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    """float32 (n, dim), row k for ``reviews[k]``; (0, 0) if none were read."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Context:
    """A sample, its item and its history entries, best first."""

    sample: Sample
    item: Item
    entries: tuple[Entry, ...]
    past: PastVectors = field(default_factory=PastVectors)
    """Vectors in addition to the entries'; empty unless the builder has ``past``."""

    def vector(self, token: VirtualToken) -> np.ndarray:
        """float32 (dim,): the vector of a virtual token.

        Raises:
            ValueError: The virtual token asks for a vector that its entry does not have.
        """
        entry = self.entries[token.entry]
        vector = entry.e_his if token.stream == "his" else entry.e_diff
        if vector is None or not vector.size:
            raise ValueError(f"entry {token.entry} has no vector for a {token.stream!r} virtual token")
        return vector


PeerWeighting = Literal["mean", "profile_distance"]


class Comparison(Protocol):
    """Compares reviews of one user with peers' reviews of the same items."""

    def __call__(
        self, chosen: Sequence[Review], own: np.ndarray, *, history: Sequence[Review], before: int | None
    ) -> Differences:
        """One difference per review.

        Args:
            chosen: Reviews of one user, at least one.
            own: float (len(chosen), dim): their vectors.
            history: The user's visible reviews, of which ``chosen`` are some.
            before: Only peers' reviews with timestamp < ``before`` (seconds) count.
        """
        ...


@dataclass(frozen=True, slots=True)
class MeanOfPeers:
    """Eq. 4 of the DEP paper, from item sums: no single peer is read."""

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
        """The review's peers; empty if there are too few."""
        pool = peers_of(self.reader, review, before=before)
        return pool if len({peer.user for peer in pool}) >= self.min_peers else []

    def _history_mean(self, peer: Review, before: int | None) -> np.ndarray:
        """The mean vector of the peer's history, or of the review itself if no history is visible."""
        history = self.reader.profile(peer.user, before=None if before is None else Moment(before, UNDATED))
        if before is not None:  # reviews without a timestamp may be later than the cut
            history = [review for review in history if review.timestamp is not None]
        return self._mean([review.id for review in history] or [peer.id])

    def _mean(self, ids: Sequence[ReviewId]) -> np.ndarray:
        return self.reader.vectors(ids, encoder=self.encoder).mean(axis=0, dtype=np.float64)


COMPARISONS: dict[PeerWeighting, type[MeanOfPeers] | type[ProfileDistance]] = {
    "mean": MeanOfPeers,
    "profile_distance": ProfileDistance,
}


ColdStart = Literal["none", "category", "corpus"]

PEER_FALLBACKS: Mapping[ColdStart, tuple[PeerScope, ...]] = MappingProxyType(
    {"none": (), "category": ("category",), "corpus": ("category", "corpus")}
)
"""The peer_scopes below the item's own peers, tried in this order."""


@dataclass(slots=True, eq=False, kw_only=True)
class Compared:
    """Past reviews of one user and their differences; arrays have one row per review."""

    diff: np.ndarray
    """float32 (n, dim): own vector minus the peers' mean; a zero row if there are too few peers."""
    n_peers: np.ndarray
    """int64 (n,): numbers of peers' reviews; 0 if there are too few peers."""
    peer_scopes: list[PeerScope]
    """The peer scope of each row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFallback:
    """Compares reviews with too few peers with larger groups."""

    reader: ReviewReader
    encoder: str
    peer_scopes: tuple[PeerScope, ...]
    min_peers: int

    def apply(
        self, found: Compared, own: np.ndarray, items: Sequence[Item], *, user: UserId, before: int | None
    ) -> None:
        """Compare the reviews with too few peers with the mean of the next peer scope.

        The mean is the plain one of Eq. 4 for every peer weighting, because the histories of all users of a category
        cannot be weighted.

        Args:
            found: Differences to the items' own peers; rows are changed in place.
            own: float32 (n, dim): the reviews' vectors.
            items: Their items, in order.
            user: Author of the reviews.
            before: Only peers' reviews with timestamp < ``before`` (seconds) count.
        """
        for scope in self.peer_scopes:
            groups = [None if scope == "corpus" else item.category for item in items]
            cold = [k for k in np.flatnonzero(found.n_peers == 0).tolist() if groups[k] != ""]
            if not cold:
                continue
            asked = list(dict.fromkeys(groups[k] for k in cold))
            sums = self.reader.peer_group_sums(
                asked, exclude=user, encoder=self.encoder, before=before, at_least=self.min_peers
            )
            rows = [asked.index(groups[k]) for k in cold]
            new = peer_mean_difference(own[cold], sums.sums[rows], sums.counts[rows])
            for k, diff, n_peers in zip(cold, new.diff, new.n_peers, strict=True):
                if n_peers:
                    found.diff[k], found.n_peers[k], found.peer_scopes[k] = diff, n_peers, scope


class Chosen(NamedTuple):
    """The reviews chosen for a sample, best first, and the history they were chosen from."""

    sample: Sample
    reviews: Sequence[Review]
    history: Sequence[Review]


class Entries(Protocol):
    """Makes the entries of many samples at once."""

    def __call__(self, chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
        """The entries of every sample, in order.

        Args:
            chosen: Reviews per sample.
            items: Items of all chosen reviews.
        """
        ...


def text_only(chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
    """See ``Entries``; no vectors are read."""
    return [
        tuple(
            Entry(review=review, item=items[review.item], e_his=NO_VECTOR, e_diff=None, n_peers=0)
            for review in one.reviews
        )
        for one in chosen
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEntries:
    """Entries with vectors, found by the review's id, and differences to peers."""

    reader: ReviewReader
    encoder: str
    compare: Comparison
    fallback: PeerFallback
    peers_before: bool

    def __call__(self, chosen: Sequence[Chosen], items: Mapping[ItemId, Item]) -> list[tuple[Entry, ...]]:
        """See ``Entries``.

        Raises:
            NotFoundError: A vector is missing.
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
        found = Compared(diff=diff, n_peers=n_peers, peer_scopes=["item"] * len(one.reviews))
        about = [items[review.item] for review in one.reviews]
        self.fallback.apply(found, own, about, user=one.sample.user, before=before)
        return tuple(
            Entry(
                review=review,
                item=item,
                e_his=own[row],
                e_diff=found.diff[row] if found.n_peers[row] else None,
                n_peers=int(found.n_peers[row]),
                peers=found.peer_scopes[row],
            )
            for row, (review, item) in enumerate(zip(one.reviews, about, strict=True))
        )


SEED = 0
"""Of retrievers that draw: which reviews stand in a prompt depends on the sample alone, so that runs with other seeds
are compared on the same prompts."""


class ContextConfig(Config):
    """Settings of contexts. The defaults are the DEP paper's."""

    k: int = Field(default=8, ge=0)
    """History entries per sample; 0 means the whole history."""
    retriever: str = "recency"
    """Which of the user's reviews: a name in ``idiolect.retrieval.RETRIEVERS``."""
    retriever_encoder: str | None = None
    """Encoder of the retriever ``dense`` (``facebook/contriever``), whose vectors the store holds too; None: the
    run's."""
    min_peers: int = Field(default=1, ge=1)
    """Fewest peers (different users) that an entry is compared with, in every peer scope."""
    peers_before: bool = False
    """Whether peers must have written before the sample's time; the paper's program sets no such bound."""
    peer_weighting: PeerWeighting = "mean"
    """``mean``: Eq. 4. ``profile_distance``: softmax of profile distances, as in the authors' program."""
    cold_start: ColdStart = "none"
    """Peer scopes of an entry with too few peers: ``none``, all other users of its item's ``category``, or after that
    the whole ``corpus``. An adapter is used only with the value that it was trained with."""

    retired: ClassVar = {"seed": SEED}


class ContextBuilder:
    """Builds contexts from what a reader shows: the same for training, generation and explanation.

    Args:
        reader: A live store or one phase's snapshot.
        config: Settings of contexts.
        encoder: Name of the encoder whose stored vectors are used; None: no vector is read, for methods whose prompts
            are text alone (``NO_VECTOR``).
        retriever: Used instead of ``config.retriever``; needed for one that encodes (``dense``).
        past: Also bring the vectors of the user's latest reviews, so many at most; needs ``encoder``.

    Raises:
        ConfigError: No such retriever, or it cannot be made from the configuration alone.
    """

    def __init__(
        self,
        reader: ReviewReader,
        config: ContextConfig,
        *,
        encoder: str | None,
        retriever: Retriever | None = None,
        past: int = 0,
    ) -> None:
        self.reader = reader
        self.config = config
        self.encoder = encoder
        self.past = past
        self.retriever = retriever or make_retriever(config.retriever, seed=SEED, reader=reader)
        self._entries: Entries = text_only if encoder is None else _compared(reader, config, encoder)

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """One context per sample, in order; without history it has no entries.

        Raises:
            NotFoundError: A vector is missing.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        histories = [self._history(sample) for sample in samples]
        items = self._items(samples, histories)
        chosen = [
            self.retriever.retrieve(sample, history, items, self.config.k)
            for sample, history in zip(samples, histories, strict=True)
        ]
        found = [Chosen(*one) for one in zip(samples, chosen, histories, strict=True)]
        return [
            Context(sample=sample, item=items[sample.item], entries=entries, past=past)
            for sample, entries, past in zip(
                samples, self._entries(found, items), self._past_vectors(histories), strict=True
            )
        ]

    def _past_vectors(self, histories: Sequence[Sequence[Review]]) -> list[PastVectors]:
        """Each history's latest vectors; those of reviews that several samples share are read once."""
        if not self.past or self.encoder is None:
            return [PastVectors()] * len(histories)
        latest = [tuple(review.id for review in history[-self.past :]) for history in histories]
        rows = {id: row for row, id in enumerate(dict.fromkeys(id for ids in latest for id in ids))}
        if not rows:
            return [PastVectors()] * len(histories)
        vectors = self.reader.vectors(list(rows), encoder=self.encoder).astype(np.float32)
        return [PastVectors(reviews=ids, vectors=vectors[[rows[id] for id in ids]]) for ids in latest]

    def _history(self, sample: Sample) -> list[Review]:
        profile = self.reader.profile(sample.user, before=sample.moment)
        return [review for review in profile if review.id != sample.target]

    def _items(self, samples: Sequence[Sample], histories: Sequence[Sequence[Review]]) -> dict[ItemId, Item]:
        wanted = {sample.item for sample in samples} | {review.item for history in histories for review in history}
        known = self.reader.items(list(wanted))
        # An item may have only an id, because a corpus need not have titles.
        return {id: known.get(id, Item(id=id)) for id in wanted}


def _compared(reader: ReviewReader, config: ContextConfig, encoder: str) -> ComparedEntries:
    peer_scopes = PEER_FALLBACKS[config.cold_start]
    return ComparedEntries(
        reader=reader,
        encoder=encoder,
        compare=COMPARISONS[config.peer_weighting](reader, encoder, config.min_peers),
        fallback=PeerFallback(reader=reader, encoder=encoder, peer_scopes=peer_scopes, min_peers=config.min_peers),
        peers_before=config.peers_before,
    )
