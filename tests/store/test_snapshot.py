from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest

from idiolect.errors import ArtifactError, InputError, NotFoundError
from idiolect.store.snapshot import Snapshot
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.snapshot_files import FORMAT
from idiolect.types import Moment


@pytest.fixture
def snapshot(store, tmp_path):
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    return build_snapshot(store, members, phase="test", encoder="e", folder=tmp_path / "snapshot")


def test_a_snapshot_that_hides_nothing_answers_as_the_store(store, snapshot):
    items = [f"i{k}" for k in range(16)]
    for user in store.users():
        profile = store.profile(user)
        assert snapshot.profile(user) == profile
        assert snapshot.profile(user, before=Moment(50, 100)) == store.profile(user, before=Moment(50, 100))
        ids = [review.id for review in profile]
        np.testing.assert_array_equal(snapshot.vectors(ids, encoder="e"), store.vectors(ids, encoder="e"))
        for before in (None, 40):
            ours = snapshot.peer_sums(items, exclude=user, encoder="e", before=before)
            theirs = store.peer_sums(items, exclude=user, encoder="e", before=before)
            np.testing.assert_array_equal(ours.sums, theirs.sums)
            np.testing.assert_array_equal(ours.counts, theirs.counts)
            assert snapshot.reviews_of("i3", exclude=user, before=before) == store.reviews_of(
                "i3", exclude=user, before=before
            )


def test_users_are_sorted(snapshot, store):
    assert snapshot.users() == store.users()


def test_a_snapshot_outlives_changes_of_the_store(store, snapshot):
    before = snapshot.peer_sums(["i1"], exclude="", encoder="e").sums
    store.forget("u1")
    np.testing.assert_array_equal(snapshot.peer_sums(["i1"], exclude="", encoder="e").sums, before)


def test_another_process_gets_the_same_snapshot(snapshot):
    again = pickle.loads(pickle.dumps(snapshot))
    assert again.profile("u1") == snapshot.profile("u1")


def test_it_cannot_be_written_through(snapshot):
    with pytest.raises(ValueError, match="read-only"):
        snapshot._vectors[0] = 0


def test_no_snapshot_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        Snapshot.open(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["meta.json", "vectors.npy", "reviews.arrow", "items.keys.npy"])
def test_a_damaged_snapshot_says_so(snapshot, name):
    (snapshot.folder / name).write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="build it again"):
        Snapshot.open(snapshot.folder)


def test_a_snapshot_without_a_part_says_so(snapshot):
    (snapshot.folder / "sums.npy").unlink()
    with pytest.raises(ArtifactError, match="damaged"):
        Snapshot.open(snapshot.folder)


def test_another_format_says_so(snapshot):
    meta = snapshot.folder / "meta.json"
    meta.write_text(meta.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(ArtifactError, match="format 99"):
        Snapshot.open(snapshot.folder)


def test_building_again_replaces_and_a_strangers_folder_is_left_alone(store, snapshot, tmp_path):
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile")).head(10)
    again = build_snapshot(store, members, phase="fit", encoder="e", folder=snapshot.folder)
    assert (again.meta.phase, again.meta.history) == ("fit", 10)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    with pytest.raises(InputError, match="not a snapshot"):
        build_snapshot(store, members, phase="fit", encoder="e", folder=tmp_path / "thesis")
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if not name.startswith("store.db")} == {"snapshot", "thesis"}
