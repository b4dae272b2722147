from __future__ import annotations

import numpy as np
import pytest
import torch

from idiolect.llm.base import SamplingParams
from idiolect.llm.sampling import OwnDraws

LOGITS = torch.tensor([0.5, 2.0, -1.0, 1.0, -torch.inf])


def drawn(n: int, **changes: object) -> np.ndarray:
    """What ``n`` rows of the same logits draw, each for a prompt of its own."""
    params = SamplingParams.model_validate({"temperature": 1.0, "top_p": 1.0, **changes})
    draws = OwnDraws(params, [np.array([k]) for k in range(n)])
    scores = draws(torch.zeros(n, 0, dtype=torch.long), LOGITS.repeat(n, 1))
    assert ((scores == 0).sum(-1) == 1).all()
    assert (scores.isinf().sum(-1) == 4).all()
    return scores.argmax(-1).numpy()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature):
    shares = np.bincount(drawn(20_000, temperature=temperature), minlength=5) / 20_000
    likely = (LOGITS / temperature).softmax(-1).numpy()
    np.testing.assert_allclose(shares, likely, atol=4 * np.sqrt(0.25 / 20_000))
    assert shares[4] == 0


def test_nothing_outside_the_nucleus_is_drawn():
    assert set(drawn(2000, top_p=0.7)) == {1, 3}
    assert set(drawn(2000, top_p=0.01)) == {1}


def test_another_seed_draws_otherwise():
    assert (drawn(200, seed=1) == drawn(200, seed=1)).all()
    assert (drawn(200, seed=1) != drawn(200, seed=2)).any()
