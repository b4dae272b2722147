from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.stylometry.permutation import NullDistribution, find_significant, min_p, permutation_test


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


def test_what_is_observed_is_the_difference_to_the_mean_of_the_others():
    own, peers = np.array([[1.0], [4.0]]), [np.array([[0.0], [2.0]]), np.array([[1.0]])]
    null = permutation_test(own, peers, np.random.default_rng(0), draws=100)
    assert null.observed.tolist() == [(0 + 3) / 2]
    # Of the first item the other two differ by -1.5 and 1.5 from theirs, of the second by -3.
    assert {round(float(value), 4) for value in null.drawn[:, 0]} <= {
        (first + second) / 2 for first in (0, -1.5, 1.5) for second in (3, -3)
    }


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
    # One observed mean beyond every draw, one in the middle, and a measure that does not vary and does not count.
    drawn = np.tile(np.linspace(-1, 1, 999, dtype=np.float32)[:, None], (1, 3))
    null = NullDistribution(observed=np.array([2.0, 0.9, 2.0]), drawn=drawn)
    found = find_significant(null, np.array([1.0, 1.0, 0.0]), fdr_level=0.1)
    assert found.n_tested == 2
    assert found.p[[0, 2]].tolist() == [0.002, 1]
    assert found.corrected.tolist() == [0.004, found.p[1], 1]  # 2/1 of the smaller p, 2/2 of the larger


@pytest.mark.parametrize(("far", "n_found"), [((0.0, 0.1, 0.2), 0), ((2.0, 0.1, 0.2), 1), ((2.0, 2.0, 0.2), 2)])
def test_intervals_are_as_wide_as_benjamini_and_yekutieli_say(far, n_found):
    drawn = np.tile(np.linspace(-1, 1, 999, dtype=np.float32)[:, None], (1, 3))
    found = find_significant(NullDistribution(observed=np.array(far), drawn=drawn), np.ones(3), fdr_level=0.1)
    assert found.significant.sum() == n_found
    assert found.level == pytest.approx(1 - 0.1 * max(1, n_found) / 3)
