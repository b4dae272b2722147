"""PPlug: one soft prompt embedding of the user's whole history, chosen by what is to be written (arXiv 2409.11901)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from idiolect.context import Context
from idiolect.errors import ConfigError
from idiolect.methods.base import PromptFormat, Requirements
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.prompts.rendering import render
from idiolect.softprompt.config import USER_STREAMS, UserInputs, stream_ids
from idiolect.types import Prediction, Prompt, VirtualToken

MAX_HISTORY = 512
"""Past reviews whose vectors are read, the latest ones, as in the authors' program."""


class PPlug(SoftPromptMethod):
    """Encode the task, attend to the user's past reviews, project, write after ``[I; P]``.

    With ``past_texts`` of the adapter's configuration, the best past reviews are also in the prompt as text (the
    paper's PPlug + retrieval). Arguments are those of ``SoftPromptMethod``.
    """

    name = "pplug"
    requires: Requirements = Requirements(
        title="PPlug",
        reads="vectors of all past reviews",
        about="Gets one vector made of all past reviews, which it was trained to read.",
        vectors=True,
        past_vectors=MAX_HISTORY,
        adapter="pplug",
        llm=frozenset({"soft"}),
        controls=("another user's vectors", "wrong user", "nearest twin", "item crowd", "oracle"),
        format=PromptFormat(template="pplug", history="never"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.adapter.config.past_texts:  # another user's vectors are all that a wrong user could change
            controls = tuple(control for control in self.requires.controls if control != "wrong user")
            self.requires = replace(self.requires, controls=controls)

    def choose(self, context: Context) -> Context:
        """The context with as many entries as the prompt shows as text."""
        return replace(context, entries=context.entries[: self.adapter.config.past_texts])

    def render(self, context: Context) -> Prompt:
        """The prompt: virtual tokens, past reviews if there are to be any, what is to be written."""
        return render("pplug", context, self.prompt, sources=context.past.reviews)

    def inputs(self, contexts: Sequence[Context], tokens: Sequence[Sequence[VirtualToken]]) -> list[UserInputs]:
        """Vectors of every user's history, and the task that each prompt is about.

        The task is the user turn of the prompt without personalization, so it is what the model reads, in one text.

        Raises:
            ConfigError: The adapter reads the encoder's vector of the task, and there is no encoder.
        """
        bare = self.prompt.model_copy(update={"with_text": False})
        texts = [render("nonpersonalized", replace(c, entries=()), bare).messages[-1].text for c in contexts]
        queries: Sequence[str | np.ndarray] = texts
        if self.adapter.config.input_encoder == "mlp":
            if self.encoder is None:
                raise ConfigError("pplug needs the text encoder", hint="pass encoder=")
            queries = list(self.encoder.encode(texts))
        return [
            UserInputs(
                stream=stream_ids(own, USER_STREAMS),
                history=_vectors(context, self.adapter.config.d_in),
                query=query,
            )
            for context, own, query in zip(contexts, tokens, queries, strict=True)
        ]

    def finish(self, prediction: Prediction, context: Context) -> Prediction:
        """The prediction with every review whose vector or text reached the model, the latest first."""
        reviews = dict.fromkeys([*prediction.anchors, *reversed(context.past.reviews)])
        return replace(prediction, anchors=tuple(reviews))


def _vectors(context: Context, dim: int) -> np.ndarray:
    """float32 (n, dim); n is 0 for a user without history."""
    return context.past.vectors if context.past.reviews else np.zeros((0, dim), dtype=np.float32)
