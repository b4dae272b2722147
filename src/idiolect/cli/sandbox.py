"""``idiolect sandbox``."""

from __future__ import annotations

from pathlib import Path

from idiolect.cli.options import Json, Set, StorePath, overrides, show
from idiolect.config import build
from idiolect.experiments.world import store_world
from idiolect.sandbox.config import WorldConfig


def sandbox(*, store: StorePath = "idiolect.db", truth: Path | None = None, set: Set = (), json: Json = False) -> None:
    """Fill a store with a made-up world of users, items and reviews whose differences are known.

    Args:
        store: SQLite file (made where absent) or database URL.
        truth: Where the planted effects are written (.npz).
        set: A setting as name=value (n_users=1000, seed=7, genre_sd=2); may be repeated.
        json: Print one JSON object.
    """
    config = build(WorldConfig, overrides(set), where="--set")
    report = store_world(store, config, truth=truth)
    record = {"store": store, "reviews_added": report.reviews_added, "items_added": report.items_added}
    show(record, f"{report.reviews_added} reviews and {report.items_added} items added to {store}", as_json=json)
