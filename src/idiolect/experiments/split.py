"""A store to a split of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idiolect.corpus.holdout import make_split
from idiolect.corpus.rules import SplitConfig
from idiolect.corpus.split import Split
from idiolect.store.sql import SqlStore


def split_store(store: str, folder: Path, *, preset: str, changes: Mapping[str, Any] | None = None) -> Split:
    """Split a store by a preset with changes and save the split.

    Raises:
        NotFoundError: There is no store.
        ConfigError: An unknown preset or threshold.
        InputError: Nothing is left.
    """
    config = SplitConfig.preset(preset, **(changes or {}))
    with SqlStore(store, create=False) as database:
        made = make_split(database.review_frame(), database.item_frame(), config)
        made.save(folder, fingerprint=database.fingerprint())
    return made
