"""Drawing tokens with numbers of each prompt's own, so that nobody's text depends on who else is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from idiolect.llm.base import SamplingParams


class OwnDraws(LogitsProcessor):
    """Draws every row's next token itself and leaves only that one to choose.

    A row draws by the inverse of its cumulative distribution, from a stream of numbers that depends on the seed and on
    its prompt alone: neither the batch nor its size matter, up to the rounding of logits.

    Args:
        params: Temperature, above 0, nucleus and seed.
        prompts: int (n,), the token ids of each row's prompt.
    """

    def __init__(self, params: SamplingParams, prompts: Sequence[np.ndarray]) -> None:
        self._warpers = LogitsProcessorList([TemperatureLogitsWarper(params.temperature)])
        if params.top_p < 1:
            self._warpers.append(TopPLogitsWarper(params.top_p))
        self._rngs = [np.random.default_rng(_seed(params.seed, ids)) for ids in prompts]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Float (n, vocabulary): minus infinity but for the token that each row draws.

        Args:
            input_ids: int64 (n, t): what was drawn before.
            scores: float (n, vocabulary): logits.
        """
        below = self._warpers(input_ids, scores).double().softmax(-1).cumsum(-1)
        # In (0, 1]: at 0 a token of no probability would be drawn.
        levels = torch.tensor([[1 - rng.random()] for rng in self._rngs], device=scores.device, dtype=torch.float64)
        drawn = (below < levels * below[:, -1:]).sum(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


def _seed(seed: int, ids: np.ndarray) -> int:
    return int.from_bytes(blake2b(f"{seed}|".encode() + ids.astype(np.int64).tobytes(), digest_size=16).digest())
