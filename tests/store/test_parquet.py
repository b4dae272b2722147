"""Out to Parquet and in again is the same store, in whatever database."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from idiolect.errors import ArtifactError, InputError, NotFoundError
from idiolect.store.parquet import export_store, import_store
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review


@pytest.fixture
def full(store, vectors):
    """Two encoders, one of them for some only; odd texts; nulls; a user who is no peer."""
    store.add(
        [Item(id="i1", title="Tea ☕", description="a\nb", category="Food"), Item(id="unused")],
        [Review(id="odd", user="ünï", item="i1", text="line\r\n\tλ " * 50, rating=1 / 3)],
    )
    store.add_vectors([f"r{k}" for k in range(40)], vectors(40, 5, seed=1), encoder="other")
    store.set_peer("u2", False)
    return store


def contents(store):
    ids = store.review_frame()["review_id"].to_list()
    some = [f"r{k}" for k in range(40)]
    sums = store.peer_sums([f"i{k}" for k in range(15)], exclude="u7", encoder="e")
    return (
        store.fingerprint(),
        store.review_frame().rows(),
        store.item_frame().rows(),
        store.encoders(),
        store.opted_out(),
        store.vectors([id for id in ids if id != "odd"], encoder="e").tobytes(),
        store.vectors(some, encoder="other").tobytes(),
        sums.sums.tobytes(),
        sums.counts.tolist(),
    )


def test_out_and_in_again_is_the_same_store(full, tmp_path):
    head = export_store(full, tmp_path / "out")
    with SqlStore(tmp_path / "copy.db") as copy:
        report = import_store(tmp_path / "out", copy)
        assert (report.equal, report.vectors, report.added.reviews_added) == (True, 340, 301)
        assert contents(copy) == contents(full)
        assert all(finding.ok for finding in copy.check())
        again = import_store(tmp_path / "out", copy)
        assert (again.equal, again.vectors, again.added.reviews_known) == (True, 0, 301)
        assert export_store(copy, tmp_path / "again") == head
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_store_moves_to_a_server_and_back(full, tmp_path, postgres):
    export_store(full, tmp_path / "out")
    with SqlStore(postgres()) as served:
        assert import_store(tmp_path / "out", served).equal
        assert contents(served) == contents(full)
        export_store(served, tmp_path / "back")
    with SqlStore(tmp_path / "copy.db") as copy:
        assert import_store(tmp_path / "back", copy).equal
        assert contents(copy) == contents(full)


def test_vectors_are_fixed_size_binary_that_other_tools_can_read(full, tmp_path):
    export_store(full, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "vectors-1.parquet")
    assert table.schema.field("vector").type == pa.binary(10)
    rows = np.frombuffer(b"".join(table["vector"].to_pylist()), dtype="<f2").reshape(-1, 5)
    np.testing.assert_array_equal(rows, full.vectors(table["review_id"].to_pylist(), encoder="other"))


def test_importing_into_a_store_that_holds_more_adds_what_it_lacks(full, tmp_path):
    export_store(full, tmp_path / "out")
    with SqlStore(tmp_path / "copy.db") as copy:
        copy.add([], [Review(id="mine", user="me", item="i1", text="")])
        report = import_store(tmp_path / "out", copy)
        assert (report.added.reviews_added, report.equal) == (301, False)


def test_vectors_of_reviews_that_the_store_has_otherwise_stay_out(tmp_path):
    def reviews(words):
        return [Review(id=str(k), user=f"u{k}", item="i", text=f"{words} {k}") for k in range(4)]

    with SqlStore(tmp_path / "a.db") as source, SqlStore(tmp_path / "b.db") as store:
        source.add([Item(id="0", title="an item under a review's id")], reviews("theirs"))
        source.add_vectors([str(k) for k in range(4)], np.eye(4, dtype=np.float32), encoder="e")
        export_store(source, tmp_path / "out")
        store.add([Item(id="0", title="another")], [reviews("theirs")[0], *reviews("ours")[1:3]])
        report = import_store(tmp_path / "out", store)
        assert [id for id, _ in report.added.refused_reviews] == ["1", "2"]
        assert [id for id, _ in report.added.refused_items] == ["0"]
        assert report.vectors == 2
        assert store.missing_vectors("e")["review_id"].to_list() == ["1", "2"]
        np.testing.assert_array_equal(store.vectors(["0", "3"], encoder="e"), np.eye(4)[[0, 3]])
        assert all(finding.ok for finding in store.check())


def test_an_empty_store_goes_out_and_in(tmp_path):
    with SqlStore(tmp_path / "empty.db") as empty, SqlStore(tmp_path / "copy.db") as copy:
        export_store(empty, tmp_path / "out")
        assert import_store(tmp_path / "out", copy).equal


def test_a_folder_of_something_else_is_left_alone(full, tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match="is not an export"):
        export_store(full, tmp_path / "notes")
    with pytest.raises(NotFoundError):
        import_store(tmp_path / "notes", full)


@pytest.mark.parametrize("damage", ["cut", "gone", "columns", "head", "later"])
def test_a_damaged_export_is_refused_in_one_line(full, tmp_path, damage):
    out = tmp_path / "out"
    head = export_store(full, out)
    path = out / "reviews.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "gone":
        path.unlink()
    elif damage == "columns":
        pq.write_table(pa.table({"a": [1]}), path)
    elif damage == "head":
        (out / "store.json").write_text("{}")
    else:
        (out / "store.json").write_text(json.dumps({**head, "format": 99}))
    with SqlStore(tmp_path / "copy.db") as copy, pytest.raises(ArtifactError) as caught:
        import_store(out, copy)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
