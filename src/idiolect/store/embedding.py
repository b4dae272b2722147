"""Encode reviews that have no vector yet: those of a whole store, or those a split needs.

Chunks are committed one by one, so that an interrupted run can be continued. An engine encodes them (``engine``); this
process reads the texts and writes the vectors.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.data.split import ROLES, Split
from idiolect.encoders import Encoder, load_encoder
from idiolect.engine import LOCAL, Engine, EngineName, open_engine
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
    engine: Engine = LOCAL,
    load: Callable[[], Encoder] | None = None,
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
        engine: What encodes.
        load: Loads the encoder where it is used; None: it is sent there.

    Raises:
        NotFoundError: One of ``ids`` is not in the store.
        ArtifactError: The encoder's vectors have another shape than it declares.
        EngineError: A chunk was lost with its worker several times.
    """
    started = time.perf_counter()
    wanted = store.counts().reviews if ids is None else len(set(ids))
    missing = store.missing_vectors(encoder.name, ids).sort("length", "review_id", descending=[True, False])
    sent: deque[tuple[list[ReviewId], list[int], int]] = deque()

    def chunks() -> Iterator[list[str]]:
        for part in missing.iter_slices(chunk):
            some = part["review_id"].to_list()
            texts, of_review = _distinct([review.text for review in store.reviews(some)])
            sent.append((some, of_review, len(texts)))
            yield texts

    loaded = partial(_given, encoder) if load is None or engine is LOCAL else load
    encoded = engine.map(partial(_encoding, loaded, batch_size, encoder.name), chunks(), gpu=True)
    with Progress(missing.height, "embed", "text", shown=progress) as bar:
        for vectors in encoded if missing.height else ():
            some, of_review, n = sent.popleft()
            store.add_vectors(some, _checked(vectors, encoder, n)[of_review], encoder=encoder.name)
            bar.update(len(some))
    return EmbedReport(
        encoder=encoder.name,
        embedded=missing.height,
        known=wanted - missing.height,
        seconds=time.perf_counter() - started,
    )


def _given(encoder: Encoder) -> Encoder:
    return encoder


def _encoding(load: Callable[[], Encoder], batch_size: int, name: str) -> Callable[[list[str]], np.ndarray]:
    """What a worker does with a chunk, after a check that its encoder is the driver's."""
    encoder = load()
    if encoder.name != name:
        message = f"a worker has the encoder {encoder.name!r}, not {name!r}"
        raise ArtifactError(message, hint="put the same model on every node")
    return partial(encoder.encode, batch_size=batch_size)


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
    engine: EngineName = "local"
    """What encodes: this process, or the workers of a Ray cluster (docs/scale.md)."""
    workers: int | None = Field(default=None, gt=0)
    """Of a Ray cluster; None: one per GPU, else one per processor."""


def embed_store(
    store: str,
    encoder: str,
    *,
    split: Path | None = None,
    peers: Literal["corpus", "split"] = "corpus",
    batch_size: int = 32,
    progress: bool = False,
    engine: EngineName = "local",
    workers: int | None = None,
) -> EmbedReport:
    """Compute missing vectors, of the whole store or of what a split needs.

    Raises:
        NotFoundError: There is no store, or no such encoder.
        MissingDependencyError: The encoder or the engine needs an extra that is not installed.
        ArtifactError: The split is of another state of the store.
    """
    with SqlStore(store, create=False) as database:
        ids = _needed(database, split, peers) if split else None
        return embed_missing(
            database,
            load_encoder(encoder),
            ids=ids,
            batch_size=batch_size,
            progress=progress,
            engine=open_engine(engine, workers=workers),
            load=partial(load_encoder, encoder),
        )


def _needed(store: SqlStore, split: Path, peers: Literal["corpus", "split"]) -> list[ReviewId]:
    """The split's own reviews and, unless they are all the peers there are, every review of their items."""
    made = Split.load(split, fingerprint=store.fingerprint())
    if peers == "split":
        return made.ids(*ROLES)
    frame = store.review_frame("review_id", "item")
    parts = [frame.join(part, on="review_id", how="semi").select("item").unique() for part in made.batches()]
    items = pl.concat([frame.clear().select("item"), *parts]).unique()
    return frame.join(items, on="item", how="semi", maintain_order="left")["review_id"].to_list()
