"""BM25 over the pool it ranks: the retrieval of the DPL and DRP papers, with the scores of their programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rank_bm25 import BM25Okapi

from idiolect.retrieval.texts import best, document_text, query_text
from idiolect.types import Item, ItemId, Review, Sample


def bm25_scores(sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item]) -> np.ndarray:
    """How well each review matches the sample, by Okapi BM25 on whitespace tokens, case kept (DRP, anchor choice).

    Args:
        sample: What is to be written.
        profile: The pool; the index is built over it alone, so its word statistics are the pool's.
        items: Descriptions of the sample's and the pool's items.

    Returns:
        float64 (len(profile),). All 0 where no document has a word, a case in which BM25 is undefined.
    """
    documents = [document_text(review, items).split() for review in profile]
    if not any(documents):
        return np.zeros(len(profile))
    return BM25Okapi(documents).get_scores(query_text(sample, items).split())


@dataclass(frozen=True, slots=True)
class BM25:
    """The user's reviews whose title and item read most like the sample's."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` of ``profile`` with the highest ``bm25_scores``; see ``Retriever``."""
        return best(profile, bm25_scores(sample, profile, items), k)
