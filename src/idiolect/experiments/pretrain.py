"""A store to a small backbone, on text that no adapter is fitted or tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from idiolect.config import load
from idiolect.corpus.holdout import collapse_whitespace
from idiolect.corpus.split import Split
from idiolect.errors import require
from idiolect.experiments.outputs import check_folder, claim_folder
from idiolect.sandbox.notes import PlantedNotes
from idiolect.sandbox.truth import Truth
from idiolect.store.sql import SqlStore
from idiolect.training.pretrain_config import PretrainConfig, PretrainReport
from idiolect.types import ItemId, Review, ReviewId

if TYPE_CHECKING:
    from collections.abc import Sequence


def pretrain_backbone(
    store: str,
    folder: Path,
    *,
    split: Path | None = None,
    truth: Path | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> PretrainReport:
    """Pretrain on all of a store's reviews but a split's train, validation and test targets.

    With the planted truth of a sandbox world, the formats that show a user's profile are read too.

    Raises:
        NotFoundError: There is no store.
        ArtifactError: The split is of another state of the store, or ``truth`` holds none.
        ConfigError: A setting is wrong, or ``folder`` holds a backbone of another recipe.
    """
    settings = load(PretrainConfig, config, changes)
    require("torch", extra="train")
    from idiolect.training.pretrain import pretrain

    with SqlStore(store, create=False) as database:
        check_folder(database, store, folder, "backbone", apart=(split, truth, settings.initial))
        targets: list[ReviewId] = []
        if split is not None:
            targets = Split.load(split, fingerprint=database.fingerprint()).ids("train", "validation", "test")
        claim_folder(database, store, folder, "backbone")
        reviews = _visible(database, targets)
        items = database.items(sorted({ItemId(review.item) for review in reviews}))
        provenance = {"store": database.fingerprint(), "reviews": len(reviews), "targets": len(targets)}
        notes = PlantedNotes(Truth.load(truth)) if truth else None
        return pretrain(
            reviews, items, config=settings, folder=folder, notes=notes, provenance=provenance, progress=progress
        )


def _visible(store: SqlStore, targets: Sequence[ReviewId]) -> list[Review]:
    """All reviews but the targets, and but what their users wrote again, or about the same item.

    The split drops such repeats, so that they have no role; read here, they would give the targets away.
    """
    frame = store.review_frame()
    frame = frame.with_columns(said=collapse_whitespace(frame["text"]))
    hidden = frame.filter(pl.col("review_id").is_in(pl.Series(targets, dtype=pl.String).implode()))
    for key in (["review_id"], ["user", "item"], ["user", "said"]):
        frame = frame.join(hidden, on=key, how="anti")
    return store.reviews(frame["review_id"].to_list())
