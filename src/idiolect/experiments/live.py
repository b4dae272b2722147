"""A live store: vectors for what is new, one review added, one review written."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from idiolect.context.builder import ContextBuilder
from idiolect.corpus.split import Split
from idiolect.encoders.table import load_encoder
from idiolect.errors import ConfigError, NotFoundError
from idiolect.experiments.commands import load_settings
from idiolect.experiments.settings import Settings
from idiolect.methods.base import Method
from idiolect.store.embed import EmbedReport, embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Prediction, Review, ReviewId, Sample, UserId


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


def add_review(
    store: str,
    *,
    user: str,
    item: str,
    text: str,
    rating: float | None = None,
    title: str = "",
    timestamp: int | None = None,
    encoder: str = "minilm",
) -> Review:
    """Add one review written now, with its vector; the item's sum follows in the same transaction as the vector.

    Raises:
        ConfigError: The text is empty.
    """
    if not text.strip():
        raise ConfigError("the review has no text", hint="pass --text")
    review = Review(
        id=ReviewId(uuid.uuid4().hex),
        user=UserId(user),
        item=ItemId(item),
        text=text,
        rating=rating,
        title=title,
        timestamp=int(time.time()) if timestamp is None else timestamp,
    )
    with SqlStore(store) as database:
        known = database.items([review.item])
        database.add([] if known else [Item(id=review.item)], [review])
        model = load_encoder(encoder)
        database.add_vectors([review.id], model.encode([text]), encoder=model.name)
    return review


def write_review(
    store: str,
    *,
    user: str,
    item: str,
    adapter: Path | None = None,
    method: str = "auto",
    rating: float | None = None,
    title: str = "",
    backbone: str | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Prediction:
    """Write one review from everything the store knows now.

    Raises:
        NotFoundError: No such store, user, item or adapter.
        ConfigError: DEP without an adapter.
    """
    chosen = ("dep" if adapter else "rag") if method == "auto" else method
    if chosen == "dep" and adapter is None:
        raise ConfigError("dep needs an adapter", hint="pass --adapter FOLDER, or --method rag")
    settings = load_settings(adapter, config=config, changes=changes, backbone=backbone)
    with SqlStore(store, create=False) as database:
        sample = Sample(user=UserId(user), item=ItemId(item), rating=rating, title=title)
        if not database.items([sample.item]):
            raise NotFoundError(f"no item {item!r} in the store", hint="ingest items with --items")
        if chosen != "nonpersonalized" and not database.profile(sample.user):
            raise NotFoundError(f"no review by user {user!r} in the store", hint="use --method nonpersonalized")
        # The encoder's full name keys the vectors; loading it also fills in what the user wrote since the last embed.
        encoder = load_encoder(settings.encoder)
        embed_missing(database, encoder, ids=[review.id for review in database.profile(sample.user)])
        contexts = ContextBuilder(database, settings.context, encoder=encoder.name)
        return _method(chosen, settings, contexts, adapter).generate([sample])[0]


def _method(name: str, settings: Settings, contexts: ContextBuilder, adapter: Path | None) -> Method:
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.methods.dep import DEP
    from idiolect.methods.nonpersonalized import NonPersonalized
    from idiolect.methods.rag import RAG
    from idiolect.softprompt.adapter import Adapter

    llm = TransformersLLM.load(settings.backbone)
    if name != "dep" or adapter is None:
        plain = NonPersonalized if name == "nonpersonalized" else RAG
        return plain(llm, contexts, params=settings.sampling, prompt=settings.prompt)
    rows = Adapter.from_pretrained(adapter).to(llm.model.device)
    prompt = settings.prompt.model_copy(update={"streams": rows.config.streams})
    return DEP(llm, contexts, rows, params=settings.sampling, prompt=prompt)


def _needed(store: SqlStore, split: Path, peers: Literal["corpus", "split"]) -> list[ReviewId]:
    """The split's own reviews and, unless they are all the peers there are, every review of their items."""
    members = Split.load(split, fingerprint=store.fingerprint()).members
    if peers == "split":
        return [ReviewId(id) for id in members["review_id"]]
    frame = store.review_frame().select("review_id", "item")
    items = frame.join(members, on="review_id", how="semi")["item"].unique()
    return frame.filter(pl.col("item").is_in(items.implode()))["review_id"].to_list()
