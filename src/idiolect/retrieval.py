"""Retrievers: choose the user's own reviews that go into the prompt and are compared with peers.

``recency`` is the DEP paper's choice; ``bm25`` is that of DPL and DRP, with the scores of their programs; ``dense``
compares stored vectors with the encoded sample; ``random`` is the baseline.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from rank_bm25 import BM25Okapi

from idiolect.encoders import Encoder
from idiolect.errors import ConfigError
from idiolect.registry import Registry
from idiolect.store.base import ReviewReader
from idiolect.types import Item, ItemId, Review, Sample
from idiolect.words import terms


class Retriever(Protocol):
    """Ranks a profile for a sample."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` best of ``profile``, best first; fewer if there are fewer.

        Args:
            sample: The sample.
            profile: The user's visible reviews, oldest first.
            items: Titles and descriptions of the sample's and the profile's items.
            k: Number of reviews; 0: the whole profile, ranked.
        """
        ...


def query_text(sample: Sample, items: Mapping[ItemId, Item]) -> str:
    """The sample's title and its item's description (DRP, anchor choice)."""
    return f"{sample.title} {items[sample.item].description}"


def document_text(review: Review, items: Mapping[ItemId, Item]) -> str:
    """The title of a past review and the description of its item (DRP, anchor choice)."""
    return f"{review.title} {items[review.item].description}"


def best(profile: Sequence[Review], scores: np.ndarray, k: int) -> list[Review]:
    """The ``k`` reviews of highest score, best first.

    Args:
        profile: Oldest first.
        scores: float (len(profile),).
        k: Number of reviews; 0: all.

    Returns:
        Of equal scores the later profile entry comes first. The sort is stable, because numpy's default sort orders
        ties differently on different processors.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    return [profile[row] for row in order[: k or None]]


@dataclass(frozen=True, slots=True)
class Recency:
    """The user's latest reviews."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` newest of ``profile``, newest first; see ``Retriever``."""
        return list(profile[::-1][: k or None])


@dataclass(frozen=True, slots=True)
class Random:
    """A shuffle of the profile per sample, equal on every machine and in every batch."""

    seed: int = 0

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """``k`` of ``profile`` in an order drawn by ``seed`` and the sample's identity; see ``Retriever``."""
        order = self._generator(sample).permutation(len(profile))
        return [profile[row] for row in order[: k or None]]

    def _generator(self, sample: Sample) -> np.random.Generator:
        # Python's hash of strings differs between processes.
        identity = json.dumps([self.seed, sample.user, sample.item, sample.target]).encode()
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(identity, digest_size=16).digest(), "big"))


def bm25_scores(sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item]) -> np.ndarray:
    """Okapi BM25 of each review for the sample, on whitespace tokens with case (DRP, anchor choice).

    Scripts without blanks between words have terms of two or three characters (``words.terms``).

    Args:
        sample: The sample.
        profile: The pool; the index has only its documents.
        items: Descriptions of the sample's and the pool's items.

    Returns:
        float64 (len(profile),). All 0 if no document has a word, because BM25 is undefined then.
    """
    documents = [terms(document_text(review, items)) for review in profile]
    if not any(documents):
        return np.zeros(len(profile))
    return BM25Okapi(documents).get_scores(terms(query_text(sample, items)))


@dataclass(frozen=True, slots=True)
class BM25:
    """The user's reviews with the highest BM25 of title and item description."""

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """The ``k`` of ``profile`` with the highest ``bm25_scores``; see ``Retriever``."""
        return best(profile, bm25_scores(sample, profile, items), k)


@dataclass(frozen=True, slots=True)
class Dense:
    """The user's reviews whose vectors are nearest to the sample's.

    Reviews have stored vectors, so that one text per sample is encoded.
    """

    encoder: Encoder
    """Encoder of the sample; its name is the key of the reviews' vectors."""
    reader: ReviewReader
    """Has a vector of every review in the profile."""

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
    """Cosine of a query with every row; 0 if either is the zero vector.

    Args:
        query: float (dim,).
        vectors: float (n, dim).

    Returns:
        float32 (n,).
    """
    query, vectors = query.astype(np.float32), vectors.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.divide(vectors @ query, norms, out=np.zeros_like(norms), where=norms > 0)


RETRIEVERS: Registry[Callable[..., Retriever]] = Registry(
    "retriever",
    {
        "bm25": "idiolect.retrieval:BM25",
        "dense": "idiolect.retrieval:Dense",
        "random": "idiolect.retrieval:Random",
        "recency": "idiolect.retrieval:Recency",
    },
)


def encodes(name: str) -> bool:
    """Whether the retriever called ``name`` needs an encoder.

    Raises:
        ConfigError: There is no retriever of that name.
    """
    return "encoder" in inspect.signature(RETRIEVERS.get(name)).parameters


def make_retriever(
    name: str, *, seed: int = 0, encoder: Encoder | None = None, reader: ReviewReader | None = None
) -> Retriever:
    """The retriever called ``name``, made with the arguments that its constructor has.

    Args:
        name: A name in ``RETRIEVERS``.
        seed: For retrievers that draw.
        encoder: For retrievers that encode.
        reader: For retrievers that read stored vectors.

    Raises:
        ConfigError: There is no retriever of that name, or it needs an argument that is None.
    """
    make = RETRIEVERS.get(name)
    offered = {"seed": seed, "encoder": encoder, "reader": reader}
    arguments = {wanted: offered[wanted] for wanted in inspect.signature(make).parameters}
    for wanted, value in arguments.items():
        if value is None:
            raise ConfigError(f"retriever {name!r} needs {wanted}, which is None", hint=f"pass {wanted}=")
    return make(**arguments)
