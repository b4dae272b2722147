"""A made-up world into a store."""

from __future__ import annotations

from pathlib import Path

from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.world import World
from idiolect.store.base import AddReport
from idiolect.store.pseudonym import check_names
from idiolect.store.sql import SqlStore


def store_world(store: str, config: WorldConfig, *, truth: Path | None = None) -> AddReport:
    """Add a world's items and reviews to a store, and save what was planted.

    Args:
        store: SQLite file (made where absent) or database URL.
        config: The world.
        truth: Where the planted effects go; None: nowhere.

    Raises:
        ConfigError: The store knows users by pseudonyms.
    """
    world = World(config)
    with SqlStore(store) as database:
        check_names(database, None, take=True)
        report = database.add(world.items(), world.reviews())
    if truth is not None:
        world.save_truth(truth)
    return report
