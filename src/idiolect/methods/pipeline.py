"""How the language methods are set, and their stages made from roles and settings."""

from __future__ import annotations

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.modelfree import FALSE_SHARE, Norms
from idiolect.difference.language.taxonomy import CATEGORIES, Category
from idiolect.difference.language.validate import ValidationConfig
from idiolect.difference.stylometry.departure import LEVEL
from idiolect.methods.adaptive import AdaptiveExtraction
from idiolect.methods.allowance import AdaptiveConfig
from idiolect.methods.dimensions import Dimensions, standard
from idiolect.methods.extraction import Compare, Extraction, MeasuredExtraction
from idiolect.methods.portrait import Stage
from idiolect.methods.roles import Role
from idiolect.methods.summary import PROFILE_CHARS, DifferencesAs, HistorySummary, Summary, TemplateSummary
from idiolect.methods.validation import Checks, Validation
from idiolect.prompts.render import PromptConfig

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
    false_share: float = Field(default=FALSE_SHARE, gt=0, lt=1)
    """Expected share of luck, at most, in what is found where stylometry is the extractor; a higher one finds more."""
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
            categories=_FIXED if dimensions == "fixed" else CATEGORIES, false_share=config.false_share
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
