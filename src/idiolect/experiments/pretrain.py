"""A store to a small backbone, on text that no adapter is fitted or tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from idiolect.config import load
from idiolect.corpus.split import Split
from idiolect.errors import require
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
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> PretrainReport:
    """Pretrain on all of a store's reviews but a split's train, validation and test targets.

    Raises:
        NotFoundError: There is no store.
        ArtifactError: The split is of another state of the store.
        ConfigError: A setting is wrong, or ``folder`` holds a backbone of another recipe.
    """
    settings = load(PretrainConfig, config, changes)
    require("torch", extra="train")
    from idiolect.training.pretrain import pretrain

    with SqlStore(store, create=False) as database:
        hidden = (
            Split.load(split, fingerprint=database.fingerprint()).ids("train", "validation", "test") if split else []
        )
        reviews = _visible(database, hidden)
        items = database.items(sorted({ItemId(review.item) for review in reviews}))
        provenance = {"store": database.fingerprint(), "reviews": len(reviews), "hidden_targets": len(hidden)}
        return pretrain(reviews, items, config=settings, folder=folder, provenance=provenance, progress=progress)


def _visible(store: SqlStore, hidden: Sequence[ReviewId]) -> list[Review]:
    ids = store.review_frame().filter(~pl.col("review_id").is_in(pl.Series(hidden, dtype=pl.String).implode()))
    return store.reviews(ids["review_id"].to_list())
