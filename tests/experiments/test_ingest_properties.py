"""What holds for any table of reviews that is read into a store."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.store.ingest_report import IngestReport
from idiolect.store.ingestion import ingest_files
from idiolect.store.sql import SqlStore
from idiolect.types import Review

CELLS = {
    "user": st.sampled_from(["u1", "u2", "", None, 7]),
    "item": st.sampled_from(["i1", "i2", " "]),
    "text": st.sampled_from(["one", "two", "three", "\0", None]) | st.text(max_size=3),
    "rating": st.sampled_from([1, 5, None, "x", -3, 1e9]),
    "timestamp": st.sampled_from([None, 0, 1_600_000_000, "2020-01-01", -5]),
}
ROWS = st.fixed_dictionaries({}, optional=CELLS)
TABLES = st.lists(ROWS | st.sampled_from(["", "not json", 3]), max_size=12)
FIRST = {"user": "u0", "item": "i0", "text": "always there", "rating": 3, "timestamp": 1_500_000_000}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in [FIRST, *rows]))
    return path


def contents(store: str) -> dict[str, Review]:
    with SqlStore(store) as database:
        ids = database.review_frame()["review_id"].to_list()
        return {review.id: review for review in database.reviews(ids)}


def ingested(folder: Path, rows: list[Any], name: str = "s.db") -> IngestReport:
    return ingest_files(write(folder / "r.jsonl", rows), store=str(folder / name), max_rejects=1)


@settings(max_examples=12, deadline=None)
@given(rows=TABLES, seed=st.integers(0, 100))
def test_every_row_is_accounted_for_and_reading_again_in_any_order_changes_nothing(rows: list[Any], seed: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        report = ingested(folder, rows)
        stored, before = report.stored, contents(str(folder / "s.db"))
        assert report.reviews.read == 1 + sum(row != "" for row in rows)
        assert report.reviews.accepted + sum(report.reviews.rejected.values()) == report.reviews.read
        assert stored.reviews_added + stored.reviews_known + len(stored.refused) == report.reviews.accepted
        listed = report.rejects.read_text().splitlines() if report.rejects else []
        assert len(listed) == report.reviews.lost + len(stored.refused)

        shuffled = random.Random(seed).sample(rows, len(rows))
        again = ingested(folder, shuffled)
        assert contents(str(folder / "s.db")) == before
        assert (again.stored.reviews_added, again.stored.refused) == (0, ())

        ingested(folder, shuffled, "other.db")
        unordered = [
            {k: replace(r, order=0) for k, r in c.items()} for c in (before, contents(str(folder / "other.db")))
        ]
        assert unordered[0] == unordered[1]
