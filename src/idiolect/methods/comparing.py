"""How the language methods are set, and their stages made from roles and settings.

What DPL and DRP share: everything but the way from a comparison to a profile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self, TypeVar

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.stylometric import FDR_LEVEL, Norms
from idiolect.difference.claims.taxonomy import CATEGORIES, Category
from idiolect.difference.claims.validate import ValidationConfig
from idiolect.difference.stylometry.style_difference import LEVEL
from idiolect.errors import ConfigError
from idiolect.methods.adaptive import AdaptiveConfig, AdaptiveExtraction
from idiolect.methods.base import Contexts, Requirements, Resources
from idiolect.methods.batching import in_waves, streaming, waves_for
from idiolect.methods.extract import Compare, Extraction, MeasuredExtraction
from idiolect.methods.stages import Cases, Dimensions, Portrait, Role, Roles, Stage, portray, standard
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
"""What DPL's three dimensions are in the five categories."""


class StageConfig(Config):
    """How differences are found and told."""

    compare: Compare = "joint"
    """One call an anchor (``joint``), or one for every representative (``pairwise``)."""
    use_validation: bool = True
    """Whether anything is validated at all; false is how the authors' released DRP program generates."""
    use_checks: bool = True
    """Whether the checks that cost no call are made: criteria, quotes, measured style."""
    checks: ValidationConfig = ValidationConfig()
    """What they ask of a difference."""
    level: float = Field(default=LEVEL, gt=0, lt=1)
    """Coverage of the intervals that claims are held against."""
    fdr_level: float = Field(default=FDR_LEVEL, gt=0, lt=1)
    """False discovery rate of the stylometric extractor; a higher one finds more differences."""
    min_support: int = Field(default=1, ge=1)
    """Comparisons that must agree on a difference; 1 drops only what the others contradict."""
    differences_as: DifferencesAs = "blocks"
    """How the summarizer reads differences."""
    phrases: int = Field(default=8, ge=1)
    """Phrases at most where a template is the summarizer."""
    profile_chars: int = Field(default=PROFILE_CHARS, ge=100)
    """Longest profile that the writer is given, in characters; a longer one is cut after a sentence, for it would push
    past reviews out of the prompt."""
    adaptive: AdaptiveConfig | None = None
    """Extraction goes on while it pays, instead of one call an anchor."""
    waves: int | None = Field(default=None, ge=1)
    """Groups of samples that go through the stages side by side, so that work here and answers there overlap; None:
    several where every model is behind an endpoint, else one."""


def extraction(role: Role | None, dimensions: Dimensions, config: StageConfig, prompt: PromptConfig) -> Stage:
    """E: a model's, or measured."""
    if role is None:
        return MeasuredExtraction(
            categories=_FIXED if dimensions == "fixed" else CATEGORIES, fdr_level=config.fdr_level
        )
    once = Extraction(role=role, standard=standard(dimensions), compare=config.compare, prompt=prompt)
    if config.adaptive is None:
        return once
    return AdaptiveExtraction(once=once, checks=_checks(config), config=config.adaptive)


def validation(role: Role | None, config: StageConfig, prompt: PromptConfig) -> Stage:
    """V: what is not switched off."""
    if not config.use_validation:
        return list
    return Validation(role=role, checks=_checks(config), min_support=config.min_support, prompt=prompt)


def summary(role: Role | None, config: StageConfig, prompt: PromptConfig) -> Stage:
    """S over differences and history: a model's, or a template."""
    if role is None:
        return TemplateSummary(phrases=config.phrases)
    return Summary(
        role=role,
        differences_as=config.differences_as,
        phrases=config.phrases,
        profile_chars=config.profile_chars,
        prompt=prompt,
    )


def history_summary(
    role: Role | None, norms: Norms | None, phrases: int, profile_chars: int, prompt: PromptConfig
) -> Stage:
    """S over history alone: a model's, or a template."""
    if role is None:
        return HistorySummary(norms=norms, phrases=phrases)
    return Summary(role=role, phrases=phrases, profile_chars=profile_chars, prompt=prompt)


def _checks(config: StageConfig) -> Checks | None:
    return Checks(config=config.checks, level=config.level) if config.use_checks and config.use_validation else None


T = TypeVar("T")


class ComparingMethod(ABC):
    """Compares users with others on the same items and writes from what it makes of that.

    Args:
        roles: E, V, S and G, those that the method asks.
        contexts: Bring the past reviews that S and G are shown (D_u* in DRP).
        cases: Bring the anchors with their representatives.
        dimensions: What E compares along; None: what the method's paper does.
        config: How differences are found and told.
        prompt: How prompts are rendered.
        name: For tables, where one run has several; None: the method's own.
    """

    requires: Requirements
    template: ClassVar[str]
    """G's prompt, and the method's own name."""
    usual_dimensions: ClassVar[Dimensions]
    asks_validator: ClassVar[bool]
    """Whether V may be a model; else it is the checks that cost no call."""

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        cases: Cases,
        *,
        dimensions: Dimensions | None = None,
        config: StageConfig | None = None,
        prompt: PromptConfig | None = None,
        name: str | None = None,
    ) -> None:
        config, self.prompt = config or StageConfig(), prompt or PromptConfig()
        self.name, self.contexts, self.cases, self.writer = name or self.template, contexts, cases, roles.write
        validator = roles.validate if self.asks_validator else None
        self.extract = extraction(roles.extract, dimensions or self.usual_dimensions, config, self.prompt)
        self.validate = validation(validator, config, self.prompt)
        self.summarize = summary(roles.summarize, config, self.prompt)
        self.waves = config.waves or waves_for((roles.extract, validator, roles.summarize))
        self._asked = streaming((roles.extract, validator, roles.summarize, roles.write))

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``.

        Raises:
            ConfigError: There are no comparisons: the class does not declare ``peers``.
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
            name=resources.name,
        )

    @abstractmethod
    def profile(self, compared: Sequence[Portrait]) -> list[Portrait]:
        """How every sample's user differs, and the profile that is made of it."""

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; all roles but G are asked for it."""
        return final_prompts(self.template, self.portraits(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``; where G is behind an endpoint too, a wave is written as soon as it is profiled."""
        if waves_for((self.writer,)) > 1:
            return self._in_waves(lambda compared: self.write(self.profile(compared)), samples)
        return self.write(self.portraits(samples))

    def portraits(self, samples: Sequence[Sample]) -> list[Portrait]:
        """What is found out about every sample's user; each stage asks for all samples (of a wave) at once."""
        return self._in_waves(self.profile, samples)

    def _in_waves(self, work: Callable[[Sequence[Portrait]], list[T]], samples: Sequence[Sample]) -> list[T]:
        return in_waves(self.compare, work, samples, self.waves, models=self._asked)

    def compare(self, samples: Sequence[Sample]) -> list[Portrait]:
        """Every sample's user beside others: past reviews, anchors and representatives."""
        return portray(self.contexts.build(samples), self.cases.build(samples))

    def write(self, portraits: Sequence[Portrait]) -> list[Prediction]:
        """A review for every sample, from the past reviews and the profile of its user."""
        return write_profiled(self.name, self.writer, portraits, final_prompts(self.template, portraits, self.prompt))
