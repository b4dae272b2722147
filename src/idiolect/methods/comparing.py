"""The shared part of DPL and DRP: settings, the stages built from them, and the pipeline around ``profile``.

A subclass defines only the way from comparisons to a profile, in ``ComparingMethod.profile``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self, TypeVar

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.stylometric import FDR_LEVEL, Norms
from idiolect.difference.claims.taxonomy import CATEGORIES, Category
from idiolect.difference.claims.validate import COPIED_RUN, MAX_WORDS
from idiolect.difference.claims.vote import PHRASES
from idiolect.difference.stylometry.style_difference import LEVEL
from idiolect.errors import ConfigError
from idiolect.methods.adaptive import AdaptiveConfig, AdaptiveExtraction
from idiolect.methods.base import Contexts, Requirements, Resources
from idiolect.methods.batching import batches_for, run_pipelined, streaming
from idiolect.methods.corrections import Corrections, corrected
from idiolect.methods.extract import Compare, Extraction, MeasuredExtraction
from idiolect.methods.peer_comparison import Dimensions, PeerComparisons, standard
from idiolect.methods.roles import Role, Roles
from idiolect.methods.stages import ProfileState, Stage, initial_states
from idiolect.methods.summarize import (
    PROFILE_CHARS,
    DifferencesAs,
    HistorySummary,
    Summary,
    TemplateSummary,
    final_prompts,
    write_profiled,
)
from idiolect.methods.validate import Checks, Validation
from idiolect.prompts.rendering import PromptConfig
from idiolect.types import Prediction, Prompt, Sample

_FIXED: tuple[Category, ...] = ("Writing", "Emotion", "Semantics")
"""DPL's three dimensions among the five categories."""


class StageConfig(Config):
    """How differences are found and summarized."""

    compare: Compare = "joint"
    """One call per anchor (``joint``), or one per representative (``pairwise``)."""
    use_validation: bool = True
    """Whether differences are validated; false is what the authors' released DRP program does."""
    use_checks: bool = True
    """Whether the checks without a model are made: criteria, evidence, measured style."""
    differences_as: DifferencesAs = "blocks"
    """How the summarizer reads differences."""
    profile_chars: int = Field(default=PROFILE_CHARS, ge=100)
    """Longest profile in the generator's prompt, in characters. A longer one is cut after a sentence, because it would
    push past reviews out of the prompt."""
    adaptive: AdaptiveConfig | None = None
    """Adaptive sampling instead of one call per anchor; null: off."""

    retired: ClassVar = {
        "checks": {
            "require_quote": False,
            "require_category": False,
            "max_words": MAX_WORDS,
            "copied_run": COPIED_RUN,
        },
        "level": LEVEL,
        "fdr_level": FDR_LEVEL,
        "min_support": 1,
        "phrases": PHRASES,
        "pipelined_batches": None,
    }


def extraction(role: Role | None, dimensions: Dimensions, config: StageConfig, prompt: PromptConfig) -> Stage:
    """The extraction stage: by a model, or measured."""
    if role is None:
        return MeasuredExtraction(categories=_FIXED if dimensions == "fixed" else CATEGORIES)
    once = Extraction(role=role, standard=standard(dimensions), compare=config.compare, prompt=prompt)
    if config.adaptive is None:
        return once
    return AdaptiveExtraction(extraction=once, checks=_checks(config), config=config.adaptive)


def validation(role: Role | None, config: StageConfig, prompt: PromptConfig) -> Stage:
    """The validation stage, without the parts that are switched off."""
    if not config.use_validation:
        return list
    return Validation(role=role, checks=_checks(config), prompt=prompt)


def summary(role: Role | None, config: StageConfig, prompt: PromptConfig) -> Stage:
    """The summary of differences and history: by a model or a template."""
    if role is None:
        return TemplateSummary()
    return Summary(
        role=role,
        differences_as=config.differences_as,
        profile_chars=config.profile_chars,
        prompt=prompt,
    )


def history_summary(role: Role | None, norms: Norms | None, profile_chars: int, prompt: PromptConfig) -> Stage:
    """The summary of the history alone: by a model or a template."""
    if role is None:
        return HistorySummary(norms=norms)
    return Summary(role=role, profile_chars=profile_chars, prompt=prompt)


def _checks(config: StageConfig) -> Checks | None:
    return Checks() if config.use_checks and config.use_validation else None


T = TypeVar("T")


class ComparingMethod(ABC):
    """Compares users with peers on the same items and writes from the differences.

    Args:
        roles: Models of the roles.
        contexts: Source of the past reviews that summarizer and generator read (D_u* in DRP).
        comparisons: Source of anchors and representatives.
        dimensions: Dimensions of comparison; None: those of the method's paper.
        config: How differences are found and summarized.
        prompt: Rendering of prompts.
        corrections: Looks up what users corrected or muted.
        name: Name in tables; None: the method's own.
    """

    requires: Requirements
    template: ClassVar[str]
    """Template of the generator's prompt, and the method's own name."""
    usual_dimensions: ClassVar[Dimensions]
    asks_validator: ClassVar[bool]
    """Whether the validator may be a model; else only the checks without a model are made."""

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        comparisons: PeerComparisons,
        *,
        dimensions: Dimensions | None = None,
        config: StageConfig | None = None,
        prompt: PromptConfig | None = None,
        corrections: Corrections | None = None,
        name: str | None = None,
    ) -> None:
        config, self.prompt = config or StageConfig(), prompt or PromptConfig()
        self.name, self.contexts, self.comparisons, self.writer = (
            name or self.template,
            contexts,
            comparisons,
            roles.generator,
        )
        validator = roles.validator if self.asks_validator else None
        self.extract = extraction(roles.extractor, dimensions or self.usual_dimensions, config, self.prompt)
        self.validate = validation(validator, config, self.prompt)
        self.summarize = corrected(summary(roles.summarizer, config, self.prompt), corrections)
        self.pipelined_batches = batches_for((roles.extractor, validator, roles.summarizer))
        self._asked = streaming((roles.extractor, validator, roles.summarizer, roles.generator))

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``.

        Raises:
            ConfigError: There are no comparisons, because the class does not declare ``peers``.
        """
        if resources.comparisons is None:
            raise ConfigError(f"{cls.__name__} compares with peers", hint="declare it: Requirements(peers=True, ...)")
        return cls(
            resources.roles,
            resources.contexts,
            resources.comparisons,
            dimensions=resources.dimensions,
            config=resources.stages,
            prompt=resources.prompt,
            corrections=resources.corrections,
            name=resources.name,
        )

    @abstractmethod
    def profile(self, compared: Sequence[ProfileState]) -> list[ProfileState]:
        """From comparisons to the profile of every sample's user."""

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; all roles but the generator are called."""
        return final_prompts(self.template, self.states(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``; with a generator behind an endpoint, every batch is written once it is profiled."""
        if batches_for((self.writer,)) > 1:
            return self._pipelined(lambda compared: self.write(self.profile(compared)), samples)
        return self.write(self.states(samples))

    def states(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """The profile state of every sample; each stage handles all samples of a batch together."""
        return self._pipelined(self.profile, samples)

    def _pipelined(self, work: Callable[[Sequence[ProfileState]], list[T]], samples: Sequence[Sample]) -> list[T]:
        return run_pipelined(self.compare, work, samples, self.pipelined_batches, models=self._asked)

    def compare(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """The initial states: past reviews, anchors and representatives."""
        return initial_states(self.contexts.build(samples), self.comparisons.build(samples))

    def write(self, states: Sequence[ProfileState]) -> list[Prediction]:
        """Generate a review for every sample, from past reviews and profile."""
        return write_profiled(self.name, self.writer, states, final_prompts(self.template, states, self.prompt))
