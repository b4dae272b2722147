"""A tiny world, store, split and backbone, made once for every test of whole runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from idiolect.experiments.live import embed_store
from idiolect.experiments.pretrain import pretrain_backbone
from idiolect.experiments.split import split_store
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.world import World
from idiolect.store.sql import SqlStore

SETTINGS = {
    "encoder": "hash:48",
    "backbone": {"max_prompt_tokens": 1024, "batch_size": 8},
    "context": {"k": 2},
    "targets": {"max_validation": 4, "max_test": 10},
    "fit": {"epochs": 1, "batch_size": 4, "max_steps": 3},
    "sampling": {"max_new_tokens": 8},
    "resamples": 100,
}


@dataclass(frozen=True)
class Job:
    """Paths of a prepared job."""

    folder: Path
    store: str
    split: Path
    backbone: Path


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Store, split and backbone of a world of 14 users."""
    folder = tmp_path_factory.mktemp("job")
    store = str(folder / "reviews.db")
    world = World(WorldConfig(seed=3, n_users=14, n_items=12, reviews_per_user=(8, 9)))
    with SqlStore(store) as database:
        database.add(world.items(), world.reviews())
    thresholds = {"min_item_users": 2, "min_user_reviews": 6, "min_peers": 2, "min_profile": 2}
    split_store(store, folder / "split", preset="small", changes=thresholds)
    embed_store(store, "hash:48")
    recipe = {"size": "1m", "vocab_size": 400, "max_steps": 3, "held_out": 5, "tokens_per_step": 1024}
    pretrain_backbone(store, folder / "lm", split=folder / "split", changes=recipe)
    return Job(folder, store, folder / "split", folder / "lm")
