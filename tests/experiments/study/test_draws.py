from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.latent import all_differences
from idiolect.errors import InputError
from idiolect.experiments.study.arrays import draw_anchors, sampled_differences, shuffled_pools

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=40)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 5), st.integers(0, 99), st.data())
def test_anchors_are_different_eligible_reviews_of_every_user_who_has_enough(pairs, n, seed, data):
    users = np.array(pairs)[:, 0]
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=len(users), max_size=len(users))))
    drawn = draw_anchors(users, eligible, n, n_draws=3, rng=rng(seed))
    assert drawn.users.tolist() == [u for u in range(6) if (eligible & (users == u)).sum() >= n]
    assert drawn.rows.shape == (3, len(drawn.users), n)
    assert eligible[drawn.rows].all()
    assert (users[drawn.rows] == drawn.users[:, None]).all()
    assert all(len(set(row)) == n for row in drawn.rows.reshape(-1, n).tolist())


def test_every_review_of_a_user_is_as_likely_an_anchor():
    users = np.array([1, 0, 1, 1, 0, 1, 0])
    rows = draw_anchors(users, np.ones(7, dtype=bool), 1, n_draws=3000, rng=rng()).rows
    shares = np.bincount(rows[:, 1, 0], minlength=7) / 3000
    np.testing.assert_allclose(shares[users == 1], 0.25, atol=0.04)


@settings(deadline=None)
@given(PAIRS, st.integers(0, 99))
def test_all_peers_sampled_are_all_peers(pairs, seed):
    users, items = np.array(pairs).T
    vectors = rng(seed).uniform(-1, 1, (len(users), 3)).astype(np.float16)
    found, expected = (
        sampled_differences(vectors, users, items, rng=rng(seed)),
        all_differences(vectors, users, items, threads=1),
    )
    assert found.n_peers.tolist() == expected.n_peers.tolist()
    np.testing.assert_allclose(found.diff, expected.diff, atol=1e-5)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 6), st.integers(0, 99), st.data())
def test_a_sample_is_of_different_reviews_of_the_pool_by_others(pairs, k, seed, data):
    users, items = np.array(pairs).T
    pools = np.array(data.draw(st.lists(st.sampled_from(items.tolist()), min_size=len(items), max_size=len(items))))
    own = np.eye(len(users))
    found = sampled_differences(own, users, items, pools=pools, k=k, rng=rng(seed))
    peers = (own - found.diff) * np.maximum(found.n_peers, 1)[:, None]  # one-hot vectors: who the peers were
    for row in range(len(users)):
        may = (items == pools[row]) & (users != users[row])
        assert found.n_peers[row] == min(k, may.sum())
        if found.n_peers[row]:
            assert set(np.round(peers[row], 5)) <= {0.0, 1.0}
            assert peers[row].sum() == pytest.approx(found.n_peers[row])
            assert not (peers[row] > 0.5)[~may].any()
        else:
            assert not found.diff[row].any()


def test_every_other_review_is_as_likely_a_peer():
    users, items, own = np.arange(6), np.zeros(6, dtype=int), np.eye(6)
    source = rng()
    total = sum((own - sampled_differences(own, users, items, k=2, rng=source).diff) * 2 for _ in range(3000)) / 3000
    np.testing.assert_allclose(total, 0.4 * (1 - own), atol=0.05)


@settings(deadline=None)
@given(PAIRS, st.integers(0, 99))
def test_shuffled_pools_are_other_reviewed_items_of_the_category(pairs, seed):
    items, categories = np.array(pairs)[:, 1], np.array([1, 0, 1, 0, 1])
    if min(np.bincount(categories[np.unique(items)], minlength=2)[np.unique(categories[items])]) < 2:
        with pytest.raises(InputError, match="one reviewed item"):
            shuffled_pools(items, categories, rng=rng(seed))
        return
    pools = shuffled_pools(items, categories, rng=rng(seed))
    assert (pools != items).all()
    assert (categories[pools] == categories[items]).all()
    assert set(pools.tolist()) <= set(items.tolist())


def test_every_other_item_of_the_category_is_as_likely():
    items = np.repeat([4, 0, 2, 3], 2000)
    pools = shuffled_pools(items, np.array([0, 1, 0, 0, 0]), rng=rng())
    shares = np.bincount(pools[items == 4], minlength=5) / 2000
    np.testing.assert_allclose(shares, [1 / 3, 0, 1 / 3, 1 / 3, 0], atol=0.05)
