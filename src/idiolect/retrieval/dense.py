"""Nearest by meaning: the stored vectors of the user's reviews against the encoded sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.encoders.base import Encoder
from idiolect.retrieval.texts import best, query_text
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample


@dataclass(frozen=True, slots=True)
class Dense:
    """The user's reviews whose vectors are nearest to the sample's.

    Reviews are compared by the vectors of their texts that ``reader`` holds, so that one text a sample is encoded.
    """

    encoder: Encoder
    """Encodes the sample; its name is the key of the reviews' vectors."""
    reader: ReviewReader
    """Holds a vector of every review that is ranked."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` of ``profile`` with the highest cosine; see ``Retriever``.

        Raises:
            NotFoundError: A review of the profile has no vector of this encoder.
        """
        if not profile:
            return []
        query = self.encoder.encode([query_text(sample, items)])[0]
        vectors = self.reader.vectors([review.id for review in profile], encoder=self.encoder.name)
        return best(profile, cosines(query, vectors), k)


def cosines(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Cosine of a query with every row; 0 where either is the zero vector.

    Args:
        query: float (dim,).
        vectors: float (n, dim).

    Returns:
        float32 (n,).
    """
    query, vectors = query.astype(np.float32), vectors.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.divide(vectors @ query, norms, out=np.zeros_like(norms), where=norms > 0)
