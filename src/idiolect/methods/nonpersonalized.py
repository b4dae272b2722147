"""Non-Perso: item, rating and title in the prompt, no review of the user (DEP paper, section 4.1)."""

from __future__ import annotations

from dataclasses import replace

from idiolect.context import Context
from idiolect.methods.base import PromptFormat, PromptMethod, Requirements
from idiolect.prompts.rendering import render
from idiolect.types import Prompt


class NonPersonalized(PromptMethod):
    """A review of the item for an unknown user. Arguments are those of ``PromptMethod``."""

    name = "nonpersonalized"
    requires: Requirements = Requirements(
        title="Non-Perso",
        reads="nothing",
        about="Knows nothing of the user: what anybody might write. The others are compared with it.",
        history=False,
        controls=(),
        format=PromptFormat(template="nonpersonalized", history="never"),
    )

    def choose(self, context: Context) -> Context:
        """The item alone."""
        return replace(context, entries=())

    def render(self, context: Context) -> Prompt:
        """See ``PromptMethod.render``."""
        return render("nonpersonalized", context, self.prompt)
