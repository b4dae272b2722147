"""Encoding what has no vector yet, chunk by chunk: what was committed stays, a second run goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from idiolect.encoders.base import Encoder
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedReport:
    """What an ``embed_missing`` did."""

    encoder: str
    embedded: int
    known: int
    """Reviews that had a vector already."""
    seconds: float

    @property
    def per_second(self) -> float:
        """Texts encoded and stored per second; 0 where there were none."""
        return self.embedded / self.seconds if self.embedded else 0.0


def embed_missing(
    store: SqlStore,
    encoder: Encoder,
    *,
    ids: Sequence[ReviewId] | None = None,
    batch_size: int = 32,
    chunk: int = 1024,
    progress: bool = False,
) -> EmbedReport:
    """Encode the texts of all reviews that have no vector of ``encoder``.

    Args:
        store: Where the reviews are and the vectors go.
        encoder: What makes the vectors.
        ids: Only these reviews; all where None.
        batch_size: Texts encoded at once.
        chunk: Texts between two commits. Within a chunk texts are ordered by length, so that little is padding; after
            an interruption at most one chunk is encoded again.
        progress: Show a bar on standard error.

    Raises:
        NotFoundError: One of ``ids`` is not in the store.
    """
    started = time.perf_counter()
    wanted = store.counts().reviews if ids is None else len(set(ids))
    missing = store.missing_vectors(encoder.name, ids)
    with tqdm(total=missing.height, desc="embed", unit="text", disable=not progress) as bar:
        for part in missing.iter_slices(chunk):
            some = part.sort("length", descending=True)["review_id"].to_list()
            texts = [review.text for review in store.reviews(some)]
            store.add_vectors(some, encoder.encode(texts, batch_size=batch_size), encoder=encoder.name)
            bar.update(len(some))
    return EmbedReport(
        encoder=encoder.name,
        embedded=missing.height,
        known=wanted - missing.height,
        seconds=time.perf_counter() - started,
    )
