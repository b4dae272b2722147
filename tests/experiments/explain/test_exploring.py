"""Marks, evidence and the map of users say what the measures say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import NAMES, measure
from idiolect.encoders import load_encoder
from idiolect.errors import ConfigError, NotFoundError
from idiolect.experiments.world import store_world
from idiolect.explain.evidence import evidence
from idiolect.explain.in_common import MIN_EFFECT, in_common, opposite
from idiolect.explain.likeness import likeness
from idiolect.explain.marking import SHOWN_BY, stretches
from idiolect.explain.people_map import people_map, strongest
from idiolect.explain.run import find_all_differences
from idiolect.sandbox.domain import WorldConfig
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("world") / "reviews.db")
    store_world(path, WorldConfig(seed=9, n_users=40, n_items=24, reviews_per_user=(12, 14)))
    with SqlStore(path) as opened:
        embed_missing(opened, load_encoder("style"))
        yield opened


TEXT = "Wow!! I don\u2019t  love THIS jam, really!\nGood:\n- ripe plums\nBuy it, you must. \u0130t costs 12."


def test_stretches_are_what_is_counted():
    found = {
        TEXT[one.start : one.end] for one in stretches(TEXT, ["contractions", "headings", "list_lines", "capitals"])
    }
    assert found == {"don\u2019t", "Good:", "- ripe plums", "THIS"}
    assert [TEXT[one.start : one.end] for one in stretches(TEXT, ["exclamations"])] == ["!", "!"]
    assert stretches(TEXT, ["length", "word_variety"]) == []
    assert set(SHOWN_BY) < set(NAMES)
    with pytest.raises(ConfigError, match="unknown measure"):
        stretches(TEXT, ["shoe-size"])


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.lists(st.sampled_from(NAMES), max_size=6))
def test_stretches_lie_within_any_text(text, names):
    for one in stretches(text, names):
        assert 0 <= one.start < one.end <= len(text)


def test_a_text_without_a_trait_shows_no_stretch_of_it():
    texts = ["It was fine. I had it with bread.", "So good! Buy it (now)! Really!", TEXT]
    values = measure(texts)
    for name in ("exclamations", "capitals", "asides", "questions", "quotations", "ellipses", "headings"):
        for text, value in zip(texts, values[:, NAMES.index(name)], strict=True):
            assert bool(stretches(text, [name])) == (value != 0), (name, text)


def test_evidence_counts_the_others(store):
    user = store.users()[0]
    found = evidence(store, user, "exclamations")
    assert found.items
    for one in found.items:
        others = store.reviews_of(one.review.item, exclude=user)
        assert one.above + one.below + one.equal == len(others)
        assert one.texts == ()
        assert one.own == measure([one.review.text])[0, NAMES.index("exclamations")]
    assert sum(found.histogram) == sum(one.above + one.below + one.equal for one in found.items)
    shown = evidence(store, user, "exclamations", texts=True)
    assert set(shown.items[0].texts) <= {one.text for one in store.reviews_of(shown.items[0].review.item, exclude=user)}


def test_the_map_has_everybody_once_and_the_nearest_are_the_most_similar(store):
    found = people_map(store)
    assert list(found.users) == store.users()
    assert found.points.shape == (40, 2)
    assert np.isfinite(found.effects).all()
    assert np.abs(found.effects).max() <= 4  # one heading where nobody writes any is no hundred standard deviations
    assert 0 < found.explained[1] <= found.explained[0] <= 1
    assert all(re.fullmatch("more|less", way) for _, way in strongest(found.loadings[0]))
    user = found.users[3]
    nearest = found.nearest(user, 39)
    assert len({one.user for one in nearest} | {user}) == 40
    similar = [one.similarity for one in nearest]
    assert similar == sorted(similar, reverse=True)
    of = found.effects / np.linalg.norm(found.effects, axis=1, keepdims=True)
    assert np.isclose(similar[0], np.delete(of @ of[3], 3).max(), atol=1e-5)


def test_what_two_have_in_common_is_seen_in_both_and_claimed_of_one(store):
    everybody = list(find_all_differences(store, store.users()[:12]))
    pairs = [(own, other) for own in everybody for other in everybody if own is not other]
    assert any(in_common(*pair) for pair in pairs)
    assert any(opposite(*pair) for pair in pairs)
    for own, other in pairs:
        for found, same in [(in_common(own, other, 99), True), (opposite(own, other, 99), False)]:
            for one in found:
                place = NAMES.index(one.measure.name)
                assert (one.own, one.other) == (own.effect[place], other.effect[place])
                assert (one.own * one.other > 0) is same
                assert min(abs(one.own), abs(one.other)) >= MIN_EFFECT
                assert one.own_claimed or one.other_claimed
                assert one.own_claimed == own.claimed[place]


def test_who_opted_out_is_not_on_the_map(store):
    user = store.users()[5]
    store.set_peer(user, False)
    found = people_map(store)
    store.set_peer(user, True)
    assert user not in found.users
    with pytest.raises(NotFoundError):
        found.nearest(user, 3)


def test_users_and_items_are_found_by_a_part_of_their_name(store):
    users = store.users()
    assert store.find_users(users[7].upper())[0][0] == users[7]
    assert len(store.find_users("", limit=5)) == 5
    pages = [store.find_users("", limit=5, offset=start) for start in range(0, len(users), 5)]
    assert [user for page in pages for user, _ in page] == [user for user, _ in store.find_users("", limit=len(users))]
    assert store.find_users("%") == []
    item = store.find_items(limit=1)[0]
    assert store.find_items(limit=2)[1:] == store.find_items(limit=1, offset=1)
    assert store.find_items(item.title.lower())[0].title == item.title
    assert store.find_items("_____none") == []


def test_likeness_has_degrees_and_puts_users_above_others(store):
    """Of own texts and others' on the same items, few are at an end of the scale, and the two have their places."""
    own, others, wide = [], [], []
    for user in store.users()[:8]:
        review = store.profile(user)[0]
        texts = [review.text, *(one.text for one in store.reviews_of(review.item, exclude=user)[:2])]
        found = [likeness(store, user, text) for text in texts]
        if found[0].likeness is None:
            continue
        own.append(found[0].likeness)
        others += [one.likeness for one in found[1:]]
        wide += [one.high - one.low for one in found]
        for one in found:
            assert 0 <= one.low <= one.likeness <= one.high <= 1
            assert one.likeness == pytest.approx((one.above_others + one.above_own) / 2)
            assert one.floor < one.ceiling
    assert len(own) >= 4
    assert np.mean(own) > np.mean(others) + 0.2
    assert np.mean([0.02 < one < 0.98 for one in own + others]) > 0.8
    assert max(wide) < 0.6


def test_a_measure_that_does_not_count_is_in_neither_the_score_nor_its_words(store):
    user, text = store.users()[0], "Wow!!! I LOVE it!!! Is it not great?? You must buy it!!!"
    found = likeness(store, user, text)
    unlike = [one.measure for one in found.departures]
    without = likeness(store, user, text, without=unlike)
    assert unlike
    assert not {*unlike} & {one.measure for one in without.departures}
    assert without.separation != found.separation


def test_a_text_of_the_users_own_is_not_compared_with_itself(store):
    user = store.users()[0]
    review = store.profile(user)[-1]
    assert likeness(store, user, review.text).n_own == likeness(store, user, f"{review.text} Good.").n_own - 1
