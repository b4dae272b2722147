"""What a store must do when it is changed, on every database."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import numpy as np
import pytest

from idiolect.errors import InputError, NotFoundError
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review


def on_file(request):
    return SqlStore(request.getfixturevalue("tmp_path") / "store.db")


def on_postgres(request):
    return SqlStore(request.getfixturevalue("postgres")())


@pytest.fixture(params=[on_file, on_postgres], ids=lambda make: make.__name__)
def store(request):
    with request.param(request) as store:
        yield store


TEA = Item(id="tea", title="Tea")
ANN = Review(id="a", user="ann", item="tea", text="Mild.", rating=4.0, timestamp=5)
BOB = Review(id="b", user="bob", item="tea", text="Bitter.")


class TestReviewStore:
    def test_an_add_says_what_it_did(self, store):
        report = store.add([TEA], [ANN, BOB])
        assert (report.items_added, report.reviews_added, report.refused) == (1, 2, ())

    def test_adding_again_changes_nothing(self, store):
        store.add([TEA], [ANN])
        before = store.fingerprint()
        report = store.add([TEA], [ANN, ANN])
        assert (report.items_known, report.reviews_known, report.items_added, report.reviews_added) == (1, 2, 0, 0)
        assert store.fingerprint() == before

    def test_another_content_under_a_known_id_is_refused_with_the_reason(self, store):
        store.add([TEA], [ANN])
        other = Review(id="a", user="ann", item="tea", text="Changed my mind.")
        report = store.add([Item(id="tea", title="Coffee")], [other, BOB])
        assert [name for name, _ in report.refused] == ["tea", "a"]
        assert all("another" in reason for _, reason in report.refused)
        assert report.reviews_added == 1
        assert store.profile("ann") == [ANN]
        assert store.items(["tea"]) == {"tea": TEA}

    @pytest.mark.parametrize(
        "bad",
        [
            Review(id="", user="u", item="i", text=""),
            Review(id="x", user="", item="i", text=""),
            Review(id="x", user="u", item="", text=""),
            Review(id="x", user="u", item="i", text="\ud800"),
            Review(id="x", user="u", item="i", text="a\0b"),
            Review(id="x", user="u", item="i", text="", rating=float("nan")),
            Review(id="x", user="u", item="i", text="", timestamp=2**63),
            Review(id="x", user="u", item="i", text="", order=-(2**63) - 1),
        ],
    )
    def test_what_no_database_can_hold_is_refused_and_the_rest_is_kept(self, store, bad):
        report = store.add([], [bad, ANN])
        assert (report.reviews_added, len(report.refused)) == (1, 1)

    def test_an_add_that_fails_midway_leaves_nothing(self, store):
        def reviews():
            yield ANN
            raise OSError("the file ends here")

        with pytest.raises(OSError, match="ends here"):
            store.add([TEA], reviews())
        assert store.items(["tea"]) == {}
        assert store.profile("ann") == []

    def test_the_fingerprint_does_not_depend_on_the_order_of_arrival(self, store, tmp_path):
        store.add([TEA], [ANN, BOB])
        with SqlStore(tmp_path / "other.db") as other:
            other.add([], [BOB])
            other.add([], [ANN])
            assert other.fingerprint() != store.fingerprint()
            other.add([TEA], [])
            assert other.fingerprint() == store.fingerprint()

    def test_the_fingerprint_depends_on_every_field(self, tmp_path):
        fields = {
            "text": "x",
            "title": "x",
            "rating": 1.0,
            "timestamp": 6,
            "order": 1,
            "user": "x",
            "item": "x",
            "id": "x",
        }
        base = {"id": "a", "user": "ann", "item": "tea", "text": "Mild.", "rating": 4.0, "timestamp": 5}
        prints = set()
        for change in [{}, *({name: value} for name, value in fields.items())]:
            with TemporaryDirectory() as folder, SqlStore(f"{folder}/s.db") as store:
                store.add([], [Review(**{**base, **change})])
                prints.add(store.fingerprint())
        assert len(prints) == len(fields) + 1

    def test_a_vector_is_stored_once(self, store):
        store.add([], [ANN, BOB])
        assert store.add_vectors(["a", "a"], np.array([[1.0, 0.0], [0.0, 1.0]]), encoder="e") == 1
        assert store.add_vectors(["b", "a"], np.array([[0.5, 0.5], [0.5, 0.5]]), encoder="e") == 1
        np.testing.assert_array_equal(store.vectors(["a", "b"], encoder="e"), [[1, 0], [0.5, 0.5]])
        np.testing.assert_array_equal(store.peer_sums(["tea"], exclude="x", encoder="e").sums, [[1.5, 0.5]])

    def test_encoders_are_kept_apart(self, store):
        store.add([], [ANN])
        store.add_vectors(["a"], np.array([[1.0, 0.0]]), encoder="two")
        store.add_vectors(["a"], np.array([[0.0, 0.0, 1.0]]), encoder="three")
        assert store.vectors(["a"], encoder="two").shape == (1, 2)
        assert store.peer_sums(["tea"], exclude="x", encoder="three").sums.tolist() == [[0, 0, 1]]

    @pytest.mark.parametrize(
        "vectors",
        [
            [[1.01, 0.0]],
            [[np.nan, 0.0]],
            [[np.inf, 0.0]],
            [[1e9, 0.0]],
            [[0.0, 0.0, 0.0]],
            [[]],
            [[0.0, 0.0]] * 2,
            [0.0, 0.0],
        ],
    )
    def test_unfit_vectors_are_refused_whole(self, store, vectors):
        store.add([], [ANN, BOB])
        store.add_vectors(["b"], np.array([[0.0, 1.0]]), encoder="e")
        with pytest.raises(InputError):
            store.add_vectors(["a"], np.array(vectors), encoder="e")
        assert store.peer_sums(["tea"], exclude="x", encoder="e").counts.tolist() == [1]

    def test_a_vector_of_an_unknown_review_is_an_error(self, store):
        with pytest.raises(NotFoundError, match="nothing"):
            store.add_vectors(["nothing"], np.array([[1.0]]), encoder="e")

    def test_forgetting_removes_the_user_everywhere(self, store):
        store.add([TEA], [BOB])
        store.add_vectors(["b"], np.array([[0.0, 0.5]]), encoder="e")
        before = store.fingerprint()
        store.add([], [ANN])
        store.add_vectors(["a"], np.array([[1.0, 0.1]]), encoder="e")
        receipt = store.forget("ann")
        assert (receipt.reviews, receipt.vectors, receipt.items_touched) == (1, 1, 1)
        assert store.profile("ann") == []
        assert store.fingerprint() == before
        assert store.peer_sums(["tea"], exclude="x", encoder="e").sums.tolist() == [[0.0, 0.5]]
        with pytest.raises(NotFoundError):
            store.vectors(["a"], encoder="e")

    def test_forgetting_an_unknown_user_removes_nothing(self, store):
        store.add([], [ANN])
        before = store.fingerprint()
        assert store.forget("nobody").reviews == 0
        assert store.fingerprint() == before

    def test_what_was_forgotten_can_be_added_again(self, store):
        store.add([], [ANN])
        store.forget("ann")
        assert store.add([], [ANN]).reviews_added == 1

    def test_whoever_is_no_peer_is_compared_with_nobody_and_keeps_their_history(self, store):
        store.add([TEA], [ANN, BOB])
        store.add_vectors(["a"], np.array([[1.0, 0.1]]), encoder="e")
        before = store.fingerprint()
        assert store.set_peer("ann", False)
        assert not store.set_peer("ann", False)
        store.add_vectors(["b"], np.array([[0.0, 0.5]]), encoder="e")
        store.add([], [Review(id="a2", user="ann", item="tea", text="Again.", timestamp=9)])
        store.add_vectors(["a2"], np.array([[0.5, 0.5]]), encoder="e")
        assert store.fingerprint() != before
        assert [review.id for review in store.profile("ann")] == ["a", "a2"]
        assert [review.id for review in store.reviews_of("tea", exclude="x")] == ["b"]
        assert store.peer_sums(["tea"], exclude="x", encoder="e").sums.tolist() == [[0.0, 0.5]]
        assert store.peer_sums(["tea"], exclude="ann", encoder="e").sums.tolist() == [[0.0, 0.5]]
        assert store.peer_sums(["tea"], exclude="x", encoder="e", before=99).counts.tolist() == [0]
        assert store.opted_out() == ["ann"]
        assert store.set_peer("ann", True)
        assert store.peer_sums(["tea"], exclude="bob", encoder="e").counts.tolist() == [2]
        assert all(finding.ok for finding in store.check())

    def test_forgetting_whoever_is_no_peer_leaves_no_note_of_them(self, store):
        store.add([TEA], [BOB])
        store.add_vectors(["b"], np.array([[0.0, 0.5]]), encoder="e")
        before = store.fingerprint()
        store.add([], [ANN])
        store.set_peer("ann", False)
        store.add_vectors(["a"], np.array([[1.0, 0.1, 0.0]]), encoder="hers")
        store.forget("ann")
        assert (store.fingerprint(), store.opted_out(), store.encoders()) == (before, [], {"e": 2})
        assert all(finding.ok for finding in store.check())

    def test_what_was_written_from_it_is_remembered_once(self, store, tmp_path):
        store.record_output(tmp_path / "split", "split")
        store.record_output(tmp_path / "x" / ".." / "split", "split")
        assert store.outputs() == {tmp_path.resolve() / "split": "split"}

    def test_a_second_look_finds_everything_in_order(self, store):
        store.add([TEA], [ANN, BOB])
        store.add_vectors(["a", "b"], np.eye(2), encoder="e")
        assert [finding.name for finding in store.check() if not finding.ok] == []

    def test_whole_tables_are_read_in_the_order_of_arrival(self, store):
        store.add([TEA], [BOB, ANN])
        assert store.review_frame()["review_id"].to_list() == ["b", "a"]
        assert store.item_frame()["item"].to_list() == ["tea"]
        assert store.users() == ["ann", "bob"]
        assert store.missing_vectors("e", ["a"])["length"].to_list() == [5]
