"""DEP: vectors of past reviews and of their differences to peers, as soft prompts in the text (paper, Figure 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from idiolect.context import Context
from idiolect.methods.base import PromptFormat, Requirements
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.prompts.rendering import render
from idiolect.softprompt.config import VectorInputs, stream_ids
from idiolect.types import Prediction, Prompt, VirtualToken


class DEP(SoftPromptMethod):
    """Retrieve own reviews, compare with peers, distil (SAE and projectors), inject soft prompts, write.

    Arguments are those of ``SoftPromptMethod``; contexts bring text, ``e_his`` and ``e_diff`` of the same reviews
    (Eq. 2-4), and the adapter turns these vectors into embeddings (Eq. 5-6).
    """

    name = "dep"
    template: ClassVar[str] = "dep"
    requires: Requirements = Requirements(
        title="DEP",
        reads="vectors of past reviews and differences",
        about="Is shown past reviews, and gets how they differ from others' as vectors, which it was trained to read.",
        vectors=True,
        adapter="dep",
        llm=frozenset({"soft"}),
        controls=("another user's vectors", "wrong user", "nearest twin", "item crowd", "oracle", "no adapter"),
        format=PromptFormat(template="dep", history="required", textless=True),
    )

    def render(self, context: Context) -> Prompt:
        """See ``SoftPromptMethod.render``."""
        return render(self.template, context, self.prompt)

    def inputs(self, contexts: Sequence[Context], tokens: Sequence[Sequence[VirtualToken]]) -> list[VectorInputs]:
        """The vector of every virtual token: ``e_his`` or ``e_diff`` of its entry.

        Raises:
            ValueError: A virtual token is for a difference that the context does not have.
        """
        return [_inputs(context, own) for context, own in zip(contexts, tokens, strict=True)]

    def embed(self, inputs: Sequence[VectorInputs]) -> list[np.ndarray]:
        """See ``SoftPromptMethod.embed``; in one pass."""
        flat = [one for one in inputs if len(one.stream)]
        vectors, stream, entry = (
            np.concatenate([getattr(one, name) for one in flat]) for name in ("vectors", "stream", "entry")
        )
        found = self.adapter.soft_prompt_embeddings(vectors, stream, entry)
        return np.split(found, np.cumsum([len(one.stream) for one in inputs])[:-1])

    def finish(self, prediction: Prediction, context: Context) -> Prediction:
        """The prediction with the peer scopes of its anchors."""
        return prediction if self.prompt.streams == "his" else _with_peer_scopes(prediction, context)


def _inputs(context: Context, tokens: Sequence[VirtualToken]) -> VectorInputs:
    vectors = [context.vector(token) for token in tokens]
    return VectorInputs(
        stream=stream_ids(tokens),
        entry=np.array([token.entry for token in tokens], dtype=np.int64),
        vectors=np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 0), dtype=np.float32),
    )


def _with_peer_scopes(prediction: Prediction, context: Context) -> Prediction:
    """The prediction with the peer scopes of its anchors."""
    peer_scopes = Counter(entry.peer_scope for entry in context.entries if entry.review.id in prediction.anchors)
    return replace(prediction, peer_scopes=dict(peer_scopes))
