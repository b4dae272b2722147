"""Everything that a run depends on: the settings that ``fit`` and ``evaluate`` read and record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from idiolect.config import Config, Retired
from idiolect.context import ContextConfig
from idiolect.errors import ConfigError
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BACKENDS, BackboneConfig, backend_of
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, BASELINES, DEFAULT_METHODS, METHODS, requirements
from idiolect.methods.chosen_controls import EXTRA_CONTROLS
from idiolect.methods.comparing import StageConfig
from idiolect.methods.controls import TRAINED_CONTROLS, Vectors
from idiolect.methods.peer_comparison import ComparisonConfig, Dimensions
from idiolect.methods.roles import THINKING_LIMIT
from idiolect.metrics.fidelity import FIDELITY
from idiolect.metrics.registry import DEFAULT_METRICS, METRICS, VARIANTS
from idiolect.peers import SELECTORS
from idiolect.prompts.rendering import PromptConfig
from idiolect.registry import is_path, suggest
from idiolect.retrieval import RETRIEVERS, encodes
from idiolect.softprompt.config import DICTATED, SoftPromptConfig, adapter_config_class
from idiolect.training.config import FitConfig

ROLES = ("extractor", "validator", "summarizer", "generator")
"""E, V, S and G: the fields of ``DifferenceConfig`` that hold a ``RoleConfig``."""


TARGET_SEED = 42
"""Of the draws of targets, as in the DEP paper's program: runs with other seeds are compared on the same targets."""


class RoleSampling(SamplingParams):
    """How a role's tokens are drawn: greedily, as in the DRP program."""

    temperature: float = Field(default=0, ge=0)
    """0 is greedy."""
    max_new_tokens: int = Field(default=2048, gt=0)


class RoleConfig(Config):
    """Who plays a role: the run's own model unless another one is named."""

    backbone: BackboneConfig | None = None
    """A model of its own, in this process or behind an endpoint; None: the run's own."""
    sampling: RoleSampling = RoleSampling()
    """How its tokens are drawn: the settings of the run's ``sampling``, greedily by default."""

    retired: ClassVar = {
        "thinking_limit": THINKING_LIMIT,
        "reasoning_model": Retired(False, "set reasoning_model of the backbone or endpoint"),
    }


class DifferenceConfig(Config):
    """How PAG, DPL and DRP work. By default only the writer is a model, so that they run anywhere.

    ``extractor: {}`` gives a role to the run's own model.
    """

    extractor: RoleConfig | None = None
    """E; None: differences are measured (stylometry)."""
    validator: RoleConfig | None = None
    """V, for DRP; None: only the checks that cost no call."""
    summarizer: RoleConfig | None = None
    """S; None: a template puts what was found into a sentence."""
    generator: RoleConfig | None = None
    """G; None: the run's own model, sampled as everywhere in the run."""
    judge: RoleConfig | None = None
    """Counts what an evaluation's methods found (UVQ), and has no part in what they write; None: the validated
    differences are counted as they are."""
    comparison: ComparisonConfig = ComparisonConfig()
    """Which reviews are compared with whose."""
    dimensions: Dimensions | None = None
    """What E compares along: ``fixed``, ``auto`` or a list; None: fixed for DPL, auto for DRP."""
    stages: StageConfig = StageConfig()
    """How differences are found, checked and summarized."""

    retired: ClassVar = {"norm_users": 200}

    @property
    def roles(self) -> Mapping[str, RoleConfig]:
        """The roles that a model plays, by their fields' names."""
        given = {name: getattr(self, name) for name in ROLES}
        return {name: role for name, role in given.items() if role is not None}

    @property
    def asked(self) -> Mapping[str, RoleConfig]:
        """The same, and the judge if there is one."""
        return {**self.roles, **({} if self.judge is None else {"judge": self.judge})}

    @property
    def clusters(self) -> bool:
        """Whether representatives are chosen by their vectors: not where no model reads them, or they are drawn."""
        shown = self.extractor is not None or self.validator is not None
        return shown and self.comparison.selector != "random"

    @property
    def reads_vectors(self) -> bool:
        """Whether DPL and DRP choose representatives or anchors by vectors."""
        return self.clusters or encodes(self.comparison.retriever)

    @property
    def backbones(self) -> tuple[BackboneConfig, ...]:
        """The models that some role, or the judge, has to itself."""
        return tuple(role.backbone for role in self.asked.values() if role.backbone is not None)


class TargetConfig(Config):
    """Which of a split's targets are used."""

    train_per_user: Literal["last", "all"] = "last"
    """``last``: every user's most recent train target in each category (DEP paper, section 4.1)."""
    max_train: int | None = Field(default=None, gt=0)
    """Training targets drawn at random; None: all."""
    max_validation: int | None = Field(default=512, gt=0)
    """Validation targets drawn at random (DEP paper: 512); None: all."""
    max_test: int | None = Field(default=None, gt=0)
    """Test targets drawn at random; None: all."""
    max_chars: int | None = Field(default=None, gt=0)
    """Longest target; of a longer one only the beginning, up to a word, is fitted on, scored and compared. None: whole.
    A small backbone cannot read on beyond the positions it was trained with."""
    evaluated: Literal["test", "validation"] = "test"
    """Which targets ``evaluate`` writes: choose settings on ``validation``, report on ``test``."""

    retired: ClassVar = {"seed": TARGET_SEED}


class Settings(Config):
    """A run from store to table. The defaults are the embedded, offline ones."""

    encoder: str = "minilm"
    """Text encoder: ``minilm``, ``style``, ``hash``, or any sentence-transformers name or folder (the paper:
    ``BAAI/bge-m3``)."""
    peers: Literal["corpus", "split"] = "corpus"
    """Whose reviews an item's peers are: everybody's in the store, or only the split's users'. ``write`` reads the live
    store, where everybody is a peer."""
    backbone: BackboneConfig = BackboneConfig()
    """The frozen language model."""
    cache: Literal["auto"] | Path | None = "auto"
    """File of the language models' recorded answers, so that none is asked for twice, also by another run or after a
    crash. ``auto``: ``idiolect-cache.db`` in the store's folder if some model of the run is behind an endpoint, else
    none."""
    context: ContextConfig = ContextConfig()
    """What a sample is written from."""
    vectors: Vectors = "right"
    """What the difference virtual tokens hold: the difference or, for an adapter trained as a control, the difference
    to the peers of another item (``shuffled_peers``) or the review's own vector again (``his_twice``)."""
    prompt: PromptConfig = PromptConfig()
    """What of it is shown."""
    methods: tuple[str, ...] = DEFAULT_METHODS
    """Which methods are evaluated, besides the baselines and, with an adapter, its method: names, or ``module:Class``
    for a method of your own (docs/extending.md)."""
    baseline: str = BASELINE
    """The method that the others are tested against; it is evaluated in any case."""
    differences: DifferenceConfig = DifferenceConfig()
    """How these work, and which model plays which role in them."""
    targets: TargetConfig = TargetConfig()
    """Which samples."""
    adapter_method: str = ADAPTER_METHOD
    """The method whose adapter ``fit`` fits, and with which ``evaluate`` and ``write`` use it: one that declares an
    adapter (docs/methods.md), or ``module:Class`` for one of your own."""
    adapter_preset: Literal["small", "paper", "authors"] = "small"
    """Starting point of the adapter's settings."""
    adapter: dict[str, Any] = Field(default_factory=dict)
    """Settings of the adapter laid on its preset (``activation``, ``refine``, ``streams``, ...)."""
    fit: FitConfig = FitConfig()
    """How the adapter is trained."""
    controls: tuple[str, ...] = ("constant",)
    """Adapters trained like the method's, but with other contents of the virtual tokens: ``constant`` (a trained
    row each: what training as such gains; skipped for an adapter that has none), ``shuffled_peers`` and ``his_twice``
    (see ``vectors``)."""
    negative_controls: bool = True
    """Whether ``evaluate`` also runs each method's controls (another user's history or vectors, trained controls)."""
    extra_controls: tuple[str, ...] = ()
    """Further controls of ``evaluate``, in addition to those: ``nearest_twin`` (the history of the most similar other
    user of the split), ``item_crowd`` (what others wrote about the item in place of the user's history) and, for an
    adapter, ``oracle`` (the vectors of the very text that is to be written: the most that vectors could tell it). A
    method runs those that make sense for it. In PAG, DPL and DRP with models, twin and crowd are profiled too."""
    token_classes: bool = False
    """Also split the likelihoods by class of token (function words, content words, names of the item, punctuation);
    the backbone must run in this process, and texts in other languages than English are left out."""
    uniqueness_groups: bool = False
    """Also report users in two halves, by how far the mean vector of their history is from the mean over the users of
    their category (DEP paper, section 4.4.2)."""
    sampling: SamplingParams = SamplingParams()
    """How tokens are drawn."""
    metrics: tuple[str, ...] = (*DEFAULT_METRICS, FIDELITY.name)
    """Of texts against the user's own; ``bertscore`` needs its extra. Tokens are those of each reference's script; one
    tokenizer for all samples by name: ``bleu-zh`` (``-13a``, ``-intl``, ``-char``, ``-ja-mecab``), ``rouge1-unicode``
    (``rougeL-``; ``-rouge_score``). ``chrf`` compares characters and needs no words. ``trait-fidelity`` is of measured
    style: does a text depart from what others write about its item as the user's earlier texts did from what others
    wrote?"""
    authorship: tuple[str, ...] = ()
    """Further measures of who wrote a text, shown between floor and ceiling beside Burrows' Delta; they need
    ``trait-fidelity`` among the metrics. ``lambdag`` (extra ``authorship``; English), or an encoder by name:
    ``StyleDistance/styledistance``, ``gabrielloiseau/LUAR-MUD-sentence-transformers``, ``style``."""
    text_judge: RoleConfig | None = None
    """A model that rates how close each text is to what the user wrote (DPL's rubric, 0 to 10, both orders), shown
    between floor and ceiling: two calls per text, those of the two kinds of real texts included. ``{}``: the run's own
    model. It needs ``trait-fidelity`` among the metrics."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples over users, and exchanges of a test."""
    seed: int = Field(default=0, ge=0)
    """Of adapter initialisation, mismatched users and peer groups of the controls, and the bootstrap."""

    @property
    def text_metrics(self) -> tuple[str, ...]:
        """Those of ``metrics`` that are of a text and a reference: all but trait fidelity."""
        return tuple(name for name in self.metrics if name != FIDELITY.name)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Encoders whose vectors the store must hold: the run's, and a retriever's own."""
        own = self.context.retriever_encoder if encodes(self.context.retriever) else None
        return (self.encoder,) if own in (None, self.encoder) else (self.encoder, str(own))

    @property
    def backbones(self) -> tuple[BackboneConfig, ...]:
        """Every model of the run, its own first."""
        judge = self.text_judge and self.text_judge.backbone
        return (self.backbone, *self.differences.backbones, *([judge] if judge else []))

    def adapter_config(self, *, d_in: int, hidden_size: int, constant: bool = False) -> SoftPromptConfig:
        """The adapter's configuration: preset, then these settings, then what encoder, backbone and context dictate.

        Args:
            d_in: Of the encoder.
            hidden_size: Of the backbone.
            constant: The one of the trained constant.

        Raises:
            ConfigError: ``adapter_method`` has no adapter or, with ``constant``, an adapter without a trained constant;
                an unknown or wrong setting under ``adapter``.
        """
        needed = requirements(self.adapter_method).adapter
        if needed is None:
            fitted = sorted(name for name in METHODS if requirements(name).adapter)
            hint = f"choose adapter_method={' or adapter_method='.join(fitted)}"
            raise ConfigError(f"{self.adapter_method} has no adapter to fit", hint=hint)
        made = adapter_config_class(needed)
        kind = made.constant if constant else made.kinds()[0]
        if kind is None:
            raise ConfigError(f"the adapter of {self.adapter_method} has no constant", hint="leave out this control")
        dictated: dict[str, Any] = {"d_in": d_in, "hidden_size": hidden_size, "kind": kind}
        if "max_entries" in made.model_fields:
            dictated["max_entries"] = max(1, self.context.k)
        return made.preset(self.adapter_preset, **{**self.adapter, **dictated})

    @field_validator("methods")
    @classmethod
    def _without_the_usual(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        """The baselines are evaluated anyway, so they may be named too."""
        return tuple(name for name in methods if name not in BASELINES)

    @model_validator(mode="after")
    def _fail_early(self) -> Self:
        """Refuse now what would be refused, or ignored, after hours."""
        taken = DICTATED & self.adapter.keys()
        if taken:
            raise ValueError(f"adapter.{min(taken)} follows from encoder, backbone and context; leave it out")
        if self.fit.metric not in ("meteor", "nll"):
            raise ValueError(f"fit.metric is meteor or nll, not {self.fit.metric!r}")
        _check_names(self)
        config = self.adapter_config(d_in=1, hidden_size=1)
        _check_adapter(self, config)
        _check_controls(self, numbered="max_entries" in type(config).model_fields)
        return self


def _check_names(settings: Settings) -> None:
    """Refuse names that are in no table and, where there may be code of one's own, no path of it."""
    comparison = settings.differences.comparison
    _check_known("adapter_method", METHODS, settings.adapter_method)
    _check_known("control", TRAINED_CONTROLS, *settings.controls, paths=False)
    _check_known("extra control", EXTRA_CONTROLS, *settings.extra_controls, paths=False)
    _check_known("retriever", RETRIEVERS, settings.context.retriever, comparison.retriever)
    _check_known("selector", SELECTORS, comparison.selector)
    _check_known("backend", BACKENDS, *map(backend_of, settings.backbones))
    for name in ("authorship", "text_judge"):
        if getattr(settings, name) and FIDELITY.name not in settings.metrics:
            raise ValueError(f"{name} is shown with {FIDELITY.name}: add it to the metrics")
    _check_known("metric", (*METRICS, *VARIANTS, FIDELITY.name), *settings.metrics)
    _check_known("method", METHODS, *settings.methods)
    _check_known("baseline", METHODS, settings.baseline)


def _check_adapter(settings: Settings, config: SoftPromptConfig) -> None:
    """Refuse settings that the adapter contradicts, or that mean nothing for it."""
    if settings.prompt.streams not in ("both", getattr(config, "streams", settings.prompt.streams)):
        raise ValueError("prompt.streams follows the adapter; set adapter.streams")
    past_texts = getattr(config, "past_texts", 0)
    if past_texts > (settings.context.k or past_texts):
        raise ValueError(f"adapter.past_texts = {past_texts} needs context.k of at least as many")
    others = [name for name in settings.controls if TRAINED_CONTROLS[name].vectors != "right"]
    if not config.reads_differences and (others or settings.vectors != "right"):
        raise ValueError(f"{settings.adapter_method} has no differences: leave out {', '.join(others) or 'vectors'}")


def _check_controls(settings: Settings, *, numbered: bool) -> None:
    if "constant" in settings.controls and settings.context.k == 0 and numbered:
        raise ValueError("context.k = 0 (whole histories) needs controls without constant: its rows are numbered")
    others = [name for name in settings.controls if TRAINED_CONTROLS[name].vectors != "right"]
    if others and settings.vectors != "right":
        raise ValueError(f"controls = {others} are held against vectors = right, not {settings.vectors!r}")
    if settings.extra_controls and settings.vectors != "right":
        raise ValueError(f"extra_controls are held against vectors = right, not {settings.vectors!r}")


def _check_known(kind: str, known: Iterable[str], *names: str, paths: bool = True) -> None:
    """Refuse what is neither in a table nor, where there may be some, the path of one's own code."""
    choices = tuple(known)
    for name in names:
        if name not in choices and not (paths and is_path(name)):
            raise ValueError(f"unknown {kind} {name!r}: {suggest(name, choices)}")
