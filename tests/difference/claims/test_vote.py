"""The vote over a user's comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import KEYS, by_pair
from idiolect.difference.claims.vote import differences, tally, vote

MORE, FEWER = "more", "fewer"


def claim(comparison: int, direction: str, attribute: str = "writing/exclamations", **changes: str) -> Feature:
    return Feature(name="n", attribute=attribute, direction=direction, comparison=f"r{comparison}", **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("more", "fewer", "min_support", "wins"),
    [
        (2, 0, 2, MORE),
        (1, 0, 2, None),
        (2, 1, 2, MORE),
        (1, 2, 2, FEWER),
        (2, 2, 2, None),
        (3, 2, 2, None),
        (4, 2, 2, MORE),
        (1, 1, 1, None),
        (1, 0, 1, MORE),
        (3, 1, 3, MORE),
        (2, 0, 3, None),
    ],
)
def test_a_direction_wins_by_a_lead_or_with_hardly_any_opposition(
    more: int, fewer: int, min_support: int, wins: str | None
):
    features = [claim(k, MORE) for k in range(more)] + [claim(more + k, FEWER) for k in range(fewer)]
    voted = vote(features, min_support=min_support)
    assert {one.direction for one in voted if one.valid} == ({wins} if wins else set())
    assert {one.support for one in voted if one.direction == MORE} <= {more}


def test_losers_get_the_reason():
    features = [claim(0, MORE), claim(1, MORE), claim(2, FEWER), claim(3, "richer", "writing/vocabulary")]
    assert [one.reason for one in vote(features)] == [None, None, "outvoted", "unsupported"]


def test_a_comparison_that_says_both_counts_for_neither():
    assert not any(one.valid for one in vote([claim(0, MORE), claim(1, MORE), claim(1, FEWER)]))


def test_three_tones_exclude_each_other():
    tones = ["positive", "positive", "negative", "neutral"]
    features = [claim(k, tone, "emotion/tone") for k, tone in enumerate(tones)]
    assert not any(one.valid for one in vote(features))
    assert {one.direction for one in vote(features[:3]) if one.valid} == {"positive"}


def test_what_was_dropped_does_not_vote_and_the_unmapped_is_not_judged():
    features = [claim(0, MORE), claim(1, MORE, status="dropped", reason="unclear")]
    assert [one.reason for one in vote(features)] == ["unsupported", "unclear"]
    jokes = [Feature(name="Humour", comparison="r0"), Feature(name="humour ", comparison="r1")]
    assert [(one.valid, one.support) for one in vote(jokes)] == [(True, 2), (True, 2)]


def test_differences_are_ranked_by_lead_then_by_confirmation():
    features = [claim(k, MORE, status="kept" if k else "unconfirmed") for k in range(3)]
    features += [claim(k, "richer", "writing/vocabulary") for k in range(3)]
    features += [claim(k, "lower", "emotion/intensity") for k in range(4)] + [claim(5, FEWER)]
    found = differences(features)
    assert [(one.key.attribute, one.support, one.opposition, one.confirmed) for one in found] == [
        ("emotion/intensity", 4, 0, 0),
        ("writing/vocabulary", 3, 0, 0),
        ("writing/exclamations", 3, 1, 2),
    ]
    assert found[2].features == tuple(features[:3])
    assert differences([]) == []


claimed = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KEYS[:12])), max_size=25)


@settings(deadline=None, max_examples=40)
@given(claimed, st.integers(1, 4))
def test_no_two_winners_exclude_each_other_and_a_second_vote_changes_nothing(drawn, min_support):
    features = [claim(c, key.direction, key.attribute) for c, key in drawn]
    voted = vote(features, min_support=min_support)
    winners = {one.key for one in voted if one.valid and one.key}
    assert not any(a.excludes(b) for a in winners for b in winners)
    assert {one.key for one in differences(features, min_support=min_support)} == winners
    assert vote(voted, min_support=min_support) == voted


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99))
def test_users_are_tallied_apart(seed: int):
    rng = np.random.default_rng(seed)
    cells, users = rng.random((12, len(KEYS))) < 0.1, rng.integers(3, size=12)
    together = tally(cells, users, 3)
    for user in range(3):
        own = cells[users == user]
        alone = tally(own, np.zeros(len(own), dtype=int), 1)
        assert all(np.array_equal(a[user], b[0]) for a, b in zip(together, alone, strict=True))


def test_a_key_is_where_it_stands_in_the_table():
    cells = np.zeros((2, len(KEYS)), dtype=bool)
    place = KEYS.index(by_pair("pragmatics/quotes", "fewer"))  # pyright: ignore[reportArgumentType]
    cells[:, place] = True
    assert np.flatnonzero(tally(cells, np.array([0, 0]), 1).accepted[0]).tolist() == [place]
