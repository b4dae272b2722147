"""Representatives: the authors' k-means choices, and what happens where there is little to choose from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import ConfigError
from idiolect.peers import SELECTORS, at_random, farthest, nearest_to_centres


def test_kmeans_chooses_what_the_authors_program_chooses(golden: Path):
    cases = json.loads((golden / "a3_kmeans" / "expected.json").read_text())["cases"]
    with np.load(golden / "a3_kmeans" / "inputs.npz") as inputs:
        chosen = nearest_to_centres([inputs[c["case"]] for c in cases], 4)
        found = {c["case"]: places for c, places in zip(cases, chosen, strict=True)}
        enough = [c for c in cases if "chosen" in c]
        assert len(enough) == 29
        assert {c["case"]: found[c["case"]] for c in enough} == {c["case"]: c["chosen"] for c in enough}
        for case in cases:
            if "error" in case:
                assert found[case["case"]] == list(range(case["n_texts_including_target"] - 1))


def test_farthest_are_the_least_similar_by_cosine_whatever_their_length():
    target = np.array([1.0, 0.0])
    peers = np.array([[5.0, 0.0], [0.0, 2.0], [-0.1, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert farthest([np.vstack([target, peers])], 2) == [[2, 1]]
    assert farthest([np.vstack([np.zeros(2), peers])], 3) == [[0, 1, 2]]


def test_a_random_choice_depends_on_the_seed_alone():
    groups = [np.zeros((40, 3)), np.ones((40, 3))]
    first, second = at_random(groups, 4, seed=1)
    assert first == second
    assert at_random(groups[:1], 4, seed=2) != [first]


@pytest.mark.parametrize("name", ["kmeans", "random", "farthest"])
@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(0, 9), max_size=5), k=st.integers(1, 4), seed=st.integers(0, 3))
def test_every_selector_gives_at_most_k_different_peers(name: str, sizes: list[int], k: int, seed: int):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(size=(n + 1, 3)).astype(np.float32) for n in sizes]
    for n, chosen in zip(sizes, SELECTORS.get(name)(groups, k, seed=seed), strict=True):
        assert len(set(chosen)) == len(chosen) <= min(n, k)
        assert set(chosen) <= set(range(n))
        assert len(chosen) == n or n > k or (name == "kmeans" and n == k)


@pytest.mark.parametrize("name", ["kmeans", "random", "farthest"])
def test_a_group_is_chosen_from_alike_whatever_groups_are_next_to_it(name: str):
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(n, 5)).astype(np.float32) for n in (9, 3, 9, 12, 1, 9)]
    select = SELECTORS.get(name)
    assert select(groups, 4) == [chosen for group in groups for chosen in select([group], 4)]


def test_copies_of_the_users_own_text_are_no_representatives():
    own = np.ones(3)
    assert nearest_to_centres([np.stack([own, own, own * 2, own, own * 2])], 4) == [[1]]


def test_an_unknown_selector_is_named_with_what_there_is():
    with pytest.raises(ConfigError, match="kmeans"):
        SELECTORS.get("kmean")
