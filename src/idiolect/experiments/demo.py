"""The main job, live, on a small made-up world: reviews in, text in the user's style out, and what it gains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from idiolect.config import Config
from idiolect.context import ContextConfig
from idiolect.data.split import make_split
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError
from idiolect.evaluation.attribution import Verdict
from idiolect.evaluation.runner import Evaluation, evaluate
from idiolect.evaluation.scoring import NLL
from idiolect.explain.layout import Card
from idiolect.explain.run import explain, find_all_differences
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED
from idiolect.pipeline import results
from idiolect.pipeline.adapters import SANDBOX_ADAPTER
from idiolect.pipeline.commands import require_weights
from idiolect.pipeline.data import Data
from idiolect.pipeline.fit import fit
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import Settings, TargetConfig
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.store.embedding import embed_missing
from idiolect.store.outputs import check_own
from idiolect.store.sql import SqlStore
from idiolect.training.config import FitConfig
from idiolect.training.fit import FitReport
from idiolect.types import ConditionId, Sample
from idiolect.version import __version__

Say = Callable[[str], None]
SHOWN = (UNPERSONALIZED, BASELINE, ADAPTER_METHOD)
"""Methods whose texts are shown next to the user's own."""


class DemoConfig(Config):
    """A world and a run that take minutes on two cores."""

    world: WorldConfig = WorldConfig(seed=20, n_users=150, n_items=110, reviews_per_user=(9, 13), user_sd=5.0)
    """Other users and items than the shipped backbone was pretrained on."""
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
class ItemTexts:
    """The user's own text about one item, and what methods wrote in their place."""

    title: str
    rating: float | None
    reference: str
    texts: Mapping[str, str]
    """By method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One user: differences from others, and held-out texts next to generated ones."""

    card: Card
    items: tuple[ItemTexts, ...]
    """The test target; then the validation target, which methods saw only when the best checkpoint was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What one method gains over Non-Perso, in nats per review."""

    method: str
    nats: float
    """Mean negative log-likelihood of the users' own texts under the method."""
    verdict: Verdict | None
    """Gain over Non-Perso and whether it is personal; None for Non-Perso itself."""
    measured: bool = False
    """Whether no model extracts, validates or summarizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo found."""

    evaluation: Evaluation
    fits: dict[str, FitReport]
    example: Example
    users: int
    reviews: int
    seconds: float


def gains(evaluation: Evaluation) -> tuple[Gain, ...]:
    """What each method of an evaluation gains over Non-Perso, in the order of its table."""
    settled = {
        verdict.claim.method: verdict
        for verdict in evaluation.verdicts
        if (verdict.claim.baseline, verdict.claim.source) == (ConditionId(UNPERSONALIZED), "user")
    }
    place = [column.name for column in evaluation.methods.columns].index(NLL.name)
    return tuple(
        Gain(
            method=row.condition.method,
            nats=cell.score.value,
            verdict=settled.get(row.condition),
            measured=row.condition.measured,
        )
        for row in evaluation.methods.rows
        if (cell := row.cells[place])
    )


def run_demo(folder: Path, config: DemoConfig | None = None, *, say: Say, progress: bool = False) -> DemoReport:
    """World, store, split, vectors, fit, evaluation; a second call with the same folder resumes it.

    Args:
        folder: Gets store, split, adapter and results.
        config: World and settings; None: the defaults.
        say: Called with a line per step.
        progress: Show bars.

    Raises:
        ConfigError: ``folder`` holds another demo or other files, or no adapter can be fitted to the backbone.
        ArtifactError: A record in ``folder`` is damaged.
    """
    config = config or DemoConfig()
    started = time.monotonic()
    require_weights(config.settings.backbone)
    check_own(folder, "demo")
    llm = TransformersLLM.load(config.settings.backbone, progress=progress)
    depends = {"config": config.model_dump(mode="json"), "version": __version__, "backbone": llm.name}
    results.claim(folder / "demo.json", depends, "demo", DemoConfig)
    world = World(config.world)
    with SqlStore(folder / "reviews.db") as store:
        say("1/5  making up a world of users, items and reviews")
        store.add(world.items(), world.reviews())
        counts = store.counts()
        world.save_truth(folder / "truth.npz")
        say(f"2/5  computing the vectors of {counts.reviews} reviews")
        encoder = load_encoder(config.settings.encoder)
        embed_missing(store, encoder, progress=progress)
        made = make_split(store.review_frame(), store.item_frame(), config.split)
        made.save(folder / "split", fingerprint=store.fingerprint())
        users = len(made.users)
        data = Data(store, folder / "split", config.settings, encoder=encoder)
        known = ", continuing from adapters of other users" if config.initial else ""
        say(f"3/5  fitting DEP, and a constant soft prompt as a control, on {users} users{known} (backbone frozen)")
        fits = fit(data, llm, folder=folder / "adapter", initial=config.initial, progress=progress)
        say("4/5  writing and scoring: methods and their negative controls")
        found = evaluate(data, llm, folder=folder / "results", adapter=folder / "adapter")
        shown = _example(data, llm, folder)
    return DemoReport(
        evaluation=found,
        fits=fits,
        example=shown,
        users=users,
        reviews=counts.reviews,
        seconds=time.monotonic() - started,
    )


def _example(data: Data, llm: TransformersLLM, folder: Path) -> Example:
    """The first test user who differs significantly from others; without any, the first test user."""
    samples = data.samples("test")
    found = find_all_differences(data.store, [sample.user for sample in samples])
    place = next((place for place, one in enumerate(found) if one.claims), 0)
    user = samples[place].user
    files = {name: results.output_file(folder / "results", "samples", name) for name in SHOWN}
    tested = {name: results.read_lines(path)[place]["text"] for name, path in files.items()}
    items = [_item_texts(data, samples[place], tested)]
    held_out = set(data.split.ids("validation"))
    for review in data.store.profile(user):
        if review.id in held_out:
            sample = Sample.of(review)
            items.append(_item_texts(data, sample, _written(data, llm, sample, folder)))
    return Example(card=explain(data.store, user), items=tuple(items[:2]))


def _item_texts(data: Data, sample: Sample, texts: Mapping[str, str]) -> ItemTexts:
    item = data.store.items([sample.item]).get(sample.item)
    title = item.title if item and item.title else sample.item
    return ItemTexts(title=title, rating=sample.rating, reference=sample.reference or "", texts=texts)


def _written(data: Data, llm: TransformersLLM, sample: Sample, folder: Path) -> Mapping[str, str]:
    """What the shown methods write for a validation target, by method."""
    path = folder / "example.json"
    if path.is_file():
        texts = results.read_json(path).get("texts")
        if isinstance(texts, dict) and set(texts) == set(SHOWN) and all(isinstance(one, str) for one in texts.values()):
            return texts
        raise ArtifactError(f"{str(path)!r} holds no texts", hint="delete it, and run the same command again")
    with Models(llm, data.settings.sampling) as models:
        builder = MethodBuilder(data.settings, models, data.snapshot("validation"), data.text_encoder)
        contexts = data.contexts("validation")
        methods = {name: builder.build(name, contexts, adapter=folder / "adapter") for name in SHOWN}
        texts = {name: method.generate([sample])[0].text for name, method in methods.items()}
    results.write_json(path, {"target": sample.target, "texts": texts})
    return texts
