"""DEP: vectors of past reviews and of how they differ from peers, as soft prompts beside them (paper, Figure 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from idiolect.context import Context
from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, Requirements, Resources, SoftRows, check_support, write
from idiolect.prompts.rendering import PromptConfig, render, with_soft
from idiolect.softprompt.config import stream_codes
from idiolect.types import Prediction, Prompt, Sample, Slot

_FITTED = "use an adapter with the encoder, the backbone and the settings that it was fitted with"


class DEP:
    """Retrieve (own reviews), compare (with peers), distil (SAE and projectors), inject (soft prompts), write.

    Args:
        llm: Writes; must take soft prompts.
        contexts: Bring text, ``e_his`` and ``e_diff`` of the same reviews (Eq. 2-4).
        adapter: Turns vectors into soft rows (Eq. 5-6).
        params: How tokens are drawn.
        prompt: How the prompt is rendered; its streams must be the adapter's.
        name: For tables, where one run has several adapters.
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
        adapter: SoftRows,
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
            ArtifactError: The adapter has no weights for these vectors, or gives rows that are not finite.
        """
        contexts = self.contexts.build(samples)
        written = write(self.name, self.llm, self.params, samples, contexts, self._inject(contexts))
        if self.prompt.streams == "his":
            return written
        return [_with_peer_scopes(*one) for one in zip(written, contexts, strict=True)]

    def _inject(self, contexts: Sequence[Context]) -> list[Prompt]:
        """Prompts with their slots filled, all rows computed in one pass (Eq. 7)."""
        prompts = [render("dep", context, self.prompt) for context in contexts]
        slots = [prompt.slots for prompt in prompts]
        flat = [(context, slot) for context, own in zip(contexts, slots, strict=True) for slot in own]
        if not flat:
            return prompts
        rows = self._rows(flat)
        parts = np.split(rows, np.cumsum([len(own) for own in slots])[:-1])
        return [with_soft(prompt, part) for prompt, part in zip(prompts, parts, strict=True)]

    def _rows(self, flat: Sequence[tuple[Context, Slot]]) -> np.ndarray:
        """Float (n, hidden): the adapter's rows for slots, refused where they would silence or crash the model."""
        vectors = np.stack([context.vector(slot) for context, slot in flat])
        entries = np.array([slot.entry for _, slot in flat], dtype=np.int64)
        try:
            rows = self.adapter.soft_rows(vectors, stream_codes(slot for _, slot in flat), entries)
        except ValueError as error:
            raise ArtifactError(f"the adapter does not fit: {error}", hint=_FITTED) from error
        if not np.isfinite(rows).all():
            raise ArtifactError("the adapter gives soft rows that are not finite", hint=_FITTED)
        return rows


def _with_peer_scopes(prediction: Prediction, context: Context) -> Prediction:
    """The prediction with whom its anchors were compared with."""
    peer_scopes = Counter(entry.peer_scope for entry in context.entries if entry.review.id in prediction.anchors)
    return replace(prediction, peer_scopes=dict(peer_scopes))
