"""Sampling with one random stream per prompt, so that a text does not depend on the other prompts of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from idiolect.llm.base import SamplingParams

GREEDY = 1e-4
"""Below this temperature sampling is practically greedy, and division by it overflows."""


class OwnDraws(LogitsProcessor):
    """A logits processor that draws each row's next token and masks all others.

    A row is drawn by inverting its cumulative distribution, with random numbers that depend on the seed and its prompt
    only, so that the batch does not matter, up to rounding of logits.

    Args:
        params: Temperature, above 0, nucleus and seed.
        prompts: n arrays of int: the token ids of each row's prompt.
    """

    def __init__(self, params: SamplingParams, prompts: Sequence[np.ndarray]) -> None:
        self._warpers = LogitsProcessorList([TemperatureLogitsWarper(params.temperature)])
        if params.top_p < 1:
            self._warpers.append(TopPLogitsWarper(params.top_p))
        self._rngs = [np.random.default_rng(_seed(params.seed, ids)) for ids in prompts]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Float (n, vocabulary): minus infinity except for the token that each row draws.

        Args:
            input_ids: int64 (n, t): the tokens so far.
            scores: float (n, vocabulary): logits.
        """
        return torch.full_like(scores, -torch.inf).scatter_(1, self.draw(scores)[:, None], 0.0)

    def draw(self, scores: torch.Tensor) -> torch.Tensor:
        """int64 (n,): the token that each row draws.

        Args:
            scores: float (n, vocabulary): logits.
        """
        # Temperature and nucleus do not look at the tokens so far.
        below = self._warpers(None, scores).double().softmax(-1).cumsum(-1)  # type: ignore[arg-type]
        # In (0, 1]: at 0 a token of probability 0 could be drawn.
        levels = torch.tensor([[1 - rng.random()] for rng in self._rngs], device=scores.device, dtype=torch.float64)
        return (below < levels * below[:, -1:]).sum(-1)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._rngs = [self._rngs[place] for place in places]


def _seed(seed: int, ids: np.ndarray) -> int:
    return int.from_bytes(blake2b(f"{seed}|".encode() + ids.astype(np.int64).tobytes(), digest_size=16).digest())


def likeliest(scores: torch.Tensor) -> torch.Tensor:
    """int64 (n,): the most likely token of each row of logits (n, vocabulary)."""
    return scores.argmax(-1)
