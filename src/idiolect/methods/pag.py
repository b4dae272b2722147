"""PAG: a summary of the user's history beside the retrieved reviews (Richardson et al. 2023, arXiv 2310.20081)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from idiolect.difference.claims.stylometric import Norms
from idiolect.methods.base import Contexts, Requirements, Resources
from idiolect.methods.comparing import StageConfig, history_summary
from idiolect.methods.stages import Portrait, Roles, portray
from idiolect.methods.summarize import PROFILE_CHARS, final_prompts, write_profiled
from idiolect.prompts.rendering import PromptConfig
from idiolect.types import Prediction, Prompt, Sample


class PAG:
    """Retrieve, summarize, write; nobody is compared with.

    As in the DEP paper's rows the summary is of the retrieved reviews, which also stand beside it.

    Args:
        roles: S and G; E and V are not asked.
        contexts: Bring the past reviews.
        norms: How people write on the whole, for a summary without a model.
        phrases: Of such a summary, at most.
        profile_chars: Longest summary that the writer is given.
        prompt: How prompts are rendered.
        name: For tables, where one run has several.
    """

    requires: Requirements = Requirements(roles=frozenset({"summarizer", "generator"}))
    template: ClassVar[str] = "pag"
    """The writer's prompt, and the method's own name."""

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        *,
        norms: Norms | None = None,
        phrases: int = 8,
        profile_chars: int = PROFILE_CHARS,
        prompt: PromptConfig | None = None,
        name: str | None = None,
    ) -> None:
        self.name, self.contexts, self.writer = name or self.template, contexts, roles.write
        self.prompt = prompt or PromptConfig()
        self.summarize = history_summary(roles.summarize, norms, phrases, profile_chars, self.prompt)

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``."""
        stages, roles = resources.stages or StageConfig(), resources.roles
        return cls(
            roles,
            resources.contexts,
            norms=resources.norms() if roles.summarize is None else None,
            phrases=stages.phrases,
            profile_chars=stages.profile_chars,
            prompt=resources.prompt,
            name=resources.name,
        )

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; S is asked for it."""
        return final_prompts(self.template, self.portraits(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        portraits = self.portraits(samples)
        return write_profiled(self.name, self.writer, portraits, final_prompts(self.template, portraits, self.prompt))

    def portraits(self, samples: Sequence[Sample]) -> list[Portrait]:
        """The summary of every sample's user, all of them asked for at once."""
        return self.summarize(portray(self.contexts.build(samples)))
