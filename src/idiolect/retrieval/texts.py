"""What a review and a sample are matched by: the words, and the one rule that turns scores into a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from idiolect.types import Item, ItemId, Review, Sample


def query_text(sample: Sample, items: Mapping[ItemId, Item]) -> str:
    """The title asked for and the description of what is to be written about (DRP, anchor choice)."""
    return f"{sample.title} {items[sample.item].description}"


def document_text(review: Review, items: Mapping[ItemId, Item]) -> str:
    """The title of a past review and the description of its item (DRP, anchor choice)."""
    return f"{review.title} {items[review.item].description}"


def best(profile: Sequence[Review], scores: np.ndarray, k: int) -> list[Review]:
    """The ``k`` reviews of highest score, best first.

    Args:
        profile: Oldest first.
        scores: float (len(profile),).
        k: How many; 0 means all.

    Returns:
        Of equal scores the later profile entry comes first, on every machine: numpy's default sort orders ties
        differently from one processor to the next.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    return [profile[row] for row in order[: k or None]]
