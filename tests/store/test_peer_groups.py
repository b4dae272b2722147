"""A snapshot's groups against a plain sum, over more rows than one step of the running sums."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from idiolect.store import snapshot as groups
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review


@pytest.fixture
def both(store, tmp_path, monkeypatch):
    """The store of 300 reviews with categories, and a snapshot that hides nothing; steps are of seven rows."""
    monkeypatch.setattr(groups, "_STEP", 7)
    store.add([Item(id=f"i{k}", category=f"c{k % 3}") for k in range(12)], [])
    store.set_peer("u3", False)
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    return store, build_snapshot(store, members, phase="test", encoder="e", folder=tmp_path / "snapshot")


@pytest.mark.parametrize("at_least", [1, 5, 15, 18, 19])
@pytest.mark.parametrize("before", [None, 0, 1, 40, 77, 1000])
def test_a_snapshot_answers_as_the_store_to_the_bit(both, before, at_least):
    groups, items = ["c0", "c1", "c2", None, "c9", ""], [f"i{k}" for k in range(17)]
    for user in ("u1", "u3", "nobody"):
        asked = {"exclude": user, "encoder": "e", "before": before, "at_least": at_least}
        for live, frozen in (
            [one.peer_group_sums(groups, **asked) for one in both],
            [one.peer_sums(items, **asked) for one in both],
        ):
            np.testing.assert_array_equal(live.sums, frozen.sums)
            np.testing.assert_array_equal(live.counts, frozen.counts)


def test_whom_others_may_be_compared_with_is_listed(both):
    live, frozen = both
    assert live.peers() == frozen.peers() == [f"u{k}" for k in sorted(map(str, range(20))) if k != "3"]


@pytest.mark.parametrize("user", ["u1", "u5"])
def test_both_agree_at_the_times_of_ones_own_reviews_and_for_any_number_of_users(both, user):
    live, own = both[0], both[0].profile(user)
    items = sorted({review.item for review in own})
    assert len(items) < len(own), "some item was reviewed twice"
    for before in {review.timestamp for review in own}:
        sums = [one.peer_group_sums(["c0", "c1", None], exclude=user, encoder="e", before=before) for one in both]
        np.testing.assert_array_equal(sums[0].sums, sums[1].sums)
        np.testing.assert_array_equal(sums[0].counts, sums[1].counts)
    for at_least in range(2, 20):
        counts = [one.peer_sums(items, exclude=user, encoder="e", at_least=at_least).counts for one in both]
        np.testing.assert_array_equal(*counts)
        known = {item: {review.user for review in live.reviews_of(item, exclude=user)} for item in items}
        assert (counts[0] > 0).tolist() == [len(known[item]) >= at_least for item in items]


def test_one_who_wrote_as_often_as_users_are_needed_is_still_one(tmp_path, vectors):
    """For every number and kind of group, on the store, on a snapshot, and before a time."""
    rows = [Review(id=f"b{k}", user="b", item="i", text="words", timestamp=k, order=k) for k in range(3)]
    with SqlStore(tmp_path / "s.db") as store:
        store.add([Item(id="i", category="c")], [*rows, Review(id="a", user="a", item="i", text="words", timestamp=9)])
        store.add_vectors(["b0", "b1", "b2", "a"], vectors(4), encoder="e")
        members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
        frozen = build_snapshot(store, members, phase="test", encoder="e", folder=tmp_path / "snapshot")
        for reader in (store, frozen):
            for at_least, before in itertools.product((1, 2, 3), (None, 2, 9)):
                asked = {"exclude": "a", "encoder": "e", "before": before, "at_least": at_least}
                wanted = 0 if at_least > 1 else 2 if before == 2 else 3
                assert reader.peer_sums(["i"], **asked).counts.tolist() == [wanted]
                assert reader.peer_group_sums(["c", None], **asked).counts.tolist() == [wanted] * 2
