"""``idiolect pretrain``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from idiolect.cli.options import Json, Quiet, Set, StorePath, overrides, progress, show
from idiolect.experiments.pretrain import pretrain_backbone


def pretrain(
    *,
    out: Path,
    store: StorePath = "idiolect.db",
    split: Path | None = None,
    truth: Path | None = None,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a small language model and its tokenizer from scratch on a store's reviews, in the library's own prompts.

    Args:
        out: Folder of the model; an interrupted run goes on from its last checkpoint.
        store: SQLite file or database URL.
        split: A split whose targets are kept out of the text.
        truth: Planted truth of a sandbox world, for the prompt formats that show a user's profile.
        config: YAML file of settings.
        set: A setting as name=value (size=9m, epochs=2); may be repeated.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    report = pretrain_backbone(
        store, out, split=split, truth=truth, config=config, changes=overrides(set), progress=progress(quiet)
    )
    millions, tokens = report.parameters / 1e6, report.tokens_seen / 1e6
    perplexity, nats = report.held_out_perplexity, report.held_out_review_nats
    text = (
        f"{millions:.1f} M parameters, {tokens:.2f} M tokens in {report.seconds:.0f} s\n"
        f"held-out perplexity {perplexity:.2f} a token, {nats:.1f} nats a review\n"
        f"model in {out}"
    )
    show(asdict(report), text, as_json=json)
