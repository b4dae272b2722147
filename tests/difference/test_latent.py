from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from idiolect.difference.latent import peer_mean_difference, weighted_difference

numbers = st.floats(-1, 1, width=16)


def test_the_difference_is_to_the_mean_of_the_peers():
    own = np.array([[1.0, 0.0], [0.5, 0.5]])
    found = peer_mean_difference(own, np.array([[1.0, 1.0], [3.0, 0.0]]), np.array([2, 3]))
    assert found.diff.tolist() == [[0.5, -0.5], [-0.5, 0.5]]
    assert found.diff.dtype == np.float32
    assert found.n_peers.tolist() == [2, 3]


def test_too_few_peers_give_a_zero_row_and_still_their_number():
    found = peer_mean_difference(np.ones((3, 2)), np.zeros((3, 2)), np.array([0, 1, 2]), min_peers=2)
    assert found.diff.any(axis=1).tolist() == [False, False, True]
    assert found.n_peers.tolist() == [0, 1, 2]


def test_nobody_to_compare_with_is_no_difference_however_few_are_enough():
    found = peer_mean_difference(np.ones((2, 3)), np.zeros((2, 3)), np.array([0, 1]), min_peers=0)
    assert found.diff.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_no_reviews_give_no_rows():
    assert peer_mean_difference(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, dtype=int)).diff.shape == (0, 4)


@settings(deadline=None)
@given(peers=hnp.arrays(np.float16, st.tuples(st.integers(1, 9), st.just(3)), elements=numbers))
def test_equal_distances_weigh_as_the_plain_mean(peers):
    own = np.array([0.5, -0.5, 0.0])
    plain = peer_mean_difference(own[None], peers.sum(axis=0, dtype=np.float64)[None], np.array([len(peers)])).diff[0]
    for distances in (np.zeros(len(peers)), np.full(len(peers), 0.7)):
        np.testing.assert_allclose(weighted_difference(own, peers, distances), plain, atol=1e-6)


@settings(deadline=None)
@given(
    peers=hnp.arrays(np.float32, (6, 3), elements=st.floats(-1, 1, width=32)),
    distances=hnp.arrays(np.float64, 6, elements=st.floats(0, 2)),
)
def test_a_weighted_difference_stays_within_the_peers(peers, distances):
    found = weighted_difference(np.zeros(3), peers, distances)
    assert (found <= -peers.min(axis=0) + 1e-6).all()
    assert (found >= -peers.max(axis=0) - 1e-6).all()


def test_the_more_distant_peer_weighs_more():
    peers = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert weighted_difference(np.zeros(2), peers, np.array([1.0, 3.0])).argmin() == 1


@pytest.fixture(scope="module")
def authors(golden, shared):
    """The authors' program on digital_music: vectors by (user, item), each user's mean, and the expected rows."""
    folder = golden / "a4_dep_diff_digital_music"
    table = np.load(folder / "table.npz")["emb"].astype(np.float64)
    with gzip.open(shared / "data" / "digital_music" / "reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    by_pair = {(row["user_id"], row["item_id"]): vector for row, vector in zip(rows, table, strict=True)}
    users = json.loads((golden / "a1_split_digital_music_desc_off" / "expected.json").read_text())["users"]
    means = {
        user: np.mean([by_pair[user, item] for item in split["profile"] + split["train"]], axis=0)
        for user, split in users.items()
    }
    slots = json.loads((folder / "authors_slots.json").read_text())
    return by_pair, means, slots, np.load(folder / "authors_vectors.npz")


@pytest.mark.parametrize("phase", ["test", "train"])
def test_both_weightings_give_the_authors_numbers(authors, phase):
    by_pair, means, slots, expected = authors
    found = {"weighted": [], "plain_same_own_and_pool": [], "plain_corrected_own": []}
    for user, slot in [(sample["user_id"], slot) for sample in slots[phase] for slot in sample["slots"]]:
        item, peer_ids = slot["peers_of_asin"], slot["peer_user_ids"]
        peers = np.array([by_pair[peer, item] for peer in peer_ids])
        distances = np.array([np.linalg.norm(means[user] - means[peer]) for peer in peer_ids])
        # Where the authors' program mixes reviews up, its own vector is another review's; the last kind corrects that.
        theirs, ours = by_pair[user, slot["embedding_of_asin"]], by_pair[user, item]
        found["weighted"].append(weighted_difference(theirs, peers, distances))
        sums, counts = np.tile(peers.sum(axis=0), (2, 1)), np.full(2, len(peers))
        plain, corrected = peer_mean_difference(np.stack([theirs, ours]), sums, counts).diff
        found["plain_same_own_and_pool"].append(plain)
        found["plain_corrected_own"].append(corrected)
    for kind, rows in found.items():
        np.testing.assert_allclose(rows, expected[f"{phase}_diff_{kind}"], atol=2e-5 if kind == "weighted" else 1e-5)
