"""The seam of retrieval: which of the user's own reviews go into the prompt and are compared with peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from idiolect.types import Item, ItemId, Review, Sample


class Retriever(Protocol):
    """Ranks a profile for a sample."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` best of ``profile``, best first; fewer where there are fewer.

        Args:
            sample: What is to be written.
            profile: The user's visible reviews, oldest first.
            items: Titles and descriptions of the sample's and the profile's items.
            k: How many; 0 means the whole profile, ranked.
        """
        ...
