from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.stylometry import Shrinkage


def test_variances_are_recovered() -> None:
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(2000), rng.integers(2, 7, size=2000))
    truth = rng.normal(size=(2000, 2)) * [2.0, 0.0]
    values = truth[users] + rng.normal(size=(len(users), 2)) * [1.0, 3.0]
    found = Shrinkage.of(values, users)
    np.testing.assert_allclose(found.within, [1, 9], rtol=0.06)
    np.testing.assert_allclose(found.between, [4, 0], rtol=0.1, atol=0.25)


def test_few_values_are_drawn_further_towards_zero_than_many() -> None:
    shrink = Shrinkage(within=np.array([4.0]), between=np.array([1.0]))
    drawn = shrink(np.ones((4, 1)), np.array([0, 1, 4, 1000]))[:, 0]
    assert drawn[:3].tolist() == [0, pytest.approx(0.2), pytest.approx(0.5)]
    assert drawn[3] == pytest.approx(1, abs=0.01)


def test_what_never_varies_stays_zero() -> None:
    shrink = Shrinkage.of(np.zeros((3, 1)), np.array([0, 0, 1]))
    assert not shrink(np.zeros((2, 1)), np.array([2, 1])).any()


def test_no_values_are_no_error() -> None:
    found = Shrinkage.of(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    assert not found(np.zeros((1, 2)), np.zeros(1, dtype=np.int64)).any()
