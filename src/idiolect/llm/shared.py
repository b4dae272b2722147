"""A language model in every process of a run: each answers its share of the prompts, and all get all answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from idiolect.llm.base import LLM, Completion, SamplingParams, Schema, TokenNats, Wrapped
from idiolect.processes import group_size, shared
from idiolect.types import Prompt


class SharedLLM(Wrapped):
    """Shares the calls of a model that every process holds over the processes of ``processes.process_group``.

    All processes make the same calls in the same order, as those of one program do. Texts and likelihoods are those
    of one process, up to the rounding of batches that are padded differently.

    Args:
        llm: Of this process.
    """

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``."""
        more = {} if schema is None else {"schema": schema}
        return shared(by_length(prompts), lambda own: self.llm.generate([prompts[i] for i in own], params, **more))

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """See ``LLM.negative_log_likelihood``."""

        def compute(own: list[int]) -> list[float]:
            return self.llm.negative_log_likelihood([prompts[i] for i in own], [references[i] for i in own]).tolist()

        return np.array(shared(by_length(prompts), compute), dtype=np.float64)

    @property
    def inside(self) -> object:
        """The model itself, without a record of its answers."""
        return getattr(self.llm, "llm", self.llm)

    def token_nats(self, prompts: Sequence[Prompt], references: Sequence[str]) -> list[TokenNats]:
        """See ``TokenLikelihood.token_nats``; of a model that gives them."""
        model: Any = self.inside
        return shared(
            by_length(prompts), lambda own: model.token_nats([prompts[i] for i in own], [references[i] for i in own])
        )


def share_work(llm: LLM) -> LLM:
    """The model, which shares its calls if several processes were started; otherwise itself."""
    return llm if group_size() == 1 else SharedLLM(llm)


def by_length(prompts: Sequence[Prompt]) -> list[int]:
    """Indices of the prompts, longest first."""
    sizes = [sum(len(message.text) for message in prompt.messages) for prompt in prompts]
    return sorted(range(len(prompts)), key=lambda i: (-sizes[i], i))
