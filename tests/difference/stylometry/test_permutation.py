from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.stylometry.permutation import benjamini_hochberg, min_p, permutation_test


def draw(rng: np.random.Generator, values: np.ndarray, draws: int = 2000):
    """``values`` (n_items, n_reviews, n_measures), the user's review first."""
    return permutation_test(values[:, 0], list(values[:, 1:]), rng, draws=draws)


@pytest.mark.parametrize("kind", ["normal", "rare marks", "wild"])
def test_a_random_member_of_the_crowd_is_rarely_found_different(kind):
    rng = np.random.default_rng(1)
    shape = (10, 12, 300)
    values = {
        "normal": rng.normal(size=shape),
        "rare marks": (rng.random(shape) < 0.04) * 1.0,
        "wild": rng.standard_cauchy(shape),
    }[kind]
    assert (draw(rng, values).p <= 0.05).mean() < 0.08


def test_one_who_never_does_what_few_do_is_not_different():
    rng = np.random.default_rng(2)
    values = (rng.random((12, 20, 1)) < 0.03) * 1.0
    values[:, 0] = 0
    differences = -values[:, 1:, 0].mean(axis=1)
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(12))
    assert t < -2.2  # Student's t would call it a difference
    assert draw(rng, values).p[0] > 0.3


def test_a_shift_is_found_with_its_size():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(12, 10, 3))
    values[:, 0, 0] += 3
    values[:, 0, 1] -= 3
    null = draw(rng, values)
    assert (null.p[:2] < 0.002).all()
    low, high = null.interval(0.95)
    assert low[0] < 3 < high[0]
    assert low[1] < -3 < high[1]
    assert (low < null.observed).all()
    assert (null.observed < high).all()


def test_an_interval_leaves_0_out_where_the_test_rejects():
    rng = np.random.default_rng(4)
    null = draw(rng, rng.normal(size=(8, 6, 400)) + np.linspace(0, 1.5, 400) * (np.arange(6) == 0)[:, None])
    low, high = null.interval(0.9)
    rejected, outside = null.p <= 0.1, (low > 0) | (high < 0)
    assert 40 < rejected.sum() < 360
    assert (rejected == outside).mean() > 0.99


def test_what_does_not_vary_is_never_different():
    null = draw(np.random.default_rng(5), np.full((5, 4, 2), 0.1))
    assert null.p.tolist() == [1, 1]


def test_no_items_say_nothing():
    null = permutation_test(np.zeros((0, 2)), [], np.random.default_rng(0), draws=1000)
    assert null.p.tolist() == [1, 1]


def test_few_items_with_few_peers_cannot_give_a_small_p_value():
    assert min_p([2, 2, 2]) == pytest.approx(0.25)
    assert min_p([10] * 4) == pytest.approx(2e-4)
    assert min_p([]) == 1


def test_the_correction_is_that_of_benjamini_and_hochberg():
    # Benjamini and Hochberg 1995, section 4: 15 hypotheses, of which four are rejected at 0.05.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    corrected = benjamini_hochberg(np.array(p))
    assert (corrected <= 0.05).sum() == 4
    assert corrected[0] == pytest.approx(0.0015)


@given(st.lists(st.floats(0, 1), max_size=30), st.randoms(use_true_random=False))
def test_correcting_keeps_order_and_never_lowers(p, random):
    values = np.array(p)
    corrected = benjamini_hochberg(values)
    assert (corrected >= values - 1e-12).all()
    assert (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(values)]) >= -1e-12).all()
    order = list(range(len(p)))
    random.shuffle(order)
    assert np.allclose(benjamini_hochberg(values[order]), corrected[order])
