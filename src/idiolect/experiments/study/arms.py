"""One seed of the study: its world in a store, the arms' adapters, and every method and control on the test samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idiolect.data.split import make_split
from idiolect.encoders import Encoder
from idiolect.evaluation.conditions import Condition
from idiolect.evaluation.runner import run_condition
from idiolect.experiments.study.config import Arm, StudyConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import BASELINE, UNPERSONALIZED, Contexts
from idiolect.methods.controls import CONSTANT as CONSTANT_RUN
from idiolect.methods.controls import (
    NO_ADAPTER,
    OTHER_VECTORS,
    WRONG_USER,
    NoAdapter,
    OtherVectors,
    WrongUser,
)
from idiolect.methods.dep import DEP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.pipeline.adapters import CONSTANT
from idiolect.pipeline.data import Data
from idiolect.pipeline.fit import fit
from idiolect.pipeline.models import adapted, load_adapter
from idiolect.pipeline.settings import Settings
from idiolect.sandbox.world import Truth, World
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore
from idiolect.training.fit import FitReport
from idiolect.types import ConditionId

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
        """Row of each user's true effect."""
        return {user: row for row, user in enumerate(self.truth.users)}


def open_seed(folder: Path, seed: int, config: StudyConfig, encoder: Encoder) -> SeedWorld:
    """Make what is missing of a seed's world and open it; every step is one that can be taken again.

    Args:
        folder: Of this seed.
        seed: Of the world.
        config: The study.
        encoder: Whose vectors are computed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = World(config.world.model_copy(update={"seed": seed}))
    store = SqlStore(str(folder / STORE))
    if not (folder / TRUTH).is_file():
        store.add(world.items(), world.reviews())
        world.save_truth(folder / TRUTH)
    embed_missing(store, encoder)
    if not (folder / SPLIT).is_dir():
        made = make_split(store.review_frame(), store.item_frame(), config.split)
        made.save(folder / SPLIT, fingerprint=store.fingerprint())
    return SeedWorld(seed, folder, store, Truth.load(folder / TRUTH), encoder)


def fit_arm(world: SeedWorld, llm: TransformersLLM, config: StudyConfig, arm: Arm) -> dict[str, FitReport]:
    """Fit an arm's adapters, from another arm's if it names one; finished fits are not repeated."""
    return fit(
        world.data(config.settings_of(arm)),
        llm,
        folder=adapter_folder(world, arm.id),
        initial=adapter_folder(world, ConditionId(arm.after)) if arm.after else None,
    )


def run_rows(world: SeedWorld, llm: TransformersLLM, config: StudyConfig) -> None:
    """Run every condition of a seed; outputs go to ``samples``, one file per condition."""
    samples = world.data(config.settings).samples("test")
    writing = {ConditionId(UNPERSONALIZED), ConditionId(BASELINE), *(arm.id for arm in config.arms if arm.texts)}
    for condition in _conditions(world, llm, config):
        run_condition(condition, llm, samples, world.folder, texts=condition.id in writing)


def adapter_folder(world: SeedWorld, arm: ConditionId) -> Path:
    """Where an arm's adapters are."""
    return world.folder / "adapters" / re.sub("[^a-z]+", "-", arm.plain_name)


def _conditions(world: SeedWorld, llm: TransformersLLM, config: StudyConfig) -> Iterator[Condition]:
    settings = config.settings
    contexts, shared = world.data(settings).contexts("test"), {"params": settings.sampling, "prompt": settings.prompt}
    stranger = WrongUser(contexts, seed=settings.seed)
    yield Condition(method=NonPersonalized(llm, contexts, **shared))
    yield Condition(method=RAG(llm, contexts, **shared))
    yield Condition(method=RAG(llm, stranger, **shared), control=WRONG_USER)
    for arm in config.arms_of(world.seed):
        yield from _of_arm(world, llm, config, arm)


def _of_arm(world: SeedWorld, llm: TransformersLLM, config: StudyConfig, arm: Arm) -> Iterator[Condition]:
    settings = config.settings_of(arm)
    contexts, folder, seed = world.data(settings).contexts("test"), adapter_folder(world, arm.id), settings.seed

    def dep(where: Path, source: Contexts, control: str | None) -> Condition:
        adapter = load_adapter(where, llm)
        how = {"params": settings.sampling, "prompt": adapted(settings.prompt, adapter), "name": arm.name}
        return Condition(method=DEP(llm, source, adapter, **how), control=control)

    yield dep(folder, contexts, arm.control)
    if arm.constant:
        yield dep(folder / CONSTANT, contexts, CONSTANT_RUN)
    if arm.controls:
        yield dep(folder, OtherVectors(contexts, seed=seed), OTHER_VECTORS)
        yield dep(folder, WrongUser(contexts, seed=seed), WRONG_USER)
        bare = NoAdapter(llm, contexts, params=settings.sampling, prompt=settings.prompt, name=arm.name)
        yield Condition(method=bare, control=NO_ADAPTER)
