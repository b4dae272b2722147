"""A store to a split of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idiolect.config import merge, read_yaml
from idiolect.corpus.holdout import make_split
from idiolect.corpus.rules import SplitConfig
from idiolect.corpus.split import Split
from idiolect.experiments.outputs import check_folder, claim_folder
from idiolect.store.sql import SqlStore


def split_store(
    store: str,
    folder: Path,
    *,
    preset: str | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Split:
    """Split a store and save the split.

    The split is of the store as it is now: once the store has changed, the split is refused and has to be made again.

    Args:
        store: SQLite file or database URL.
        folder: Of the split.
        preset: Thresholds to start from; None: what the file says under ``preset``, else ``small``.
        config: YAML file of thresholds, laid on the preset.
        changes: Thresholds laid on top.

    Raises:
        NotFoundError: There is no store.
        ConfigError: An unknown preset or threshold, or ``folder`` holds other files.
        InputError: Nothing is left.
    """
    rules = _rules(preset, merge(read_yaml(config) if config else {}, changes or {}))
    with SqlStore(store, create=False) as database:
        check_folder(database, store, folder, "split")
        made = make_split(database.review_frame(), database.item_frame(), rules)
        claim_folder(database, store, folder, "split")  # first, for an erasure must find what a killed call leaves
        made.save(folder, fingerprint=database.fingerprint())
    return made


def _rules(preset: str | None, settings: Mapping[str, Any]) -> SplitConfig:
    thresholds = {str(name): value for name, value in settings.items() if name != "preset"}
    return SplitConfig.preset(preset or str(settings.get("preset", "small")), **thresholds)
