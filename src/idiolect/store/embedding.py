"""Encode reviews that have no vector yet: those of a whole store, or those a split needs.

Chunks are committed one by one, so that an interrupted run can be continued.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.data.split import Split
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ArtifactError
from idiolect.progress import Progress
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedReport:
    """Counts of an ``embed_missing``."""

    encoder: str
    embedded: int
    known: int
    """Reviews that had a vector already."""
    seconds: float

    @property
    def per_second(self) -> float:
        """Texts encoded and stored per second; 0 if there were none."""
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
    """Encode the texts of all reviews that have no vector of ``encoder``, equal texts of a chunk once.

    Args:
        store: Source of the reviews, and destination of the vectors.
        encoder: The text encoder.
        ids: Only these reviews; None: all.
        batch_size: Texts encoded at once.
        chunk: Reviews between two commits; after an interruption at most one chunk is encoded again. The longest come
            first, so that there is little padding, equal texts are adjacent, and a lack of memory shows at once.
        progress: Show progress on standard error.

    Raises:
        NotFoundError: One of ``ids`` is not in the store.
        ArtifactError: The encoder's vectors have another shape than it declares.
    """
    started = time.perf_counter()
    wanted = store.counts().reviews if ids is None else len(set(ids))
    missing = store.missing_vectors(encoder.name, ids).sort("length", "review_id", descending=[True, False])
    with Progress(missing.height, "embed", "text", shown=progress) as bar:
        for part in missing.iter_slices(chunk):
            some = part["review_id"].to_list()
            texts, of_review = _distinct([review.text for review in store.reviews(some)])
            vectors = _checked(encoder.encode(texts, batch_size=batch_size), encoder, len(texts))[of_review]
            store.add_vectors(some, vectors, encoder=encoder.name)
            bar.update(len(some))
    return EmbedReport(
        encoder=encoder.name,
        embedded=missing.height,
        known=wanted - missing.height,
        seconds=time.perf_counter() - started,
    )


def _checked(vectors: np.ndarray, encoder: Encoder, n: int) -> np.ndarray:
    """The vectors, after a check of their shape."""
    if vectors.shape != (n, encoder.dim):
        raise ArtifactError(
            f"the encoder {encoder.name!r} gave vectors of shape {vectors.shape}, not {(n, encoder.dim)}",
            hint="see idiolect.encoders.Encoder",
        )
    return vectors


def _distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct texts, and the index of every text among them."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), [places[text] for text in texts]


class EmbedConfig(Config):
    """Which vectors are computed."""

    encoder: str = "minilm"
    """``minilm``, ``style``, ``hash``, or any sentence-transformers name or folder."""
    peers: Literal["corpus", "split"] = "corpus"
    """With a split: whose reviews are peers, all users' or the split's users' (the setting ``peers`` of fit)."""
    batch_size: int = Field(default=32, gt=0)
    """Texts encoded together."""


def embed_store(
    store: str,
    encoder: str,
    *,
    split: Path | None = None,
    peers: Literal["corpus", "split"] = "corpus",
    batch_size: int = 32,
    progress: bool = False,
) -> EmbedReport:
    """Compute missing vectors, of the whole store or of what a split needs.

    Raises:
        NotFoundError: There is no store, or no such encoder.
        ArtifactError: The split is of another state of the store.
    """
    with SqlStore(store, create=False) as database:
        ids = _needed(database, split, peers) if split else None
        return embed_missing(database, load_encoder(encoder), ids=ids, batch_size=batch_size, progress=progress)


def _needed(store: SqlStore, split: Path, peers: Literal["corpus", "split"]) -> list[ReviewId]:
    """The split's own reviews and, unless they are all the peers there are, every review of their items."""
    members = Split.load(split, fingerprint=store.fingerprint()).members
    if peers == "split":
        return [ReviewId(id) for id in members["review_id"]]
    frame = store.review_frame().select("review_id", "item")
    items = frame.join(members, on="review_id", how="semi")["item"].unique()
    return frame.filter(pl.col("item").is_in(items.implode()))["review_id"].to_list()
