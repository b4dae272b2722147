"""Newest first: the retrieval of the DEP paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idiolect.types import Item, ItemId, Review, Sample


@dataclass(frozen=True, slots=True)
class Recency:
    """The user's latest reviews, whatever is to be written."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` newest of ``profile``, newest first; see ``Retriever``."""
        return list(profile[::-1][: k or None])
