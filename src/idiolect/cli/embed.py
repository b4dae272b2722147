"""``idiolect embed``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from idiolect.cli.options import Json, Quiet, StorePath, progress, show
from idiolect.experiments.live import embed_store


def embed(
    *,
    store: StorePath = "idiolect.db",
    encoder: str = "minilm",
    split: Path | None = None,
    peers: Literal["corpus", "split"] = "corpus",
    batch_size: int = 32,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the vectors that a store is missing; interrupted, it goes on where it was.

    Args:
        store: SQLite file or database URL.
        encoder: minilm, hash, or any sentence-transformers name or folder.
        split: Embed only what this split needs: its users' reviews and the peers' of their items.
        peers: With a split: whose reviews peers are, everybody's or the split's users' (the setting peers of fit).
        batch_size: Texts encoded together.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    report = embed_store(store, encoder, split=split, peers=peers, batch_size=batch_size, progress=progress(quiet))
    known = f"{report.known} had a vector of {report.encoder}"
    text = f"{report.embedded} reviews embedded in {report.seconds:.1f} s, {known}"
    show(asdict(report), text, as_json=json)
