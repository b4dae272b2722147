"""Files into a store: every row is accounted for, and a mistake leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.errors import InputError
from idiolect.experiments.ingest import ingest_files
from idiolect.experiments.results import read_lines
from idiolect.store.sql import SqlStore

REVIEWS = [{"user": f"u{k}", "item": "i0", "text": f"text {k}"} for k in range(4)]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def test_items_that_cannot_be_used_are_listed_in_a_file_of_their_own(tmp_path: Path) -> None:
    reviews = write(tmp_path / "reviews.jsonl", *REVIEWS)
    items = write(tmp_path / "items.jsonl", {"item": "i0", "title": "Tea"}, {"title": "nobody's"}, {"item": "i1"})
    report = ingest_files(reviews, items=items, store=str(tmp_path / "s.db"))
    assert report.rejects is None
    assert report.item_rejects is not None
    assert [row["line"] for row in read_lines(report.item_rejects)] == [2]
    assert (report.stored.items_added, report.stored.reviews_added) == (2, 4)
    assert str(report.item_rejects) in report.text()
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {
        "reviews.jsonl",
        "items.jsonl",
        report.item_rejects.name,
    }


def test_rows_that_the_store_refuses_are_counted_and_listed(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", *[{**row, "review_id": row["user"]} for row in REVIEWS])
    other = write(tmp_path / "b.jsonl", *[{**row, "review_id": row["user"]} for row in REVIEWS[:3]], {
        "user": "u3", "item": "i0", "text": "changed", "review_id": "u3"
    })  # fmt: skip
    store = str(tmp_path / "s.db")
    assert ingest_files(first, store=store).record()["refused"] == 0
    report = ingest_files(other, store=store)
    assert (report.stored.reviews_known, report.record()["refused"]) == (3, 1)
    assert report.rejects is not None
    (row,) = read_lines(report.rejects)
    assert row["raw_start"] == "u3"
    assert "refused" in row["reason"]
    with pytest.raises(InputError, match="1 of 4 rows of reviews"):
        ingest_files(other, store=store, max_rejects=0.1)


def test_bad_items_fail_as_bad_reviews_do(tmp_path: Path) -> None:
    reviews = write(tmp_path / "reviews.jsonl", *REVIEWS)
    items = write(tmp_path / "items.jsonl", {"item": "i0"}, "x", "y")
    with pytest.raises(InputError, match="2 of 3 rows of items"):
        ingest_files(reviews, items=items, store=str(tmp_path / "s.db"))
    with SqlStore(tmp_path / "s.db", create=False) as store:
        assert store.counts()[:2] == (1, 4)


@pytest.mark.parametrize("absent", ["reviews", "items"])
def test_a_missing_file_leaves_nothing_behind(tmp_path: Path, absent: str) -> None:
    files = {name: write(tmp_path / f"{name}.jsonl", *REVIEWS) for name in ("reviews", "items")}
    files[absent] = tmp_path / "nowhere" / "file.jsonl"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="nowhere"):
        ingest_files(**files, store=str(tmp_path / "new" / "s.db"), rejects=tmp_path / "listed" / "r.jsonl")
    assert sorted(tmp_path.rglob("*")) == before
