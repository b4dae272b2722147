from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference import latent as bulk
from idiolect.difference.latent import all_differences
from idiolect.errors import InputError


def unit_vectors(n: int, dim: int, dtype: type, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(dtype)


def by_loops(vectors, users, items):
    """Eq. 4 as it stands in the paper."""
    vectors = vectors.astype(np.float64)
    diff, n_peers = np.zeros(vectors.shape), np.zeros(len(vectors), dtype=int)
    for row, own in enumerate(vectors):
        peers = (items == items[row]) & (users != users[row])
        n_peers[row] = peers.sum()
        if n_peers[row]:
            diff[row] = (own - vectors[peers]).mean(axis=0)
    return diff, n_peers


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=60),
    block=st.sampled_from([1, 24, 1 << 17]),
    threads=st.integers(1, 3),
)
def test_agrees_with_plain_loops_however_often_a_user_wrote_about_an_item(dtype, pairs, block, threads):
    users, items = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    vectors = unit_vectors(len(pairs), 5, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "BLOCK", block)
        found = all_differences(vectors, users, items, threads=threads)
    diff, n_peers = by_loops(vectors, users, items)
    assert found.diff.dtype == np.float32
    assert found.n_peers.tolist() == n_peers.tolist()
    np.testing.assert_allclose(found.diff, diff, atol=2e-6)


def test_all_peers_of_the_golden_corpus(golden, shared):
    folder = golden / "a4_dep_diff_digital_music"
    with gzip.open(shared / "data" / "digital_music" / "reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    users = np.unique([row["user_id"] for row in rows], return_inverse=True)[1]
    items = np.unique([row["item_id"] for row in rows], return_inverse=True)[1]
    found = all_differences(np.load(folder / "table.npz")["emb"], users, items)
    expected = np.load(folder / "eq4_full_table.npz")
    assert (found.n_peers == expected["n_peers"]).all()
    np.testing.assert_allclose(found.diff, expected["diff"], atol=1e-5)


def test_widening_is_exact_for_every_finite_float16():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(1, -1)
    widened = bulk._widened(finite, np.zeros(1, dtype=np.int64), 1.0)
    assert (widened == finite.astype(np.float32)).all()
    assert (np.signbit(widened) == np.signbit(finite)).all()


def test_a_popular_item_loses_no_precision():
    vectors = np.full((5000, 2), 0.0501, dtype=np.float16)
    vectors[0] = 0.3
    found = all_differences(vectors, np.arange(5000), np.zeros(5000, dtype=int))
    exact = np.float64(np.float16(0.3)) - np.float64(np.float16(0.0501))
    np.testing.assert_allclose(found.diff[0], exact, atol=1e-6)


@pytest.mark.parametrize("code", [np.int8, np.uint32, np.uint64])
def test_codes_may_be_any_integers(code):
    vectors, users, items = unit_vectors(4, 3, np.float16), np.array([2, 1, 2, 0]), np.array([1, 1, 1, 0])
    found = all_differences(vectors, users.astype(code), items.astype(code))
    np.testing.assert_array_equal(found.diff, all_differences(vectors, users, items).diff)
    assert found.n_peers.tolist() == [1, 2, 1, 0]


def test_who_wrote_everything_on_an_item_has_no_peers():
    found = all_differences(unit_vectors(3, 4, np.float16), np.array([7, 7, 7]), np.array([1, 1, 1]))
    assert not found.diff.any()
    assert found.n_peers.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (np.array([0, 1]), "do not go together"),
        (np.array([0, 1, -1]), "users are not codes"),
        (np.array([0, 1, 2**31]), "users are not codes"),
        (np.array(["a", "b", "c"]), "users are not codes"),
    ],
)
def test_input_that_makes_no_sense_is_refused(users, message):
    with pytest.raises(InputError, match=message):
        all_differences(np.zeros((3, 2), dtype=np.float16), users, np.array([0, 0, 1]))
