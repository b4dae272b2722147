from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from idiolect.data.split import MEMBER_SCHEMA
from idiolect.errors import InputError, NotFoundError
from idiolect.store import snapshot_build
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Moment, Review

ROLE = {"p": "profile", "t": "train", "v": "validation", "s": "test", "o": None}


@pytest.fixture
def corpus(tmp_path):
    """Users x and y wrote one review of every role about the same item; the id says user and role."""
    letters = "ptvso"
    reviews = [
        Review(id=f"{user}{letter}", user=user, item="i", text="", timestamp=k)
        for user in "xy"
        for k, letter in enumerate(letters)
    ]
    with SqlStore(tmp_path / "store.db") as store:
        store.add([Item(id="i", title="It")], reviews)
        store.add_vectors([r.id for r in reviews], np.eye(10), encoder="e")
        members = pl.DataFrame(
            [{"review_id": r.id, "user": r.user, "role": ROLE[r.id[1]]} for r in reviews if ROLE[r.id[1]]]
        )
        yield store, members


def see(snapshot):
    history = "".join(review.id[1] for review in snapshot.profile("x"))
    peers = "".join(review.id[1] for review in snapshot.reviews_of("i", exclude="x"))
    return history, peers


@pytest.mark.parametrize(
    ("phase", "peers", "history", "pool"),
    [
        ("fit", "corpus", "pt", "pto"),
        ("fit", "split", "pt", "pt"),
        ("validation", "corpus", "pt", "pto"),
        ("validation", "split", "pt", "pt"),
        ("test", "corpus", "ptv", "ptvo"),
        ("test", "split", "ptv", "ptv"),
    ],
)
def test_a_snapshot_shows_what_its_phase_may_see(corpus, tmp_path, phase, peers, history, pool):
    store, members = corpus
    snapshot = build_snapshot(store, members, phase=phase, encoder="e", folder=tmp_path / "s", peers=peers)
    assert see(snapshot) == (history, pool)
    assert (snapshot.meta.history, snapshot.meta.pool) == (2 * len(history), 2 * len(pool))
    found = snapshot.peer_sums(["i"], exclude="x", encoder="e")
    seen = [snapshot.vectors([f"y{letter}"], encoder="e")[0].astype(float) for letter in pool]
    np.testing.assert_array_equal(found.sums[0], np.sum(seen, axis=0))
    assert found.counts.tolist() == [len(pool)]


def test_a_hidden_review_cannot_be_reached_by_its_id(corpus, tmp_path):
    store, members = corpus
    snapshot = build_snapshot(store, members, phase="fit", encoder="e", folder=tmp_path / "s")
    with pytest.raises(NotFoundError, match="fit"):
        snapshot.vectors(["xp", "ys"], encoder="e")
    assert snapshot.profile("x", before=Moment(1, 0))[-1].id == "xp"


def test_history_without_vectors_is_an_error_that_says_what_to_run(corpus, tmp_path):
    store, members = corpus
    store.add([], [Review(id="xz", user="x", item="i", text="")])
    members = pl.concat([members, pl.DataFrame({"review_id": ["xz"], "user": ["x"], "role": ["profile"]})])
    with pytest.raises(NotFoundError, match=r"1 reviews .* 'xz' .*embed"):
        build_snapshot(store, members, phase="fit", encoder="e", folder=tmp_path / "s")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("store.db")) == []


def test_a_peer_without_vector_is_not_in_the_pool_and_is_counted(corpus, tmp_path):
    store, members = corpus
    store.add([], [Review(id="yz", user="y", item="i", text="")])
    snapshot = build_snapshot(store, members, phase="fit", encoder="e", folder=tmp_path / "s")
    assert see(snapshot) == ("pt", "pto")
    assert snapshot.meta.pool_without_vector == 1


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"review_id": "xp", "user": "x", "role": "train"}, "twice"),
        ({"review_id": "gone", "user": "x", "role": "train"}, "not in the store"),
        ({"review_id": "xo", "user": "y", "role": "train"}, "the split says"),
    ],
)
def test_a_split_that_does_not_fit_the_store_is_refused(corpus, tmp_path, row, match):
    store, members = corpus
    with pytest.raises(InputError, match=match):
        build_snapshot(
            store, pl.concat([members, pl.DataFrame([row])]), phase="fit", encoder="e", folder=tmp_path / "s"
        )


def test_an_encoder_without_vectors_is_refused(corpus, tmp_path):
    store, members = corpus
    with pytest.raises(NotFoundError, match="other"):
        build_snapshot(store, members, phase="fit", encoder="other", folder=tmp_path / "s")


def test_the_meta_names_the_state_of_the_store(corpus, tmp_path):
    store, members = corpus
    snapshot = build_snapshot(store, members, phase="fit", encoder="e", folder=tmp_path / "s")
    assert snapshot.meta.fingerprint == store.fingerprint()
    store.forget("y")
    assert snapshot.meta.fingerprint != store.fingerprint()


def test_an_empty_split_gives_an_empty_snapshot(corpus, tmp_path):
    store, members = corpus
    nobody = members.clear()
    snapshot = build_snapshot(store, nobody, phase="fit", encoder="e", folder=tmp_path / "s", peers="split")
    assert snapshot.users() == []
    assert snapshot.profile("x") == []
    assert snapshot.items(["i"])["i"].title == "It"
    assert snapshot.peer_sums(["i", "j"], exclude="x", encoder="e").counts.tolist() == [0, 0]
    assert snapshot.vectors([], encoder="e").shape == (0, 10)


@pytest.mark.parametrize("peers", ["corpus", "split"])
@pytest.mark.parametrize("phase", ["fit", "test"])
def test_buckets_of_a_few_rows_give_the_same_bytes_as_one_bucket(tmp_path, monkeypatch, reviews, vectors, phase, peers):
    """With undated reviews, equal times, items without a record, a user who opted out and reviews without a vector."""
    times = {"timestamp": lambda k, r: None if k % 11 == 0 else r.timestamp, "order": lambda k, r: r.order % 7}
    some = [
        replace(r, **{name: value(k, r) for name, value in times.items()}, rating=4.0 if k % 3 else None, title="é")
        for k, r in enumerate(reviews(300))
    ]
    seen, roles = some[:-20], ("profile", "train", "validation", "test")
    with SqlStore(tmp_path / "store.db") as store:
        store.add([Item(id=f"i{k}", category=f"c{k % 2}") for k in range(0, 30, 2)], some)
        store.add_vectors([r.id for r in seen], vectors(len(seen)), encoder="e")
        store.set_peer("u3", False)
        rows = [(r.id, r.user, roles[k % 4]) for k, r in enumerate(seen) if k % 5]
        members = pl.DataFrame(rows, schema=MEMBER_SCHEMA, orient="row")
        made = []
        for size in (1000, 9):
            monkeypatch.setattr(snapshot_build, "BUCKET_ROWS", size)
            folder = tmp_path / f"by-{size}"
            build_snapshot(store, members, phase=phase, encoder="e", folder=folder, peers=peers)
            made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 18
