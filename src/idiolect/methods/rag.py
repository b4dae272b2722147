"""RAG: the user's own past reviews in the prompt (Salemi et al. 2024; DEP paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, check_support, write
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import Prediction, Prompt, Sample


class RAG:
    """Retrieve, prepend, write.

    Args:
        llm: Writes.
        contexts: Bring the retrieved reviews.
        params: How tokens are drawn.
        prompt: How the prompt is rendered.
    """

    name = "rag"
    needs: frozenset[str] = frozenset()

    def __init__(
        self, llm: LLM, contexts: Contexts, *, params: SamplingParams | None = None, prompt: PromptConfig | None = None
    ) -> None:
        check_support(self.name, self.needs, llm)
        self.llm, self.contexts = llm, contexts
        self.params, self.prompt = params or SamplingParams(), prompt or PromptConfig()

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return [render("rag", context, self.prompt) for context in self.contexts.build(samples)]

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        contexts = self.contexts.build(samples)
        prompts = [render("rag", context, self.prompt) for context in contexts]
        return write(self.name, self.llm, self.params, samples, contexts, prompts)
