"""Sums and differences of an exported store are those of the store, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from idiolect.difference import bulk
from idiolect.difference.bulk import differences
from idiolect.difference.latent import peer_mean_difference
from idiolect.errors import InputError, NotFoundError, OutputError
from idiolect.store.parquet import erase_from_export, export_folder
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

DIM = 8


@pytest.fixture
def store(tmp_path: Path) -> str:
    """300 reviews by twenty users, some of them twice about an item; one user opted out."""
    rng = np.random.default_rng(0)
    who, what = rng.integers(0, 20, 300), rng.integers(0, 30, 300)
    reviews = [
        Review(id=ReviewId(f"r{k}"), user=UserId(f"u{u}"), item=ItemId(f"i{i}"), text=f"text {k}", order=k)
        for k, (u, i) in enumerate(zip(who, what, strict=True))
    ]
    items = [Item(id=ItemId(f"i{k}"), title="a", category="even" if k % 2 == 0 else "") for k in range(25)]
    path = str(tmp_path / "store.db")
    with SqlStore(path) as opened:
        opened.add(items, reviews)
        opened.add_vectors([review.id for review in reviews], rng.uniform(-1, 1, (300, DIM)), encoder="e")
        opened.set_peer(UserId("u3"), False)
    return path


@pytest.fixture
def export(store: str, tmp_path: Path) -> Path:
    export_folder(store, tmp_path / "export")
    return tmp_path / "export"


def read(folder: Path, kind: str) -> pl.DataFrame:
    return pl.read_parquet(sorted(folder.glob(f"{kind}*.parquet")))


@pytest.mark.parametrize(("bucket_rows", "rows"), [(1000, 1 << 17), (37, 64)])
def test_sums_and_differences_are_the_stores_to_the_last_bit(store, export, tmp_path, monkeypatch, bucket_rows, rows):
    monkeypatch.setattr(bulk, "_RANGE", rows)
    monkeypatch.setattr(bulk, "_ROWS", 16)
    report = differences(export, tmp_path / "out", min_peers=2, bucket_rows=bucket_rows)
    found = {row["review_id"]: row for row in read(tmp_path / "out", "differences").to_dicts()}
    assert report.reviews == len(found) == 300
    with SqlStore(store, create=False) as opened:
        frame = opened.review_frame()
        for user in frame["user"].unique():
            own = frame.filter(pl.col("user") == user)
            ids, items = own["review_id"].to_list(), [ItemId(item) for item in own["item"]]
            peers = opened.peer_sums(items, exclude=UserId(user), encoder="e", at_least=2)
            expected = peer_mean_difference(opened.vectors(ids, encoder="e").astype(float), peers.sums, peers.counts)
            for k, id in enumerate(ids):
                assert found[id]["difference"] == expected.diff[k].astype("<f4").tobytes()
                assert not peers.counts[k] or found[id]["n_peers"] == peers.counts[k]
        totals = opened.peer_group_sums(["even", "", None], exclude=UserId("nobody"), encoder="e")
        sums = opened.peer_sums([ItemId("i7")], exclude=UserId("nobody"), encoder="e")
    assert report.compared == sum(row["n_users"] >= 2 for row in found.values())
    by_category = {row["category"]: row for row in read(tmp_path / "out", "categories").to_dicts()}
    corpus = read(tmp_path / "out", "corpus").row(0, named=True)
    for k, row in enumerate((by_category["even"], by_category[""], corpus)):
        assert (row["sum"], row["count"]) == (totals.sums[k].tobytes(), totals.counts[k])
    item = read(tmp_path / "out", "sums").filter(item="i7").row(0, named=True)
    assert (item["sum"], item["count"]) == (sums.sums[0].tobytes(), sums.counts[0])


def test_tables_that_another_tool_wrote_are_read_too(export, tmp_path):
    differences(export, tmp_path / "one")
    for name in ("reviews", "items"):
        pl.read_parquet(export / f"{name}.parquet").write_parquet(export / f"{name}.parquet", row_group_size=70)
    differences(export, tmp_path / "two")
    for kind in ("differences", "sums", "categories", "corpus"):
        assert read(tmp_path / "one", kind).equals(read(tmp_path / "two", kind))


def test_a_run_goes_on_after_the_buckets_that_are_there(export, tmp_path, monkeypatch):
    differences(export, tmp_path / "whole", bucket_rows=50)
    gather, calls = bulk._gather, []

    def interrupted(plan, files, number):
        calls.append(number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        gather(plan, files, number)

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_gather", interrupted)
        with pytest.raises(KeyboardInterrupt):
            differences(export, tmp_path / "out", bucket_rows=50)
        (tmp_path / "out" / "differences-00002.parquet.1.00c0ffee.partial").write_bytes(b"killed while it was written")
        differences(export, tmp_path / "out", bucket_rows=50)
    assert calls == [0, 1, 2, 2, 3, 4, 5]
    for path in (tmp_path / "whole").glob("*.parquet"):
        assert pl.read_parquet(path).equals(pl.read_parquet(tmp_path / "out" / path.name))
    names = [{path.name for path in (tmp_path / folder).iterdir()} for folder in ("whole", "out")]
    assert names[0] == names[1]


def test_an_erasure_from_the_export_removes_what_was_made_of_it(export, tmp_path, monkeypatch):
    differences(export, tmp_path / "out")

    def interrupted(plan, files, number):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_gather", interrupted)
        with pytest.raises(KeyboardInterrupt):
            differences(export, tmp_path / "half")
    scattered = next((tmp_path / "half" / "scatter").iterdir())
    scattered.with_name(f"{scattered.name}.1.00c0ffee.partial").write_bytes(b"killed while it was written")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "differences.json").write_text('{"export": "/elsewhere"}')
    erase_from_export(export, {"u1"}, set())
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "half").exists()
    assert (tmp_path / "other" / "differences.json").exists()


def test_what_cannot_be_used_is_refused(store, export, tmp_path):
    with pytest.raises(NotFoundError, match="no vectors of 'f'"):
        differences(export, tmp_path / "out", encoder="f")
    differences(export, tmp_path / "out")
    with pytest.raises(OutputError, match="with other settings"):
        differences(export, tmp_path / "out", min_peers=3)
    with pytest.raises(OutputError, match="holds something else"):
        differences(export, tmp_path)
    with SqlStore(store, create=False) as opened:
        opened.add([], [Review(id=ReviewId("new"), user=UserId("u1"), item=ItemId("i1"), text="new", order=0)])
    export_folder(store, export)
    with pytest.raises(InputError, match="1 of 301 reviews have no vector"):
        differences(export, tmp_path / "new")
