"""What is compared: each of the user's anchors with the representatives of all who wrote about its item (DPL, DRP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.feature import Comparison
from idiolect.types import Item, Review, Sample


class ComparisonConfig(Config):
    """Which comparisons are made. The defaults are those of the DPL and DRP programs; fewer than asked is normal."""

    anchors: int = Field(default=8, ge=1)
    """Own reviews that are compared (N)."""
    representatives: int = Field(default=4, ge=1)
    """Others' reviews that an anchor is compared with (M)."""
    min_others: int | None = Field(default=None, ge=1)
    """Other users that an anchor's item needs; None: as many as there are to be representatives."""
    retriever: str = "bm25"
    """Which reviews are anchors: ``bm25`` as in the DPL and DRP programs, ``recency`` as in the DEP paper's rows of
    these methods, or another name in ``idiolect.retrieval.table.RETRIEVERS``."""
    selector: str = "kmeans"
    """Which of the others are representatives: one near each cluster's centre (``kmeans``), any (``random``), the least
    alike (``farthest``), or another name in ``idiolect.peers.representatives.SELECTORS``."""
    max_crowd: int = Field(default=64, ge=1)
    """Others' reviews of an item that are measured; of more as many are drawn."""
    peers_before: bool = False
    """Whether others must have written before the sample's time; the papers' programs set no such bound."""
    seed: int = 42
    """Of clusterings and draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One review of the user's and what others wrote about the same item."""

    item: Item
    own: Review
    others: tuple[Review, ...]
    """The representatives: what a model is shown."""
    crowd: tuple[Review, ...]
    """Those they stand for, one review a user: what is measured."""

    @property
    def shown(self) -> Comparison:
        """The texts that an extractor sees."""
        return self._comparison(self.others)

    @property
    def whole(self) -> Comparison:
        """The texts that there are."""
        return self._comparison(self.crowd)

    def _comparison(self, others: Sequence[Review]) -> Comparison:
        return Comparison(id=self.own.id, target=self.own.text, peers=tuple(other.text for other in others))


class Cases(Protocol):
    """Where a method's comparisons come from."""

    def build(self, samples: Sequence[Sample]) -> list[tuple[Case, ...]]:
        """The comparisons of every sample's user, best anchor first; none where nothing can be compared."""
        ...
