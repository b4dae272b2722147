"""What every ``ReviewReader`` must answer, on a corpus small enough to know the answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from idiolect.errors import ConfigError, NotFoundError
from idiolect.peers import InMemoryReviews
from idiolect.store.base import ReviewReader
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import UNDATED, Item, Moment, Review

ENCODER = "four"

ITEMS = [
    Item(id="tea", title="Green tea", description="Loose leaves.", category="Food"),
    Item(id="cup", title="A cup", category="Kitchen"),
    Item(id="unsold", title="Nobody wrote about it"),
]

# "pot" has no record; bob wrote twice about the tea; cid's last review has no timestamp.
REVIEWS = [
    Review(id="a2", user="ann", item="cup", text="Chipped.", rating=2.0, timestamp=300, order=1),
    Review(id="a1", user="ann", item="tea", text="Mild.", rating=4.5, title="ok", timestamp=100, order=0),
    Review(id="a3", user="ann", item="pot", text="", timestamp=300, order=2),
    Review(id="b1", user="bob", item="tea", text="Bitter!", timestamp=50, order=3),
    Review(id="b2", user="bob", item="tea", text="Less bitter.", timestamp=400, order=4),
    Review(id="c1", user="cid", item="tea", text="Thé vert ☕", timestamp=100, order=9),
    Review(id="c2", user="cid", item="cup", text="Fine cup.", order=1),
]

VECTORS = {
    "a1": [0.5, 0.0, 0.25, -1.0],
    "a2": [1.0, 0.0, 0.0, 0.0],
    "a3": [0.0, 0.0, 0.0, 1.0],
    "b1": [0.0, 0.5, 0.5, 0.0],
    "b2": [-0.5, 0.5, 0.0, 2.0**-24],
    "c1": [0.125, 0.0, 0.0, 1.0],
    "c2": [0.0, 0.0, 1.0, 0.0],
}


def live(folder: Path, reviews: list[Review]) -> ReviewReader:
    store = SqlStore(folder / "store.db")
    store.add(ITEMS, reviews)
    ids = [review.id for review in reviews]
    store.add_vectors(ids, np.array([VECTORS[id] for id in ids]), encoder=ENCODER)
    return store


def snapshot(folder: Path, reviews: list[Review]) -> ReviewReader:
    """Of a phase that hides nothing, so that it must answer as the live store does."""
    store = live(folder, reviews)
    assert isinstance(store, SqlStore)
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    with store:
        return build_snapshot(store, members, phase="test", encoder=ENCODER, folder=folder / "snapshot")


def lists(folder: Path, reviews: list[Review]) -> ReviewReader:
    vectors = {review: np.array(vector) for review, vector in VECTORS.items()}
    return InMemoryReviews(ITEMS, reviews, vectors, encoder=ENCODER)


@pytest.fixture(params=[live, snapshot, lists], ids=lambda make: make.__name__)
def make(request):
    return request.param


@pytest.fixture
def reader(make, tmp_path):
    reader = make(tmp_path, REVIEWS)
    yield reader
    if isinstance(reader, SqlStore):
        reader.close()


@pytest.fixture
def undated(make, tmp_path):
    plain = [Review(id=r.id, user=r.user, item=r.item, text=r.text, order=r.order) for r in REVIEWS]
    reader = make(tmp_path, plain)
    yield reader
    if isinstance(reader, SqlStore):
        reader.close()


def ids(reviews):
    return [review.id for review in reviews]


class TestReviewReader:
    def test_a_profile_is_in_time_order_with_ties_by_order(self, reader):
        assert ids(reader.profile("ann")) == ["a1", "a2", "a3"]

    def test_no_timestamp_counts_as_the_beginning_of_the_own_history(self, reader):
        assert ids(reader.profile("cid")) == ["c2", "c1"]

    def test_reviews_come_back_as_they_were_added(self, reader):
        assert {r.id: r for user in ("ann", "bob", "cid") for r in reader.profile(user)} == {r.id: r for r in REVIEWS}

    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            (Moment(100, 0), []),
            (Moment(100, 1), ["a1"]),
            (Moment(300, 1), ["a1"]),
            (Moment(300, 2), ["a1", "a2"]),
            (Moment(999, 0), ["a1", "a2", "a3"]),
        ],
    )
    def test_a_profile_ends_strictly_before_a_moment(self, reader, before, expected):
        assert ids(reader.profile("ann", before=before)) == expected

    def test_an_unknown_user_has_an_empty_profile(self, reader):
        assert reader.profile("nobody") == []

    def test_peers_are_the_others_oldest_first(self, reader):
        assert ids(reader.reviews_of("tea", exclude="ann")) == ["b1", "c1", "b2"]
        assert ids(reader.reviews_of("tea", exclude="bob")) == ["a1", "c1"]
        assert ids(reader.reviews_of("tea", exclude="nobody")) == ["b1", "a1", "c1", "b2"]

    def test_an_unknown_item_has_no_peers(self, reader):
        assert reader.reviews_of("nothing", exclude="ann") == []
        assert reader.reviews_of("unsold", exclude="ann") == []

    def test_peers_before_a_time_are_strictly_earlier(self, reader):
        assert ids(reader.reviews_of("tea", exclude="ann", before=100)) == ["b1"]
        assert ids(reader.reviews_of("tea", exclude="ann", before=101)) == ["b1", "c1"]

    def test_a_peer_without_timestamp_is_before_no_time(self, reader):
        assert ids(reader.reviews_of("cup", exclude="ann")) == ["c2"]
        assert reader.reviews_of("cup", exclude="ann", before=2**60) == []

    def test_items_are_those_with_a_record(self, reader):
        assert reader.items(["tea", "pot", "unsold", "nothing", "tea"]) == {"tea": ITEMS[0], "unsold": ITEMS[2]}
        assert reader.items([]) == {}

    def test_vectors_are_float16_rows_in_the_order_asked_for(self, reader):
        found = reader.vectors(["c1", "a1", "c1"], encoder=ENCODER)
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, np.array([VECTORS["c1"], VECTORS["a1"], VECTORS["c1"]], dtype=np.float16))

    def test_no_vectors_have_the_encoders_width(self, reader):
        assert reader.vectors([], encoder=ENCODER).shape == (0, 4)

    @pytest.mark.parametrize(("review", "encoder"), [("nothing", ENCODER), ("a1", "other")])
    def test_a_missing_vector_is_an_error(self, reader, review, encoder):
        with pytest.raises(NotFoundError):
            reader.vectors([review], encoder=encoder)

    def test_peer_sums_leave_the_user_out(self, reader):
        found = reader.peer_sums(["tea", "cup", "tea", "pot", "nothing"], exclude="ann", encoder=ENCODER)
        tea = [-0.375, 1.0, 0.5, 1 + 2.0**-24]
        np.testing.assert_array_equal(found.sums, [tea, [0, 0, 1, 0], tea, [0, 0, 0, 0], [0, 0, 0, 0]])
        np.testing.assert_array_equal(found.counts, [3, 1, 3, 0, 0])
        assert (found.sums.dtype, found.counts.dtype) == (np.float64, np.int64)

    def test_peer_sums_leave_all_the_users_reviews_of_an_item_out(self, reader):
        found = reader.peer_sums(["tea"], exclude="bob", encoder=ENCODER)
        np.testing.assert_array_equal(found.sums, [[0.625, 0, 0.25, 0]])
        np.testing.assert_array_equal(found.counts, [2])

    def test_peer_sums_for_a_stranger_are_the_item_sums(self, reader):
        found = reader.peer_sums(["tea"], exclude="nobody", encoder=ENCODER)
        np.testing.assert_array_equal(found.sums, [[0.125, 1.0, 0.75, 2.0**-24]])
        np.testing.assert_array_equal(found.counts, [4])

    def test_peer_sums_before_a_time_are_of_strictly_earlier_reviews(self, reader):
        found = reader.peer_sums(["tea", "cup"], exclude="ann", encoder=ENCODER, before=101)
        np.testing.assert_array_equal(found.sums, [[0.125, 0.5, 0.5, 1.0], [0, 0, 0, 0]])
        np.testing.assert_array_equal(found.counts, [2, 0])

    def test_peer_sums_of_no_items_are_empty(self, reader):
        for before in (None, 100):
            found = reader.peer_sums([], exclude="ann", encoder=ENCODER, before=before)
            assert (found.sums.shape, found.counts.shape) == ((0, 4), (0,))

    def test_peer_sums_of_an_unknown_encoder_are_an_error(self, reader):
        with pytest.raises(NotFoundError, match="other"):
            reader.peer_sums(["tea"], exclude="ann", encoder="other")

    def test_a_time_cut_without_timestamps_is_refused(self, undated):
        with pytest.raises(ConfigError, match="timestamps"):
            undated.reviews_of("tea", exclude="ann", before=100)
        with pytest.raises(ConfigError, match="timestamps"):
            undated.peer_sums(["tea"], exclude="ann", encoder=ENCODER, before=100)

    def test_order_is_time_where_there_are_no_timestamps(self, undated):
        assert ids(undated.profile("ann", before=Moment(UNDATED, 2))) == ["a1", "a2"]
        assert ids(undated.reviews_of("tea", exclude="ann")) == ["b1", "b2", "c1"]

    def test_groups_are_everybody_else_on_a_category_or_at_all(self, reader):
        found = reader.peer_group_sums(["Food", None, "Kitchen", "Food", "Garden"], exclude="ann", encoder=ENCODER)
        food = [-0.375, 1.0, 0.5, 1 + 2.0**-24]
        np.testing.assert_array_equal(found.counts, [3, 4, 1, 3, 0])
        np.testing.assert_array_equal(found.sums, [food, [-0.375, 1, 1.5, food[3]], [0, 0, 1, 0], food, [0, 0, 0, 0]])
        assert (found.sums.dtype, found.counts.dtype) == (np.float64, np.int64)

    def test_groups_hold_items_without_a_record_in_the_corpus_alone(self, reader):
        found = reader.peer_group_sums([None, "Kitchen"], exclude="nobody", encoder=ENCODER)
        np.testing.assert_array_equal(found.counts, [7, 2])

    def test_groups_before_a_time_are_of_strictly_earlier_reviews(self, reader):
        found = reader.peer_group_sums(["Food", None, "Kitchen"], exclude="ann", encoder=ENCODER, before=101)
        np.testing.assert_array_equal(found.counts, [2, 2, 0])
        np.testing.assert_array_equal(found.sums[:2], [[0.125, 0.5, 0.5, 1.0]] * 2)
        earlier = reader.peer_group_sums(["Food", None], exclude="bob", encoder=ENCODER, before=301)
        np.testing.assert_array_equal(earlier.counts, [2, 4])

    @pytest.mark.parametrize(
        ("exclude", "at_least", "counts"),
        [("ann", 2, [3, 0]), ("ann", 3, [0, 0]), ("nobody", 3, [4, 0]), ("nobody", 4, [0, 0]), ("bob", 2, [2, 2])],
    )
    def test_users_are_counted_not_reviews(self, reader, exclude, at_least, counts):
        """Bob wrote twice about the tea, and is one of ann's two peers there."""
        found = reader.peer_sums(["tea", "cup"], exclude=exclude, encoder=ENCODER, at_least=at_least)
        assert found.counts.tolist() == counts
        assert found.sums.any(axis=1).tolist() == [count > 0 for count in counts]
        groups = reader.peer_group_sums(["Food", "Kitchen"], exclude=exclude, encoder=ENCODER, at_least=at_least)
        np.testing.assert_array_equal(groups.sums, found.sums)
        np.testing.assert_array_equal(groups.counts, found.counts)

    def test_users_are_counted_among_the_earlier_reviews(self, reader):
        for exclude, before, counts in (("ann", 101, [2, 0]), ("ann", 51, [0, 0]), ("nobody", 999, [0, 0])):
            asked = {"exclude": exclude, "before": before, "encoder": ENCODER}
            at_least = 2 if exclude == "ann" else 4
            found = reader.peer_sums(["tea", "cup"], **asked, at_least=at_least)
            groups = reader.peer_group_sums(["Food", "Kitchen"], **asked, at_least=at_least)
            assert found.counts.tolist() == groups.counts.tolist() == counts
            np.testing.assert_array_equal(groups.sums, found.sums)

    @pytest.mark.parametrize("before", [None, 999])
    def test_everybody_is_counted_once_over_all_items(self, reader, before):
        asked = {"exclude": "ann", "encoder": ENCODER, "before": before}
        assert reader.peer_group_sums([None], **asked, at_least=2).counts[0] > 0
        assert reader.peer_group_sums([None], **asked, at_least=3).counts.tolist() == [0]

    def test_items_without_a_category_are_a_group_of_their_own(self, reader):
        assert reader.peer_group_sums([""], exclude="nobody", encoder=ENCODER).counts.tolist() == [1]
        assert reader.peer_group_sums([""], exclude="nobody", encoder=ENCODER, at_least=2).counts.tolist() == [0]

    def test_no_groups_are_no_rows(self, reader):
        for before in (None, 100):
            found = reader.peer_group_sums([], exclude="ann", encoder=ENCODER, before=before)
            assert (found.sums.shape, found.counts.shape) == ((0, 4), (0,))

    def test_a_time_cut_of_groups_without_timestamps_is_refused(self, undated):
        with pytest.raises(ConfigError, match="timestamps"):
            undated.peer_group_sums([None], exclude="ann", encoder=ENCODER, before=100)


def test_whoever_is_nobodys_peer_is_in_no_answer_about_others(make, tmp_path):
    """Bob's texts and vectors are to be seen by bob alone, in a live store, a snapshot and a list."""
    others = [review for review in REVIEWS if review.user != "bob"]
    with_bob, without = tmp_path / "with", tmp_path / "without"
    with_bob.mkdir()
    without.mkdir()
    reader, bare = excluding_bob(make, with_bob), make(without, others)
    assert ids(reader.profile("bob")) == ["b1", "b2"]
    for before in (None, 101, 999):
        for item in ("tea", "cup", "pot"):
            own = reader.reviews_of(item, exclude="nobody", before=before)
            assert own == bare.reviews_of(item, exclude="nobody", before=before)
        for name in ("nobody", "ann"):
            for ask in ("peer_sums", "peer_group_sums"):
                keys = ["tea", "cup"] if ask == "peer_sums" else ["Food", "Kitchen", None]
                mine, theirs = (
                    getattr(one, ask)(keys, exclude=name, encoder=ENCODER, before=before) for one in (reader, bare)
                )
                np.testing.assert_array_equal(mine.sums, theirs.sums)
                np.testing.assert_array_equal(mine.counts, theirs.counts)


def excluding_bob(make, folder: Path) -> ReviewReader:
    if make is lists:
        vectors = {review: np.array(vector) for review, vector in VECTORS.items()}
        return InMemoryReviews(ITEMS, REVIEWS, vectors, encoder=ENCODER, opted_out={"bob"})
    store = live(folder, REVIEWS)
    assert isinstance(store, SqlStore)
    store.set_peer("bob", False)
    if make is live:
        return store
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    with store:
        return build_snapshot(store, members, phase="test", encoder=ENCODER, folder=folder / "snapshot")
