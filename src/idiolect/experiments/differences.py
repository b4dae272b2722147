"""PAG, DPL and DRP as settings name them: who plays which role, what is compared, and where answers are recorded."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.modelfree import Norms
from idiolect.encoders.base import Encoder
from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cache import Cache
from idiolect.llm.cached import CachedLLM
from idiolect.llm.config import BackboneConfig
from idiolect.llm.table import open_llm
from idiolect.methods.base import Contexts, Method
from idiolect.methods.cases import CaseBuilder
from idiolect.methods.comparison import ComparisonConfig
from idiolect.methods.dimensions import Dimensions
from idiolect.methods.dpl import DPL
from idiolect.methods.drp import DRP
from idiolect.methods.pag import PAG
from idiolect.methods.pipeline import StageConfig
from idiolect.methods.roles import Role, Roles
from idiolect.prompts.render import PromptConfig
from idiolect.registry import suggest
from idiolect.retrieval.table import make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import UserId

DIFFERENCE_METHODS = ("pag", "dpl", "drp")


class RoleConfig(Config):
    """Who plays a role: the run's own model unless another one is named."""

    backbone: BackboneConfig | None = None
    """A model of its own, in this process or behind an endpoint."""
    sampling: SamplingParams = SamplingParams(temperature=0, max_new_tokens=2048)
    """How its tokens are drawn; the defaults are greedy, as in the DRP program."""
    thinks: bool = False
    """The model, in this process, thinks before every answer; an endpoint has this setting itself."""
    thinking_limit: int = Field(default=16_384, gt=0)
    """Most new tokens for thinking that did not end: it is asked for again with twice as many up to here."""


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
    comparison: ComparisonConfig = ComparisonConfig()
    """Which reviews are compared with whose."""
    dimensions: Dimensions | None = None
    """What E compares along: ``fixed``, ``auto`` or a list; None: fixed for DPL, auto for DRP."""
    stages: StageConfig = StageConfig()
    """How differences are found and told."""
    norm_users: int = Field(default=200, ge=2)
    """Users whose reviews are the norm for PAG without a summarizer."""


class KnownUsers(ReviewReader, Protocol):
    """A reader that can list its users: a snapshot or a live store."""

    def users(self) -> list[UserId]:
        """Everybody who wrote something visible."""
        ...


class Models:
    """The language models of a run's roles, each loaded once; used in a ``with``, they are closed at its end.

    Args:
        own: The run's model.
        sampling: How the run samples where a role says nothing else.
        cache: File of recorded answers, for E, V, S and a G of its own; None: none are kept.
    """

    def __init__(self, own: LLM, sampling: SamplingParams, *, cache: Path | None = None) -> None:
        self._own, self._sampling, self._cache = own, sampling, cache
        self._loaded: dict[str, LLM] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def roles(self, config: DifferenceConfig) -> Roles:
        """Who does what.

        Raises:
            NotFoundError: There is no such model.
            MissingDependencyError: A backend's extra is not installed.
        """
        writer = Role(llm=self._own, params=self._sampling)
        return Roles(
            extract=self._role(config.extractor),
            validate=self._role(config.validator),
            summarize=self._role(config.summarizer),
            write=self._role(config.generator) or writer,
        )

    def _role(self, config: RoleConfig | None) -> Role | None:
        if config is None:
            return None
        return Role(
            llm=self._model(config), params=config.sampling, thinks=config.thinks, thinking_limit=config.thinking_limit
        )

    def _model(self, config: RoleConfig) -> LLM:
        name = config.backbone.model_dump_json() if config.backbone else ""
        if name not in self._loaded:
            self._loaded[name] = (
                self._open.enter_context(open_llm(config.backbone, cache=self._cache))
                if config.backbone
                else self._recorded_own()
            )
        return self._loaded[name]

    def _recorded_own(self) -> LLM:
        if self._cache is None or isinstance(self._own, CachedLLM):
            return self._own
        return CachedLLM(self._own, self._open.enter_context(Cache(self._cache)))


def make_cases(
    reader: ReviewReader, config: ComparisonConfig, encoder: Encoder, *, cluster: bool = True
) -> CaseBuilder:
    """Anchors and representatives, with the retriever that the settings name, dense ones included.

    Args:
        reader: What is visible.
        config: Which and how many.
        encoder: Whose vectors are stored.
        cluster: Whether representatives matter; where no model reads them, no vector is read either.
    """
    retriever = make_retriever(config.retriever, seed=config.seed, encoder=encoder, reader=reader)
    return CaseBuilder(reader, config, encoder=encoder.name if cluster else None, retriever=retriever)


def make_norms(reader: KnownUsers, config: DifferenceConfig, *, seed: int = 0) -> Norms | None:
    """How some users, drawn at random, write; None where there are not two reviews to be seen."""
    users = sorted(reader.users())
    drawn = np.random.default_rng([seed, 17]).permutation(len(users))[: config.norm_users]
    texts = {review.text for place in sorted(drawn.tolist()) for review in reader.profile(users[place])}
    return Norms(sorted(texts)) if len(texts) > 1 else None


def make_difference_method(
    name: str,
    config: DifferenceConfig,
    models: Models,
    contexts: Contexts,
    reader: KnownUsers,
    encoder: Encoder,
    *,
    prompt: PromptConfig | None = None,
    seed: int = 0,
) -> Method:
    """The method called ``pag``, ``dpl`` or ``drp``.

    Args:
        name: Which.
        config: How it works.
        models: The run's models.
        contexts: Bring the past reviews that S and G are shown.
        reader: What is visible: a phase's snapshot or a live store.
        encoder: Whose vectors are stored.
        prompt: How prompts are rendered.
        seed: Of the users who are PAG's norm.

    Raises:
        ConfigError: There is no such method.
    """
    if name not in DIFFERENCE_METHODS:
        raise ConfigError(f"unknown method {name!r}", hint=suggest(name, DIFFERENCE_METHODS))
    roles = models.roles(config)
    if name == "pag":
        norms = make_norms(reader, config, seed=seed) if roles.summarize is None else None
        return PAG(roles, contexts, norms=norms, phrases=config.stages.phrases, prompt=prompt)
    cases = make_cases(reader, config.comparison, encoder, cluster=bool(roles.extract or roles.validate))
    kind, dimensions = (DPL, config.dimensions or "fixed") if name == "dpl" else (DRP, config.dimensions or "auto")
    return kind(roles, contexts, cases, dimensions=dimensions, config=config.stages, prompt=prompt)
