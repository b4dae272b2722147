"""PAG: a summary of the user's history beside the retrieved reviews (Richardson et al. 2023, arXiv 2310.20081)."""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.difference.claims.stylometric import Norms
from idiolect.methods.base import Contexts
from idiolect.methods.comparing import history_summary
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

    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        roles: Roles,
        contexts: Contexts,
        *,
        norms: Norms | None = None,
        phrases: int = 8,
        profile_chars: int = PROFILE_CHARS,
        prompt: PromptConfig | None = None,
        name: str = "pag",
    ) -> None:
        self.name, self.contexts, self.writer = name, contexts, roles.write
        self.prompt = prompt or PromptConfig()
        self.summarize = history_summary(roles.summarize, norms, phrases, profile_chars, self.prompt)

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``; S is asked for it."""
        return final_prompts("pag", self.portraits(samples), self.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        portraits = self.portraits(samples)
        return write_profiled(self.name, self.writer, portraits, final_prompts("pag", portraits, self.prompt))

    def portraits(self, samples: Sequence[Sample]) -> list[Portrait]:
        """The summary of every sample's user, all of them asked for at once."""
        return self.summarize(portray(self.contexts.build(samples)))
