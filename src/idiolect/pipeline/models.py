"""Methods built from settings: models and adapters loaded once, answers recorded, comparisons built."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from idiolect.difference.claims.stylometric import Norms
from idiolect.difference.stylometry.english import are_english
from idiolect.encoders import Encoder
from idiolect.engine import LOCAL, Engine
from idiolect.errors import ArtifactError, ConfigError, IdiolectError
from idiolect.llm.base import LLM, SamplingParams, pretrained_task
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.loading import open_llm
from idiolect.llm.registry import SANDBOX_BACKBONE
from idiolect.llm.shared import SharedLLM, share_work
from idiolect.llm.streaming import Listened, Listener
from idiolect.methods.base import Contexts, Method, Resources, check_support, method_class
from idiolect.methods.peer_comparison import SEED, PeerComparisonBuilder, PeerComparisons
from idiolect.methods.roles import Role, Roles
from idiolect.pipeline.settings import ROLES, DifferenceConfig, RoleConfig, Settings
from idiolect.processes import on_main
from idiolect.prompts import tasks
from idiolect.prompts.rendering import PromptConfig
from idiolect.prompts.tasks import load_task
from idiolect.retrieval import make_retriever
from idiolect.softprompt.config import SoftPromptConfig, adapter_config_class
from idiolect.store.base import KnownUsers, ReviewReader

if TYPE_CHECKING:
    from idiolect.softprompt.artifact import SavedAdapter

_log = logging.getLogger(__name__)
NEEDS_ADAPTER = "pass adapter=FOLDER, or another method="


class Models:
    """The language models of a run's roles, each loaded once; used in a ``with``, they are closed at its end.

    Args:
        own: The run's model.
        sampling: Sampling of the run, unless a role has its own.
        cache: File of recorded answers, for E, V, S and a G of its own; None: none are kept.
        listener: Receives what ``own`` writes while it is generated, one text at a time; not what it answers in another
            role. None: nobody.
        engine: Where the roles' own models run.
    """

    def __init__(
        self,
        own: LLM,
        sampling: SamplingParams,
        *,
        cache: Path | None = None,
        listener: Listener | None = None,
        engine: Engine = LOCAL,
    ) -> None:
        self.own = own if listener is None else Listened(own, listener)
        self._unstreamed, self._sampling, self._cache, self._engine = own, sampling, cache, engine
        self._loaded: dict[str, LLM] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def roles(self, config: DifferenceConfig, wanted: Collection[str] = ROLES) -> Roles:
        """Which model plays which role; of the roles that are not ``wanted`` no model is loaded.

        Raises:
            NotFoundError: There is no such model.
            MissingDependencyError: A backend's extra is not installed.
        """
        writer = Role(llm=self.own, params=self._sampling)
        return Roles(
            extractor=self._role(config.extractor if "extractor" in wanted else None),
            validator=self._role(config.validator if "validator" in wanted else None),
            summarizer=self._role(config.summarizer if "summarizer" in wanted else None),
            generator=self._role(config.generator if "generator" in wanted else None) or writer,
        )

    def judge(self, config: DifferenceConfig) -> Role | None:
        """The judge of UVQ; None: there is none."""
        return self._role(config.judge)

    def text_judge(self, config: RoleConfig | None) -> Role | None:
        """The judge of texts; None: there is none."""
        return self._role(config)

    def names(self, config: DifferenceConfig) -> dict[str, str]:
        """Model and revision of every role that a model of its own or the run's plays, by the role's setting."""
        return {name: self._model(role).name for name, role in config.roles.items()}

    def _role(self, config: RoleConfig | None) -> Role | None:
        if config is None:
            return None
        return Role(llm=self._model(config), params=config.sampling)

    def _model(self, config: RoleConfig) -> LLM:
        name = repr(config.backbone) if config.backbone else ""  # JSON leaves passwords out
        if name not in self._loaded:
            self._loaded[name] = (
                share_work(self._open.enter_context(open_llm(config.backbone, cache=self._cache, engine=self._engine)))
                if config.backbone
                else self._recorded_own()
            )
        return self._loaded[name]

    def _recorded_own(self) -> LLM:
        if self._cache is None or any(
            isinstance(one, CachedLLM) for one in (self._unstreamed, getattr(self._unstreamed, "llm", None))
        ):
            return self._unstreamed
        return CachedLLM(self._unstreamed, self._open.enter_context(Cache(self._cache)))


def make_comparisons(
    reader: ReviewReader, config: DifferenceConfig, encoder: Encoder | None, *, peers_before: bool = False
) -> PeerComparisonBuilder:
    """Anchors and representatives, with the retriever that the settings name, dense ones included.

    Args:
        reader: What is visible.
        config: Which and how many.
        encoder: Whose vectors are stored; None only where none are read.
        peers_before: Peers must have written before the sample's time.

    Raises:
        ConfigError: Vectors are read, and there is no encoder.
    """
    if encoder is None and config.reads_vectors:
        raise ConfigError("representatives or anchors are chosen by vectors", hint="pass encoder=")
    how = config.comparison
    retriever = make_retriever(how.retriever, seed=SEED, encoder=encoder, reader=reader)
    vectors = encoder.name if encoder and config.clusters else None
    return PeerComparisonBuilder(reader, how, encoder=vectors, retriever=retriever, peers_before=peers_before)


def task_notes(settings: Settings) -> list[str]:
    """One note if the backbone was pretrained on prompts that ask for something else; it is logged as a warning, too.

    Raises:
        ArtifactError: The record of the backbone's pretraining cannot be read.
    """
    backbone, asked = settings.backbone, settings.prompt.task
    if backbone.endpoint is not None:
        return []
    learnt = pretrained_task(SANDBOX_BACKBONE if backbone.model == "sandbox" else Path(backbone.model))
    if learnt is None or _same_task(learnt, asked):
        return []
    note = (
        f"the backbone was pretrained on prompts of the task {learnt!r}, and these are of the task {asked!r}, which it "
        "never read: pretrain it with the same documents.task, or set prompt.task"
    )
    on_main(lambda: _log.warning("%s", note))
    return [note]


def _same_task(one: str, other: str) -> bool:
    if one == other or {one, other} <= {*tasks.NAMES}:
        return one == other
    try:
        return load_task(one) == load_task(other)
    except IdiolectError:  # the file of a custom task is gone
        return Path(one).name == Path(other).name


NORM_USERS = 200
"""Users whose reviews are the norm for PAG without a summarizer, drawn at random: enough that the standard errors of
the means are small compared with differences between users."""


def make_norms(reader: KnownUsers, *, seed: int = 0) -> Norms | None:
    """How some users, drawn at random, write; None without at least two reviews in English."""
    users = sorted(reader.peers())
    drawn = np.random.default_rng([seed, 17]).permutation(len(users))[:NORM_USERS]
    texts = {review.text for place in sorted(drawn.tolist()) for review in reader.profile(users[place])}
    return Norms(sorted(texts)) if are_english(sorted(texts)).sum() > 1 else None


class MethodBuilder:
    """Builds any method of a run from what it declares; adapters and comparisons are loaded once.

    Args:
        settings: How methods work and prompts are rendered.
        models: The run's models; a role's is loaded when a method requires the role.
        reader: What is visible: a phase's snapshot or a live store.
        encoder: Whose vectors are stored; None only if no method reads any.
        units: Factors of the adapter's units (``SavedAdapter.scale_units``); None: none.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models,
        reader: KnownUsers,
        encoder: Encoder | None,
        *,
        units: Mapping[int, float] | None = None,
    ) -> None:
        self.settings, self.models, self.reader, self.encoder = settings, models, reader, encoder
        self._units = units or {}
        self._adapters: dict[Path, SavedAdapter] = {}

    @cached_property
    def comparisons(self) -> PeerComparisonBuilder:
        """Anchors and representatives."""
        before = self.settings.context.peers_before
        return make_comparisons(self.reader, self.settings.differences, self.encoder, peers_before=before)

    def build(
        self,
        name: str,
        contexts: Contexts,
        *,
        adapter: Path | None = None,
        comparisons: PeerComparisons | None = None,
        label: str | None = None,
    ) -> Method:
        """The method called ``name``: of the registry, or ``module:Class``.

        Args:
            name: Which.
            contexts: Bring the past reviews.
            adapter: Folder of a fitted adapter; only methods that require one use it.
            comparisons: Instead of the right ones, for a control.
            label: Name in tables; None: the method's own.

        Raises:
            ConfigError: There is no such method; it needs what the language model cannot do, an adapter that is not
                given, or vectors without an encoder.
            NotFoundError: There is no adapter in the folder, or no model of a role.
        """
        made, settings = method_class(name), self.settings
        config, needs, llm = settings.differences, made.requires, self.models.own
        check_support(name, needs.llm, llm)
        fitted = self._adapter(name, needs.adapter, adapter) if needs.adapter else None
        return made.build(
            Resources(
                llm=llm,
                contexts=contexts,
                roles=self.models.roles(config, needs.roles),
                params=settings.sampling,
                prompt=settings.prompt if fitted is None else adapted(settings.prompt, fitted),
                reader=self.reader,
                encoder=self.encoder,
                comparisons=(comparisons or self.comparisons) if needs.peers else None,
                adapter=fitted,
                stages=config.stages,
                dimensions=config.dimensions,
                corrections=getattr(self.reader, "corrections", None),
                norms=lambda: make_norms(self.reader, seed=settings.seed),
                seed=settings.seed,
                name=label,
            )
        )

    def _adapter(self, name: str, kind: str, folder: Path | None) -> SavedAdapter:
        if folder is None:
            raise ConfigError(f"{name} needs an adapter", hint=NEEDS_ADAPTER)
        expected = adapter_config_class(kind)
        if folder not in self._adapters:
            self._adapters[folder] = load_adapter(folder, self.models.own, self.encoder, expected)
        found = self._adapters[folder]
        if found.config.kind not in expected.kinds():
            raise ArtifactError(
                f"the adapter in {str(folder)!r} is of the kind {found.config.kind!r}, {name} needs {kind!r}",
                hint="use it with the method that it was fitted for (method=auto)",
            )
        if self._units:
            found.scale_units(self._units)
        return found


def load_adapter(
    folder: Path, llm: LLM, encoder: Encoder | None = None, expected: type[SoftPromptConfig] | None = None
) -> SavedAdapter:
    """The adapter in ``folder``, on the model's device if the model is in this process.

    Args:
        folder: Of the adapter.
        llm: The language model.
        encoder: The text encoder, for an adapter that trained a copy of it.
        expected: See ``softprompt.artifact.read_config``.
    """
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.softprompt import model as soft_prompts

    adapter: SavedAdapter = soft_prompts.load_adapter(folder, model=getattr(encoder, "module", None), expected=expected)
    model: Any = llm
    while isinstance(model, CachedLLM | Listened | SharedLLM):
        model = model.llm
    return adapter.to(model.model.device) if isinstance(model, TransformersLLM) else adapter


def adapted(prompt: PromptConfig, adapter: SavedAdapter) -> PromptConfig:
    """The prompt with the streams that the adapter has weights for."""
    streams = getattr(adapter.config, "streams", None)
    return prompt if streams is None else prompt.model_copy(update={"streams": streams})
