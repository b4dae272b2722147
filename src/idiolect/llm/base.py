"""The seam of language models: a list of prompts in, a list of completions of the same length and order out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.llm.failure import Failure
from idiolect.types import Prompt

Capability = Literal["soft", "likelihood", "schema", "seed"]
Schema = Mapping[str, Any]
"""A JSON schema that an answer is held to."""

# Replicates of neighbouring seeds must not meet: a prime above any number of draws.
_REPLICATE_STRIDE = 1_000_003


class SamplingParams(Config):
    """How tokens are drawn. The defaults are the DEP paper's (appendix C.2.3)."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_new_tokens: int = Field(default=512, gt=0)
    seed: int = 0
    """Of the sampling alone; nothing is seeded globally. Equal questions with other seeds are other questions to the
    cache, so it is also the index of a repeated draw where a backend takes no seed."""

    def replicate(self, k: int) -> SamplingParams:
        """The parameters of the ``k``-th independent draw of the same question; the 0-th has these."""
        return self.model_copy(update={"seed": self.seed + k * _REPLICATE_STRIDE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer and what it took."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    kept_entries: tuple[int, ...] = ()
    """History entries that fitted the budget."""
    seconds: float = 0.0
    """Wall time of the batch divided by its size; at an endpoint the prompt's own, pauses and retries included."""
    thinking: str = ""
    """What a reasoning model thought before it answered; never part of ``text``."""
    thinking_tokens: int = 0
    """How many of the completion's tokens that took."""
    parted: bool = False
    """Markup of thinking was found and taken out of ``text``, which is not to be searched for it again."""
    truncated: bool = False
    """The answer was cut off at ``max_new_tokens``."""
    cut_prompt: bool = False
    """The endpoint counts far fewer tokens of the prompt than it was sent: most likely it read a part of it."""
    failure: Failure | None = None
    """Why there is no answer; ``text`` is then empty."""
    requests: int = 1
    """How often the endpoint was asked, retries included."""
    cost: float = 0.0
    """In the currency of the endpoint's price."""
    cached: bool = False
    """Answered from the record of an earlier call; counts are those of that call."""


class LLM(Protocol):
    """A model that continues prompts."""

    @property
    def name(self) -> str:
        """Model and revision, for records."""
        ...

    @property
    def supports(self) -> frozenset[Capability]:
        """What a method may ask of it; checked when the method is built."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """One completion a prompt, in the prompts' order, whatever order they were computed in.

        Args:
            prompts: What to continue.
            params: How.
            schema: What every answer must conform to; only where ``supports`` has ``schema``.
        """
        ...

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """float64 (n,): nats of each whole reference given its prompt (end-of-turn token included)."""
        ...
