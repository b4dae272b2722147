"""Samples to contexts: the one place where history, vectors and differences are put together.

One list of reviews gives the text, ``e_his`` and ``e_diff`` of every entry, each found by the review's id and never by
its position in some other list. The DEP authors' program keeps parallel lists and mixes reviews up in 17 to 37 % of its
slots.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from idiolect.config import Config
from idiolect.context.base import Context
from idiolect.context.cold_start import LADDERS, ColdStart, Ladder
from idiolect.context.differences import COMPARISONS, PeerWeighting
from idiolect.context.entries import Chosen, ComparedEntries, Entries, text_alone
from idiolect.retrieval.base import Retriever
from idiolect.retrieval.table import make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample


class ContextConfig(Config):
    """What a sample is written from. The defaults are the DEP paper's."""

    k: int = Field(default=8, ge=0)
    """History entries a sample; 0 means the whole history."""
    retriever: str = "recency"
    """Which of the user's reviews: a name in ``idiolect.retrieval.table.RETRIEVERS``."""
    min_peers: int = Field(default=1, ge=1)
    """Different users it takes before an entry is compared with what they wrote, on every rung."""
    peers_before: bool = False
    """Whether peers must have written before the sample's time; the paper's program sets no such bound."""
    peer_weighting: PeerWeighting = "mean"
    """``mean``: Eq. 4. ``profile_distance``: softmax of profile distances, as in the authors' program."""
    cold_start: ColdStart = "none"
    """Whom an entry with too few peers is compared with: nobody, everybody else who wrote about its item's
    ``category``, or beyond that the whole ``corpus``. An adapter is trained with it and used with no other."""
    seed: int = 0
    """For retrievers that draw."""


class ContextBuilder:
    """Builds contexts from what a reader shows: the same for training, generation and explanation.

    Args:
        reader: A live store or one phase's snapshot.
        config: What goes into a context.
        encoder: Name of the encoder whose stored vectors are used; None: no vector is read, for methods whose prompts
            are text alone (``NO_VECTOR``).
        retriever: Used instead of ``config.retriever``; needed for one that encodes (``dense``).

    Raises:
        ConfigError: No such retriever, or it cannot be made from the configuration alone.
    """

    def __init__(
        self, reader: ReviewReader, config: ContextConfig, *, encoder: str | None, retriever: Retriever | None = None
    ) -> None:
        self.reader = reader
        self.config = config
        self.encoder = encoder
        self.retriever = retriever or make_retriever(config.retriever, seed=config.seed, reader=reader)
        self._entries: Entries = text_alone if encoder is None else _compared(reader, config, encoder)

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """One context a sample, in order; one without history has no entries.

        Raises:
            NotFoundError: A vector is not there.
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
            Context(sample=sample, item=items[sample.item], entries=entries)
            for sample, entries in zip(samples, self._entries(found, items), strict=True)
        ]

    def _history(self, sample: Sample) -> list[Review]:
        profile = self.reader.profile(sample.user, before=sample.moment)
        return [review for review in profile if review.id != sample.target]

    def _items(self, samples: Sequence[Sample], histories: Sequence[Sequence[Review]]) -> dict[ItemId, Item]:
        wanted = {sample.item for sample in samples} | {review.item for history in histories for review in history}
        known = self.reader.items(list(wanted))
        # An item may be known by its id alone: a corpus need not bring titles.
        return {id: known.get(id, Item(id=id)) for id in wanted}


def _compared(reader: ReviewReader, config: ContextConfig, encoder: str) -> ComparedEntries:
    rungs = LADDERS[config.cold_start]
    return ComparedEntries(
        reader=reader,
        encoder=encoder,
        compare=COMPARISONS[config.peer_weighting](reader, encoder, config.min_peers),
        ladder=Ladder(reader=reader, encoder=encoder, rungs=rungs, min_peers=config.min_peers),
        peers_before=config.peers_before,
    )
