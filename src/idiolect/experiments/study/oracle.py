"""Methods that are told the truth: the most that text, and the most that soft vectors, can say about a user here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from idiolect.context.base import Context
from idiolect.methods.base import Contexts
from idiolect.prompts.render import PromptConfig, render
from idiolect.sandbox.notes import sentence
from idiolect.sandbox.traits import describe
from idiolect.types import Prompt, Sample


class OracleProfile:
    """DRP's prompt without history, its profile the user's true traits in plain words.

    Args:
        contexts: Only their items are used.
        effects: User to planted effect, float (n_traits,).
        prompt: How the prompt is rendered.
        traits: How many of the strongest are named.
    """

    def __init__(
        self, contexts: Contexts, effects: Mapping[str, np.ndarray], *, prompt: PromptConfig, traits: int
    ) -> None:
        self._contexts, self._effects, self._prompt, self._traits = contexts, effects, prompt, traits

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """One prompt a sample."""
        return [
            render("drp", replace(context, entries=()), self._prompt, profile=self._profile(context.sample.user))
            for context in self._contexts.build(samples)
        ]

    def _profile(self, user: str) -> str:
        return sentence(describe(self._effects[user], k=self._traits))


class OracleVectors:
    """The user's planted effect in the place of every vector: what a perfect encoder and difference would give.

    Args:
        contexts: Where the right contexts come from.
        effects: User to planted effect, float (n_traits,).
    """

    def __init__(self, contexts: Contexts, effects: Mapping[str, np.ndarray]) -> None:
        self._contexts, self._effects = contexts, effects

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each holding the truth."""
        return [self._told(context) for context in self._contexts.build(samples)]

    def _told(self, context: Context) -> Context:
        effect = self._effects[context.sample.user].astype(np.float32)
        told = (replace(e, e_his=effect, e_diff=None if e.e_diff is None else effect) for e in context.entries)
        return replace(context, entries=tuple(told))
