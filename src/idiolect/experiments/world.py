"""A made-up world in a store; apart from the demo, because it needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from idiolect.data.output_files import atomic_write, check_output
from idiolect.errors import OutputError
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World, is_truth
from idiolect.store.base import AddReport
from idiolect.store.engine import store_file
from idiolect.store.privacy import check_names
from idiolect.store.sql import SqlStore


def store_world(store: str, config: WorldConfig, *, truth: Path | None = None) -> AddReport:
    """Add a world's items and reviews to a store, and save the ground truth.

    Args:
        store: SQLite file (made if absent) or database URL.
        config: The world.
        truth: File for the true effects; None: they are not saved.

    Raises:
        ConfigError: The store knows users by pseudonyms, or ``truth`` is another kind of file.
        OutputError: The folder of ``truth`` does not exist.
    """
    if truth is not None:
        truth = check_output(truth, ours=is_truth, what="a ground truth", apart=(store_file(store),))
        if not truth.parent.is_dir():
            raise OutputError(f"there is no folder {str(truth.parent)!r} for the truth", hint="make it first")
    world = World(config)
    with SqlStore(store) as database:
        check_names(database, None, take=True)
        report = database.add(world.items(), world.reviews())
    if truth is not None:
        atomic_write(truth, world.save_truth)
    return report
