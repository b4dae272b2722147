"""Non-Perso: the item, the rating and the title; nothing of the user (DEP paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from idiolect.context import Context
from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, check_support, write
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import Prediction, Prompt, Sample


class NonPersonalized:
    """What the model writes about the item for anybody.

    Args:
        llm: Writes.
        contexts: Only their items are used.
        params: How tokens are drawn.
        prompt: How the prompt is rendered.
    """

    name = "nonpersonalized"
    needs: frozenset[str] = frozenset()

    def __init__(
        self, llm: LLM, contexts: Contexts, *, params: SamplingParams | None = None, prompt: PromptConfig | None = None
    ) -> None:
        check_support(self.name, self.needs, llm)
        self.llm, self.contexts = llm, contexts
        self.params, self.prompt = params or SamplingParams(), prompt or PromptConfig()

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return [self._render(context) for context in self._build(samples)]

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        contexts = self._build(samples)
        return write(self.name, self.llm, self.params, samples, contexts, [self._render(c) for c in contexts])

    def _build(self, samples: Sequence[Sample]) -> list[Context]:
        return [replace(context, entries=()) for context in self.contexts.build(samples)]

    def _render(self, context: Context) -> Prompt:
        return render("nonpersonalized", context, self.prompt)
