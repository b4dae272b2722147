"""The seam of language models: a list of prompts in, a list of completions of the same length and order out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.types import Prompt

Capability = Literal["soft", "likelihood", "schema", "seed"]


class SamplingParams(Config):
    """How tokens are drawn. The defaults are the DEP paper's (appendix C.2.3)."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_new_tokens: int = Field(default=512, gt=0)
    seed: int = 0
    """Of the sampling alone; nothing is seeded globally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer and what it took."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    kept_entries: tuple[int, ...] = ()
    """History entries that fitted the budget."""
    seconds: float = 0.0
    """Wall time of the batch divided by its size."""


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

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """One completion a prompt, in the prompts' order, whatever order they were computed in."""
        ...

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """float64 (n,): nats of each whole reference given its prompt (end-of-turn token included)."""
        ...
