"""PAG, DPL and DRP made from their settings: models loaded once, answers recorded, comparisons built."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np

from idiolect.difference.claims.stylometric import Norms
from idiolect.difference.stylometry.english import are_english
from idiolect.encoders import Encoder
from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.registry import open_llm
from idiolect.methods.base import Contexts
from idiolect.methods.dep import DEP
from idiolect.methods.dpl import DPL
from idiolect.methods.drp import DRP
from idiolect.methods.pag import PAG
from idiolect.methods.stages import CaseBuilder, Role, Roles
from idiolect.pipeline.settings import DIFFERENCE_METHODS, DifferenceConfig, RoleConfig
from idiolect.prompts.rendering import PromptConfig
from idiolect.registry import suggest
from idiolect.retrieval import make_retriever
from idiolect.store.base import KnownUsers, ReviewReader


class Models:
    """The language models of a run's roles, each loaded once; used in a ``with``, they are closed at its end.

    Args:
        own: The run's model.
        sampling: How the run samples where a role says nothing else.
        cache: File of recorded answers, for E, V, S and a G of its own; None: none are kept.
    """

    def __init__(self, own: LLM, sampling: SamplingParams, *, cache: Path | None = None) -> None:
        self.own, self._sampling, self._cache = own, sampling, cache
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
        writer = Role(llm=self.own, params=self._sampling)
        return Roles(
            extract=self._role(config.extractor),
            validate=self._role(config.validator),
            summarize=self._role(config.summarizer),
            write=self._role(config.generator) or writer,
        )

    def judge(self, config: DifferenceConfig) -> Role | None:
        """Who counts what the methods found; None: nobody is asked."""
        return self._role(config.judge)

    def names(self, config: DifferenceConfig) -> dict[str, str]:
        """Model and revision of every role that a model of its own or the run's plays, by the role's setting."""
        return {name: self._model(role).name for name, role in config.roles.items()}

    def _role(self, config: RoleConfig | None) -> Role | None:
        if config is None:
            return None
        return Role(
            llm=self._model(config), params=config.sampling, thinks=config.thinks, thinking_limit=config.thinking_limit
        )

    def _model(self, config: RoleConfig) -> LLM:
        name = repr(config.backbone) if config.backbone else ""  # JSON leaves passwords out
        if name not in self._loaded:
            self._loaded[name] = (
                self._open.enter_context(open_llm(config.backbone, cache=self._cache))
                if config.backbone
                else self._recorded_own()
            )
        return self._loaded[name]

    def _recorded_own(self) -> LLM:
        if self._cache is None or isinstance(self.own, CachedLLM):
            return self.own
        return CachedLLM(self.own, self._open.enter_context(Cache(self._cache)))


def make_cases(reader: ReviewReader, config: DifferenceConfig, encoder: Encoder | None) -> CaseBuilder:
    """Anchors and representatives, with the retriever that the settings name, dense ones included.

    Args:
        reader: What is visible.
        config: Which and how many.
        encoder: Whose vectors are stored; None only where none are read.

    Raises:
        ConfigError: Vectors are read, and there is no encoder.
    """
    if encoder is None and config.reads_vectors:
        raise ConfigError("representatives or anchors are chosen by vectors", hint="pass encoder=")
    how = config.comparison
    retriever = make_retriever(how.retriever, seed=how.seed, encoder=encoder, reader=reader)
    vectors = encoder.name if encoder and config.clusters else None
    return CaseBuilder(reader, how, encoder=vectors, retriever=retriever)


def make_norms(reader: KnownUsers, config: DifferenceConfig, *, seed: int = 0) -> Norms | None:
    """How some users, drawn at random, write; None where there are not two reviews in English to be seen."""
    users = sorted(reader.peers())
    drawn = np.random.default_rng([seed, 17]).permutation(len(users))[: config.norm_users]
    texts = {review.text for place in sorted(drawn.tolist()) for review in reader.profile(users[place])}
    return Norms(sorted(texts)) if are_english(sorted(texts)).sum() > 1 else None


def make_difference_methods(
    names: Sequence[str],
    config: DifferenceConfig,
    models: Models,
    contexts: Contexts,
    reader: KnownUsers,
    encoder: Encoder | None,
    *,
    prompt: PromptConfig | None = None,
    seed: int = 0,
) -> list[PAG | DPL | DRP]:
    """The methods called ``pag``, ``dpl`` or ``drp``.

    Args:
        names: Which.
        config: How they work.
        models: The run's models.
        contexts: Bring the past reviews that S and G are shown.
        reader: What is visible: a phase's snapshot or a live store.
        encoder: Whose vectors are stored; None only where none are read (``DifferenceConfig.reads_vectors``).
        prompt: How prompts are rendered.
        seed: Of the users who are PAG's norm.

    Raises:
        ConfigError: There is no such method, or no encoder where vectors are read.
    """
    for name in names:
        if name not in DIFFERENCE_METHODS:
            raise ConfigError(f"unknown method {name!r}", hint=suggest(name, DIFFERENCE_METHODS))
    if not names:  # and no model is loaded for nothing
        return []
    roles = models.roles(config)

    @cache
    def cases() -> CaseBuilder:  # PAG compares nobody, so it needs no vectors either
        return make_cases(reader, config, encoder)

    def made(name: str) -> PAG | DPL | DRP:
        if name == "pag":
            norms = make_norms(reader, config, seed=seed) if roles.summarize is None else None
            stages = config.stages
            return PAG(
                roles, contexts, norms=norms, phrases=stages.phrases, profile_chars=stages.profile_chars, prompt=prompt
            )
        kind, usual = (DPL, "fixed") if name == "dpl" else (DRP, "auto")
        dimensions = config.dimensions or usual
        return kind(roles, contexts, cases(), dimensions=dimensions, config=config.stages, prompt=prompt)

    return [made(name) for name in names]


def make_dep(
    folder: Path,
    llm: LLM,
    contexts: Contexts,
    *,
    params: SamplingParams,
    prompt: PromptConfig,
    name: str = "dep",
) -> DEP:
    """DEP with the adapter in ``folder``, its slots those that the adapter has weights for.

    Rows are computed where the model is, if it is in this process.
    """
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.softprompt.adapter import Adapter

    adapter = Adapter.from_pretrained(folder)
    model = llm.llm if isinstance(llm, CachedLLM) else llm
    if isinstance(model, TransformersLLM):
        adapter = adapter.to(model.model.device)
    shown = prompt.model_copy(update={"streams": adapter.config.streams})
    return DEP(llm, contexts, adapter, params=params, prompt=shown, name=name)
