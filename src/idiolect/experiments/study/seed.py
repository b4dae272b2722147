"""One seed of the study: its world in a store, embedded and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from idiolect.corpus.holdout import make_split
from idiolect.encoders.base import Encoder
from idiolect.experiments.data import Data
from idiolect.experiments.settings import Settings
from idiolect.experiments.study.config import StudyConfig
from idiolect.sandbox.truth import Truth
from idiolect.sandbox.world import World
from idiolect.store.embed import embed_missing
from idiolect.store.sql import SqlStore

STORE, SPLIT, TRUTH = "reviews.db", "split", "truth.npz"


@dataclass(frozen=True, slots=True, eq=False)
class SeedWorld:
    """What is known of one seed's world."""

    seed: int
    folder: Path
    store: SqlStore
    truth: Truth
    encoder: Encoder

    def data(self, settings: Settings) -> Data:
        """What a run with these settings reads."""
        return Data(self.store, self.folder / SPLIT, settings, encoder=self.encoder)

    def effects(self) -> dict[str, int]:
        """Row of each user's planted effect."""
        return {user: row for row, user in enumerate(self.truth.users)}


def open_seed(folder: Path, seed: int, config: StudyConfig, encoder: Encoder, *, progress: bool = False) -> SeedWorld:
    """Make what is missing of a seed's world and open it; every step is one that can be taken again.

    Args:
        folder: Of this seed.
        seed: Of the world.
        config: The study.
        encoder: Whose vectors are computed.
        progress: Show bars.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = World(config.world.model_copy(update={"seed": seed}))
    store = SqlStore(str(folder / STORE))
    if not (folder / TRUTH).is_file():
        store.add(world.items(), world.reviews())
        world.save_truth(folder / TRUTH)
    embed_missing(store, encoder, progress=progress)
    if not (folder / SPLIT).is_dir():
        made = make_split(store.review_frame(), store.item_frame(), config.split)
        made.save(folder / SPLIT, fingerprint=store.fingerprint())
    return SeedWorld(seed, folder, store, Truth.load(folder / TRUTH), encoder)
