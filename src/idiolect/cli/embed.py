"""``idiolect embed``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from idiolect.cli.options import Json, Quiet, StorePath, given, progress, show
from idiolect.config import load
from idiolect.experiments.embed import EmbedConfig, embed_store


def embed(
    *,
    store: StorePath = "idiolect.db",
    encoder: str | None = None,
    split: Path | None = None,
    peers: Literal["corpus", "split"] | None = None,
    batch_size: int | None = None,
    config: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the vectors that a store is missing; interrupted, it goes on where it was.

    Args:
        store: SQLite file or database URL.
        encoder: minilm (also where not given), style, hash, or any sentence-transformers name or folder.
        split: Embed only what this split needs: its users' reviews and the peers' of their items.
        peers: With a split: whose reviews peers are, everybody's or the split's users' (the setting peers of fit).
        batch_size: Texts encoded together; 32 where not given.
        config: YAML file with any of encoder, peers and batch_size.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    settings = load(EmbedConfig, config, given(encoder=encoder, peers=peers, batch_size=batch_size))
    report = embed_store(store, split=split, progress=progress(quiet), **settings.model_dump())
    known = f"{report.known} had a vector of {report.encoder}"
    text = f"{report.embedded} reviews embedded in {report.seconds:.1f} s, {known}"
    show(asdict(report), text, as_json=json)
