"""The main job, live, on a small made-up world: reviews in, text in the user's style out, and what it gains.

Where the packages of a language model are missing, what needs none is run: world, vectors, differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from idiolect.config import Config
from idiolect.context import ContextConfig
from idiolect.data.split import make_split
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, InputError, MissingDependencyError
from idiolect.evaluation.attribution import Verdict
from idiolect.evaluation.columns import NLL
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.runner import evaluate
from idiolect.experiments.study.arrays import world_arrays
from idiolect.experiments.study.probes import Point, ProbeConfig, measure
from idiolect.explain.layout import Card
from idiolect.explain.run import explain, find_all_differences
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED
from idiolect.metrics.registry import load_metrics
from idiolect.pipeline import results
from idiolect.pipeline.adapters import SANDBOX_ADAPTER
from idiolect.pipeline.commands import require_weights
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import Settings, TargetConfig
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.traits import describe
from idiolect.sandbox.world import World
from idiolect.store.embedding import embed_missing
from idiolect.store.outputs import check_own
from idiolect.store.sql import SqlStore
from idiolect.training.config import FitConfig
from idiolect.types import ConditionId, Review, Sample
from idiolect.version import __version__

if TYPE_CHECKING:
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.training.fit import FitReport

Say = Callable[[str], None]
SHOWN = (UNPERSONALIZED, BASELINE, ADAPTER_METHOD)
"""Methods whose texts are shown next to the user's own."""
_HABITS = 8
"""True habits that are shown of a user."""
_ANCHORS = 4
"""Reviews of a user that the probes average, as in most of the study's."""


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
    items: tuple[ItemTexts, ...] = ()
    """The test target; then the validation target, which methods saw only when the best checkpoint was chosen. Empty
    where nothing was written."""
    truth: tuple[str, ...] = ()
    """The habits that the world gave the user, the strongest first, in the words of ``sandbox.traits``."""


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

    example: Example
    recovery: Point | None
    """How much of the users' true habits the vectors of a few reviews hold; None for a world too small to say."""
    users: int
    """Those of the split."""
    reviews: int
    seconds: float
    missing: str | None = None
    """What is not installed, in a line, if therefore nothing was fitted, written or scored; None: everything was."""
    evaluation: Evaluation | None = None
    """None: not run."""
    fits: dict[str, FitReport] | None = None
    """By method and trained control; None: not run."""


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

    Without the packages of fit and evaluation the steps before them are run; with them the same call then continues.

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
    missing = _missing(config.settings)
    check_own(folder, "demo")
    llm = None if missing else _load(config.settings.backbone, progress=progress)
    _claim(folder, config, llm.name if llm else None)
    world = World(config.world)
    with SqlStore(folder / "reviews.db") as store:
        say("1/5  making up a world of users, items and reviews")
        store.add(world.items(), world.reviews())
        counts = store.counts()
        world.save_truth(folder / "truth.npz")
        say(f"2/5  computing the vectors of {counts.reviews} reviews, and differences from others")
        encoder = load_encoder(config.settings.encoder)
        embed_missing(store, encoder, progress=progress)
        made = make_split(store.review_frame(), store.item_frame(), config.split)
        made.save(folder / "split", fingerprint=store.fingerprint())
        recovery = _recovery(store, world, encoder.name)
        data = Data(store, folder / "split", config.settings, encoder=encoder)
        fits, found = _with_model(data, llm, folder, config, say=say, progress=progress) if llm else (None, None)
        if missing:
            say(f"3/5  not run: fitting DEP ({missing.message})")
            say("4/5  not run: writing and scoring")
        shown = _example(data, world, llm, folder)
    return DemoReport(
        example=shown,
        recovery=recovery,
        users=len(made.users),
        reviews=counts.reviews,
        seconds=time.monotonic() - started,
        missing=missing.message if missing else None,
        evaluation=found,
        fits=fits,
    )


def _missing(settings: Settings) -> MissingDependencyError | None:
    """What keeps fit and evaluation from running, before either is begun."""
    try:
        require_weights(settings.backbone)
        load_metrics(settings.text_metrics)
    except MissingDependencyError as error:
        return error
    return None


def _load(backbone: BackboneConfig, *, progress: bool) -> TransformersLLM:
    from idiolect.llm.transformers import TransformersLLM

    return TransformersLLM.load(backbone, progress=progress)


def _claim(folder: Path, config: DemoConfig, backbone: str | None) -> None:
    """Mark the folder. Without a model the backbone's name is unknown (None): any may follow, and a known one stays."""
    path = folder / "demo.json"
    known = results.read_json(path).get("backbone") if path.is_file() else backbone
    record = {"config": config.model_dump(mode="json"), "version": __version__}
    same = known if backbone is None or known is None else backbone
    results.claim(path, {**record, "backbone": same}, "demo", DemoConfig)
    results.write_json(path, results.plain({**record, "backbone": backbone or known}))


def _recovery(store: SqlStore, world: World, encoder: str) -> Point | None:
    """Probes of the users' true effects, as in the study."""

    def stored(reviews: list[Review], _: str) -> np.ndarray:
        return store.vectors([review.id for review in reviews], encoder=encoder)

    try:
        return measure(world_arrays(world, stored, encoder), ProbeConfig(anchors=(_ANCHORS,)), anchors=_ANCHORS)
    except InputError:
        return None


def _with_model(
    data: Data, llm: TransformersLLM, folder: Path, config: DemoConfig, *, say: Say, progress: bool
) -> tuple[dict[str, FitReport], Evaluation]:
    """The steps that need a language model."""
    from idiolect.pipeline.fit import fit

    known = ", continuing from adapters of other users" if config.initial else ""
    users = len(data.split.users)
    say(f"3/5  fitting DEP, and a constant soft prompt as a control, on {users} users{known} (backbone frozen)")
    fits = fit(data, llm, folder=folder / "adapter", initial=config.initial, progress=progress)
    say("4/5  writing and scoring: methods and their negative controls")
    return fits, evaluate(data, llm, folder=folder / "results", adapter=folder / "adapter", progress=progress)


def _example(data: Data, world: World, llm: TransformersLLM | None, folder: Path) -> Example:
    """The first test user with a difference that quotes show; without any, the first who differs; or the first."""
    users = [sample.user for sample in data.samples("test")]
    differing = (one.compared.user for one in find_all_differences(data.store, users) if one.claims)
    cards: list[Card] = []
    for user in differing:
        cards.append(explain(data.store, user))
        if any(claim.quotes for claim in cards[-1].measured):
            cards = cards[-1:]
            break
    card = cards[0] if cards else explain(data.store, users[0])
    truth = world.truth
    return Example(
        card=card,
        items=tuple(_items(data, users.index(card.user), llm, folder)) if llm else (),
        truth=describe(truth.user_effects[truth.users.index(card.user)], k=_HABITS),
    )


def _items(data: Data, place: int, llm: TransformersLLM, folder: Path) -> Iterator[ItemTexts]:
    """The test target at ``place``, and the user's validation target."""
    sample = data.samples("test")[place]
    files = {name: results.output_file(folder / "results", "samples", name) for name in SHOWN}
    yield _item_texts(data, sample, {name: results.read_lines(path)[place]["text"] for name, path in files.items()})
    held_out = set(data.split.ids("validation"))
    for review in data.store.profile(sample.user):
        if review.id in held_out:
            validated = Sample.of(review)
            yield _item_texts(data, validated, _written(data, llm, validated, folder))
            return


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
