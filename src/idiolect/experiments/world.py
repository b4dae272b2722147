"""A made-up world into a store."""

from __future__ import annotations

from pathlib import Path

from idiolect.corpus.atomic import check_output, write_whole
from idiolect.errors import OutputError
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.truth import is_truth
from idiolect.sandbox.world import World
from idiolect.store.base import AddReport
from idiolect.store.engine import store_file
from idiolect.store.pseudonym import check_names
from idiolect.store.sql import SqlStore


def store_world(store: str, config: WorldConfig, *, truth: Path | None = None) -> AddReport:
    """Add a world's items and reviews to a store, and save what was planted.

    Args:
        store: SQLite file (made where absent) or database URL.
        config: The world.
        truth: Where the planted effects go; None: nowhere.

    Raises:
        ConfigError: The store knows users by pseudonyms, or something else is where the truth is to go.
    """
    if truth is not None:
        truth = check_output(truth, ours=is_truth, what="a planted truth", apart=(store_file(store),))
        if not truth.parent.is_dir():
            raise OutputError(f"there is no folder {str(truth.parent)!r} for the truth", hint="make it first")
    world = World(config)
    with SqlStore(store) as database:
        check_names(database, None, take=True)
        report = database.add(world.items(), world.reviews())
    if truth is not None:
        write_whole(truth, world.save_truth)
    return report
