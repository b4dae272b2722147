from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import effect_sizes, item_pairs, within_item_sd
from idiolect.errors import InputError


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=25), st.integers(1, 3))
def test_pairs_are_own_means_minus_the_means_of_the_others(rows: list[tuple[int, int]], min_peers: int) -> None:
    users, items = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    values = np.random.default_rng(0).normal(size=(len(rows), 2))
    pairs = item_pairs(values, users, items, min_peers=min_peers)
    expected = []
    for user, item in sorted(set(rows)):
        own, others = (users == user) & (items == item), (users != user) & (items == item)
        if len(set(users[others])) >= min_peers:
            expected.append((user, item, others.sum(), *(values[own].mean(0) - values[others].mean(0))))
    found = zip(pairs.users, pairs.items, pairs.n_peers, *pairs.difference.T, strict=True)
    np.testing.assert_allclose(np.array(list(found)).reshape(-1, 5), np.array(expected).reshape(-1, 5), atol=1e-12)


def test_the_spread_of_normal_values_is_their_standard_deviation_within_items() -> None:
    rng = np.random.default_rng(1)
    items = np.repeat(np.arange(4000), 3)
    values = 10 * rng.normal(size=(4000, 1))[items] + rng.normal(size=(12_000, 1)) * [1.0, 3.0]
    np.testing.assert_allclose(within_item_sd(values, items), [1.0, 3.0], rtol=0.03)


def test_items_with_one_review_say_nothing_of_the_spread() -> None:
    assert within_item_sd(np.array([[1.0], [5.0]]), np.array([0, 1])) == 0
    assert within_item_sd(np.empty((0, 1)), np.empty(0, dtype=np.int64)) == 0


def test_what_does_not_vary_has_no_effect() -> None:
    np.testing.assert_array_equal(effect_sizes(np.array([[2.0, 0.0]]), np.array([4.0, 0.0])), [[0.5, 0.0]])


def test_codes_are_checked() -> None:
    one = np.zeros(1, dtype=np.int64)
    with pytest.raises(InputError, match="go together"):
        item_pairs(np.zeros((2, 1)), one, one)
    with pytest.raises(InputError, match="items are not codes"):
        item_pairs(np.zeros((1, 1)), one, one - 1)
