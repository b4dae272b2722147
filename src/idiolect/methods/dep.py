"""DEP: vectors of past reviews and of their differences to peers, as soft prompts in the text (paper, Figure 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from idiolect.context import Context
from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, Requirements, Resources, SoftPromptAdapter, check_support, write
from idiolect.prompts.rendering import PromptConfig, render, with_soft
from idiolect.softprompt.config import stream_ids
from idiolect.types import Prediction, Prompt, Sample, VirtualToken

_FITTED = "use an adapter with the encoder, the backbone and the settings that it was fitted with"


class DEP:
    """Retrieve own reviews, compare with peers, distil (SAE and projectors), inject soft prompts, write.

    Args:
        llm: The generator; must support soft prompts.
        contexts: Source of text, ``e_his`` and ``e_diff`` of the same reviews (Eq. 2-4).
        adapter: Turns vectors into embeddings (Eq. 5-6).
        params: Sampling of tokens.
        prompt: Rendering of the prompt; its streams must be the adapter's.
        name: Name in tables.
    """

    requires: Requirements = Requirements(
        vectors=True,
        adapter=True,
        llm=frozenset({"soft"}),
        controls=("another user's vectors", "wrong user", "no adapter"),
    )

    def __init__(
        self,
        llm: LLM,
        contexts: Contexts,
        adapter: SoftPromptAdapter,
        *,
        params: SamplingParams | None = None,
        prompt: PromptConfig | None = None,
        name: str = "dep",
    ) -> None:
        check_support(name, self.requires.llm, llm)
        self.name = name
        self.llm, self.contexts, self.adapter = llm, contexts, adapter
        self.params, self.prompt = params or SamplingParams(), prompt or PromptConfig()

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``.

        Raises:
            ConfigError: There is no adapter.
        """
        if resources.adapter is None:
            raise ConfigError("dep needs an adapter", hint="pass --adapter FOLDER, or another --method")
        return cls(
            resources.llm,
            resources.contexts,
            resources.adapter,
            params=resources.params,
            prompt=resources.prompt,
            name=resources.name or "dep",
        )

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return self._inject(self.contexts.build(samples))

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``.

        Raises:
            ArtifactError: The adapter has no weights for these vectors, or gives embeddings that are not finite.
        """
        contexts = self.contexts.build(samples)
        written = write(self.name, self.llm, self.params, samples, contexts, self._inject(contexts))
        if self.prompt.streams == "his":
            return written
        return [_with_peer_scopes(*one) for one in zip(written, contexts, strict=True)]

    def _inject(self, contexts: Sequence[Context]) -> list[Prompt]:
        """Prompts with their virtual tokens filled, all embeddings computed in one pass (Eq. 7)."""
        prompts = [render("dep", context, self.prompt) for context in contexts]
        virtual_tokens = [prompt.virtual_tokens for prompt in prompts]
        flat = [(context, token) for context, own in zip(contexts, virtual_tokens, strict=True) for token in own]
        if not flat:
            return prompts
        parts = np.split(self._embeddings(flat), np.cumsum([len(own) for own in virtual_tokens])[:-1])
        return [with_soft(prompt, part) for prompt, part in zip(prompts, parts, strict=True)]

    def _embeddings(self, flat: Sequence[tuple[Context, VirtualToken]]) -> np.ndarray:
        """Float (n, hidden): soft prompt embeddings, refused if they would silence or crash the model."""
        vectors = np.stack([context.vector(token) for context, token in flat])
        entries = np.array([token.entry for _, token in flat], dtype=np.int64)
        try:
            found = self.adapter.soft_prompt_embeddings(vectors, stream_ids(token for _, token in flat), entries)
        except ValueError as error:
            raise ArtifactError(f"the adapter does not fit: {error}", hint=_FITTED) from error
        if not np.isfinite(found).all():
            raise ArtifactError("the adapter gives soft prompt embeddings that are not finite", hint=_FITTED)
        return found


def _with_peer_scopes(prediction: Prediction, context: Context) -> Prediction:
    """The prediction with the peer scopes of its anchors."""
    peer_scopes = Counter(entry.peer_scope for entry in context.entries if entry.review.id in prediction.anchors)
    return replace(prediction, peer_scopes=dict(peer_scopes))
