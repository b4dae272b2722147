"""What DPL and DRP share: everything but the way from a comparison to a profile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from idiolect.methods.base import Contexts
from idiolect.methods.comparison import Cases
from idiolect.methods.dimensions import Dimensions
from idiolect.methods.pipeline import StageConfig, extraction, summary, validation
from idiolect.methods.portrait import Portrait, portray
from idiolect.methods.roles import Roles
from idiolect.methods.waves import in_waves, streaming, waves_for
from idiolect.methods.writing import final_prompts, write_profiled
from idiolect.prompts.render import PromptConfig
from idiolect.types import Prediction, Prompt, Sample

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

    needs: frozenset[str] = frozenset()
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
