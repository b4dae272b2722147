"""RAG: the user's own past reviews in the prompt (Salemi et al. 2024; DEP paper, section 4.1)."""

from __future__ import annotations

from idiolect.context import Context
from idiolect.methods.base import PromptFormat, PromptMethod, Requirements
from idiolect.prompts.rendering import render
from idiolect.types import Prompt


class RAG(PromptMethod):
    """Retrieve, prepend, write. Arguments are those of ``PromptMethod``."""

    name = "rag"
    requires: Requirements = Requirements(
        title="RAG",
        reads="past reviews",
        about="Is shown the user's past reviews of similar items, and imitates them.",
        format=PromptFormat(template="rag", history="required"),
    )

    def render(self, context: Context) -> Prompt:
        """See ``PromptMethod.render``."""
        return render("rag", context, self.prompt)
