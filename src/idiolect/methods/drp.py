"""DRP: differences that E finds and V reflects on, summarized by S for G (Chen et al. 2025, arXiv 2511.15389)."""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.methods.base import Contexts
from idiolect.methods.comparison import Cases
from idiolect.methods.dimensions import Dimensions
from idiolect.methods.pipeline import StageConfig, extraction, summary, validation
from idiolect.methods.portrait import Portrait, portray
from idiolect.methods.roles import Roles
from idiolect.methods.waves import in_waves, waves_for
from idiolect.methods.writing import final_prompts, write_profiled
from idiolect.prompts.render import PromptConfig
from idiolect.types import Prediction, Prompt, Sample


class DRP:
    """Compare with others on the same items, extract, validate, summarize, write.

    Args:
        roles: E, V, S and G.
        contexts: Bring the past reviews that S and G are shown (D_u*).
        cases: Bring the anchors with their representatives.
        dimensions: What E compares along; ``auto``: DPL's three, then whatever the texts show.
        config: How differences are found and told.
        prompt: How prompts are rendered.
        name: For tables, where one run has several.
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        cases: Cases,
        *,
        dimensions: Dimensions = "auto",
        config: StageConfig | None = None,
        prompt: PromptConfig | None = None,
        name: str = "drp",
    ) -> None:
        config, self.prompt = config or StageConfig(), prompt or PromptConfig()
        self.name, self.contexts, self.cases, self.writer = name, contexts, cases, roles.write
        self.extract = extraction(roles.extract, dimensions, config, self.prompt)
        self.validate = validation(roles.validate, config, self.prompt)
        self.summarize = summary(roles.summarize, config, self.prompt)
        self.waves = config.waves or waves_for((roles.extract, roles.validate, roles.summarize))

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; E, V and S are asked for it."""
        return final_prompts("drp", self.portraits(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``; where G is behind an endpoint too, a wave is written as soon as it is profiled."""
        if waves_for((self.writer,)) > 1:
            return in_waves(self.compare, lambda compared: self.write(self.profile(compared)), samples, self.waves)
        return self.write(self.portraits(samples))

    def portraits(self, samples: Sequence[Sample]) -> list[Portrait]:
        """What is found out about every sample's user; each stage asks for all samples (of a wave) at once."""
        return in_waves(self.compare, self.profile, samples, self.waves)

    def compare(self, samples: Sequence[Sample]) -> list[Portrait]:
        """Every sample's user beside others: past reviews, anchors and representatives."""
        return portray(self.contexts.build(samples), self.cases.build(samples))

    def profile(self, compared: Sequence[Portrait]) -> list[Portrait]:
        """How every sample's user differs, and the profile that is made of it."""
        claimed = self.extract(compared)
        reflected = self.validate(claimed)
        return self.summarize(reflected)

    def write(self, portraits: Sequence[Portrait]) -> list[Prediction]:
        """A review for every sample, from the past reviews and the profile of its user."""
        return write_profiled(self.name, self.writer, portraits, final_prompts("drp", portraits, self.prompt))
