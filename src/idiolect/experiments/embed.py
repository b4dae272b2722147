"""Vectors for what is new: of a whole store, or of what a split needs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.corpus.split import Split
from idiolect.encoders.table import load_encoder
from idiolect.store.embed import EmbedReport, embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId


class EmbedConfig(Config):
    """Which vectors are computed."""

    encoder: str = "minilm"
    """``minilm``, ``style``, ``hash``, or any sentence-transformers name or folder."""
    peers: Literal["corpus", "split"] = "corpus"
    """With a split: whose reviews peers are, everybody's or the split's users' (the setting ``peers`` of fit)."""
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
