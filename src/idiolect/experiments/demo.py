"""A made-up world into a store.

The main job, live, on a small world made up for it: reviews in, text in the user's voice out, and what it gains.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idiolect.config import Config
from idiolect.context import ContextConfig
from idiolect.data.files import atomic_write, check_output
from idiolect.data.split import make_split
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import load_encoder
from idiolect.errors import ConfigError, OutputError
from idiolect.evaluation.runner import Evaluation, evaluate
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline import results
from idiolect.pipeline.adapters import SANDBOX_ADAPTER
from idiolect.pipeline.commands import require_weights
from idiolect.pipeline.data import Data
from idiolect.pipeline.fit import fit
from idiolect.pipeline.settings import Settings, TargetConfig
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World, is_truth
from idiolect.store.base import AddReport
from idiolect.store.embedding import embed_missing
from idiolect.store.engine import store_file
from idiolect.store.outputs import check_own
from idiolect.store.privacy import check_names
from idiolect.store.sql import SqlStore
from idiolect.training.config import FitConfig
from idiolect.training.fit import FitReport
from idiolect.version import __version__


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
        atomic_write(truth, world.save_truth)
    return report


Say = Callable[[str], None]


class DemoConfig(Config):
    """A world and a run that take minutes on two cores."""

    world: WorldConfig = WorldConfig(seed=20, n_users=150, n_items=110, reviews_per_user=(9, 13), user_sd=5.0)
    """Not the one that the shipped backbone was pretrained on: other users, other items."""
    split: SplitConfig = SplitConfig.preset("small", min_profile=4)
    """What is held out."""
    settings: Settings = Settings(
        encoder="style",
        adapter={"d_sae": 48},
        backbone=BackboneConfig(max_prompt_tokens=768, batch_size=32),
        context=ContextConfig(k=3),
        prompt=PromptConfig(with_text=False),
        targets=TargetConfig(max_validation=16, max_test=64),
        fit=FitConfig(max_steps=12, learning_rate=1e-3, metric="nll"),
        sampling=SamplingParams(max_new_tokens=96),
    )
    """DEP sees no text of past reviews (Table 2 of the paper, "w/o text"): all it knows of the user is in its vectors,
    and its short prompts train within the demo's minutes. RAG sees the text."""
    warm_start: bool = True
    """Fit on from the adapter that ships, which was fitted to other users of another world (``SANDBOX_ADAPTER``); of
    another backbone or encoder than the shipped ones, and where False, from scratch."""

    @property
    def initial(self) -> Path | None:
        """Whose adapters are fitted further."""
        shipped = (self.settings.backbone.model, self.settings.encoder) == ("sandbox", "style")
        return SANDBOX_ADAPTER if self.warm_start and shipped else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo found."""

    evaluation: Evaluation
    fits: dict[str, FitReport]
    users: int
    reviews: int
    seconds: float

    def side_by_side(self, count: int = 2) -> list[dict[str, str]]:
        """What a user wrote beside what the methods wrote for them."""
        methods = [row.condition for row in self.evaluation.methods.rows]
        names = list(map(str, methods))
        files = [results.output_file(self.evaluation.folder, "samples", one.plain_name) for one in methods]
        rows = {name: results.read_lines(file) for name, file in zip(names, files, strict=True)}
        return [
            {"user": first["user"], "reference": first["reference"]} | {name: rows[name][k]["text"] for name in names}
            for k, first in enumerate(rows[names[0]][:count])
        ]


def run_demo(folder: Path, config: DemoConfig | None = None, *, say: Say, progress: bool = False) -> DemoReport:
    """World, store, split, vectors, fit, evaluation; everything lands in ``folder`` and is taken up again there.

    Args:
        folder: Where store, split, adapter and results go.
        config: How large.
        say: Told what happens, a line a step.
        progress: Show bars.

    Raises:
        ConfigError: ``folder`` holds another demo or other files, or no adapter can be fitted to the backbone.
    """
    config = config or DemoConfig()
    started = time.monotonic()
    require_weights(config.settings.backbone)
    check_own(folder, "demo")
    llm = TransformersLLM.load(config.settings.backbone, progress=progress)
    _claim(folder, {"config": config.model_dump(mode="json"), "version": __version__, "backbone": llm.name})
    world = World(config.world)
    with SqlStore(folder / "reviews.db") as store:
        say("1/5  making up a world of users, items and reviews")
        store.add(world.items(), world.reviews())
        counts = store.counts()
        world.save_truth(folder / "truth.npz")
        say(f"2/5  turning {counts.reviews} reviews into vectors")
        encoder = load_encoder(config.settings.encoder)
        embed_missing(store, encoder, progress=progress)
        made = make_split(store.review_frame(), store.item_frame(), config.split)
        made.save(folder / "split", fingerprint=store.fingerprint())
        users = len(made.users)
        data = Data(store, folder / "split", config.settings, encoder=encoder)
        known = " on from adapters of other users" if config.initial else ""
        say(f"3/5  fitting DEP, and a constant soft prompt to compare with, on {users} users{known} (backbone frozen)")
        fits = fit(data, llm, folder=folder / "adapter", initial=config.initial, progress=progress)
        say("4/5  writing and scoring: methods, then each fed wrongly on purpose")
        found = evaluate(data, llm, folder=folder / "results", adapter=folder / "adapter")
    return DemoReport(
        evaluation=found, fits=fits, users=users, reviews=counts.reviews, seconds=time.monotonic() - started
    )


def _claim(folder: Path, demo: Mapping[str, Any]) -> None:
    """Make the folder this demo's own; the same demo goes on in it, another is refused."""
    path = folder / "demo.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(demo)):
        raise ConfigError(f"{str(folder)!r} holds another demo", hint="choose another --out, or remove that folder")
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(path, demo)
