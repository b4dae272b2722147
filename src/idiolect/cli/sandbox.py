"""``idiolect sandbox``."""

from __future__ import annotations

from pathlib import Path

from idiolect.cli.options import Json, Set, StorePath, overrides, show
from idiolect.config import load
from idiolect.errors import without_passwords
from idiolect.experiments.world import store_world
from idiolect.sandbox.config import WorldConfig


def sandbox(
    *,
    store: StorePath = "idiolect.db",
    truth: Path | None = None,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
) -> None:
    """Fill a store with a made-up world of users, items and reviews whose differences are known.

    Args:
        store: SQLite file (made where absent) or database URL.
        truth: Where the planted effects are written (.npz).
        config: YAML file of settings.
        set: A setting as name=value (n_users=1000, seed=7, genre_sd=2); may be repeated.
        json: Print one JSON object.
    """
    report = store_world(store, load(WorldConfig, config, overrides(set)), truth=truth)
    record = {"store": store, "reviews_added": report.reviews_added, "items_added": report.items_added}
    show(
        record,
        f"{report.reviews_added} reviews and {report.items_added} items added to {without_passwords(store)}",
        as_json=json,
    )
