"""PAG: retrieved reviews and a summary of them in the prompt (Richardson et al. 2023, arXiv 2310.20081)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from idiolect.difference.claims.stylometric import Norms
from idiolect.methods.base import Contexts, PromptFormat, Requirements, Resources
from idiolect.methods.comparing import StageConfig, history_summary
from idiolect.methods.corrections import Corrections, corrected
from idiolect.methods.roles import Roles
from idiolect.methods.stages import ProfileState, initial_states
from idiolect.methods.summarize import PROFILE_CHARS, final_prompts, write_profiled
from idiolect.prompts.rendering import PromptConfig
from idiolect.types import Prediction, Prompt, Sample


class PAG:
    """Retrieve, summarize, write; without peers.

    As in the DEP paper's rows, the summary is of the retrieved reviews, which are in the prompt too.

    Args:
        roles: Summarizer and generator; the other roles are not used.
        contexts: Source of the past reviews.
        norms: Average style, for a summary without a model.
        profile_chars: Longest summary in the generator's prompt.
        prompt: Rendering of prompts.
        corrections: Looks up what users corrected or muted.
        name: Name in tables; None: the method's own.
    """

    requires: Requirements = Requirements(
        title="PAG",
        reads="past reviews, a summary",
        about="Is shown past reviews, and a short summary of how the user writes.",
        measures=True,
        roles=frozenset({"summarizer", "generator"}),
        format=PromptFormat(template="pag", profile="user"),
    )
    template: ClassVar[str] = "pag"
    """Template of the generator's prompt, and the method's own name."""

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        *,
        norms: Norms | None = None,
        profile_chars: int = PROFILE_CHARS,
        prompt: PromptConfig | None = None,
        corrections: Corrections | None = None,
        name: str | None = None,
    ) -> None:
        self.name, self.contexts, self.writer = name or self.template, contexts, roles.generator
        self.prompt = prompt or PromptConfig()
        made = history_summary(roles.summarizer, norms, profile_chars, self.prompt)
        self.summarize = corrected(made, corrections)

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``."""
        stages, roles = resources.stages or StageConfig(), resources.roles
        return cls(
            roles,
            resources.contexts,
            norms=resources.norms() if roles.summarizer is None else None,
            profile_chars=stages.profile_chars,
            prompt=resources.prompt,
            corrections=resources.corrections,
            name=resources.name,
        )

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; the summarizer is called."""
        return final_prompts(self.template, self.states(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        states = self.states(samples)
        return write_profiled(self.name, self.writer, states, final_prompts(self.template, states, self.prompt))

    def states(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """The profile state of every sample, with the summary; one batch of calls."""
        return self.summarize(initial_states(self.contexts.build(samples)))
