from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.sandbox.traits import Draw, WeightedChoice, stream

seeds = st.integers(0, 2**32)


def test_streams_differ_by_seed_and_path():
    firsts = {stream(seed, *path).random() for seed in (0, 1) for path in ((0,), (1,), (0, 0), (0, 1))}
    assert len(firsts) == 8


@given(seeds, st.integers(-5, 5), st.integers(0, 9))
def test_integers_stay_inside_their_bounds(seed, low, width):
    draw = Draw(stream(seed))
    assert all(low <= draw.integer(low, low + width) <= low + width for _ in range(50))


@given(seeds, st.lists(st.integers(), max_size=20))
def test_shuffling_keeps_every_element(seed, options):
    assert sorted(Draw(stream(seed)).shuffled(options)) == sorted(options)


def test_a_weighted_choice_follows_weights_and_probability():
    draw, menu = Draw(stream(1)), WeightedChoice(("a", "b", "c"), (0.6, 0.0, 0.2), choice_probability=0.5)
    served = [menu.choose(draw) for _ in range(20_000)]
    shares = np.array([served.count(name) for name in ("a", "b", "c", None)]) / len(served)
    assert shares == pytest.approx([0.3, 0.0, 0.1, 0.6], abs=0.02)


def test_a_weighted_choice_of_nothing_draws_nothing():
    assert WeightedChoice(("a",), (0.0,)).choose(Draw(stream(0))) is None
