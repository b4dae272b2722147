"""Files into a store: every row is accounted for, and a mistake leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError

from idiolect.cli.main import build_app
from idiolect.errors import ConfigError, InputError
from idiolect.pipeline.results import read_lines
from idiolect.store.ingestion import ingest_files
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
    assert str(report.item_rejects) in report.text
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
    assert (row["file"], row["line"]) == (str(other), 4)
    assert row["raw_start"].startswith('{"user": "u3"')
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


def test_the_same_row_twice_is_one_review(tmp_path: Path) -> None:
    report = ingest_files(write(tmp_path / "r.jsonl", *REVIEWS, *REVIEWS), store=str(tmp_path / "s.db"))
    assert (report.stored.reviews_added, report.stored.reviews_known, report.stored.refused) == (4, 4, ())
    assert report.rejects is None


def test_an_order_of_the_rows_own_that_changed_is_a_conflict(tmp_path: Path) -> None:
    rows = [{**row, "order": k} for k, row in enumerate(REVIEWS)]
    store = str(tmp_path / "s.db")
    ingest_files(write(tmp_path / "r.jsonl", *rows), store=store)
    report = ingest_files(write(tmp_path / "r.jsonl", *rows[:3], {**rows[3], "order": 9}), store=store)
    assert (report.stored.reviews_known, len(report.stored.refused)) == (3, 1)


def test_one_id_with_two_contents_in_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = [{**row, "review_id": "r"} for row in REVIEWS[:2]]
    report = ingest_files(write(tmp_path / "r.jsonl", *rows), store=str(tmp_path / "s.db"))
    assert report.rejects is not None
    assert [(row["line"], row["reason"]) for row in read_lines(report.rejects)] == [
        (2, "refused by the store: another review of this id is stored")
    ]


def test_too_many_rejects_end_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", *REVIEWS, *["bad"] * 30_000)
    with pytest.raises(InputError, match=r"9996 of 10000 .* stopped there; .* 'not JSON'") as caught:
        ingest_files(path, store=str(tmp_path / "s.db"))
    assert "format=" in caught.value.hint
    with SqlStore(tmp_path / "s.db", create=False) as store:
        assert store.counts().reviews == 4


def test_standard_input_cannot_be_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        ingest_files("-", items="-", store=str(tmp_path / "s.db"))


def test_lamp_brings_its_items(tmp_path: Path) -> None:
    profile = [{"id": "1", "text": "An article", "title": "A headline"}]
    path = tmp_path / "a_questions.json"
    path.write_text(json.dumps([{"id": "q", "input": "?", "profile": profile}]))
    report = ingest_files(path, store=str(tmp_path / "s.db"))
    assert (report.format, report.stored.reviews_added, report.stored.items_added) == ("lamp", 1, 1)


def test_the_authors_items_are_reported_by_the_format_of_the_reviews(tmp_path: Path) -> None:
    review = {"asin": "B0", "text": "x"}
    (tmp_path / "main").mkdir()
    write(tmp_path / "main" / "Books.jsonl", {"user_id": "u", "profile": [review], "data": review})
    (tmp_path / "meta").mkdir()
    write(tmp_path / "meta" / "Books.jsonl", {"asin": "B0", "title": "T", "description": "D"})
    ingest_files(tmp_path / "main", items=tmp_path / "meta", store=str(tmp_path / "s.db"))
    with SqlStore(tmp_path / "s.db", create=False) as store:
        assert store.items(["Books/B0"])["Books/B0"].title == "T"


def test_what_was_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    write(tmp_path / "f" / "a.jsonl", *REVIEWS[:2])
    write(tmp_path / "f" / "b.jsonl", *REVIEWS[2:])
    write(tmp_path / "f" / "notes.txt", "hello")
    report = ingest_files(tmp_path / "f", store=str(tmp_path / "s.db"))
    assert "4 rows of jsonl in 2 files" in report.text
    assert "1 files not read: " in report.text
    assert report.record()["skipped"] == {str(tmp_path / "f" / "notes.txt"): "of another kind"}


@pytest.mark.parametrize("tokens", [["-", "--items", "x"], ["x", "--items", "-"], ["--items", "x", "-"]])
def test_the_command_line_takes_a_lone_hyphen_for_standard_input(tokens: list[str]) -> None:
    _, bound, _ = build_app().parse_args(["ingest", *tokens], exit_on_error=False, print_error=False)
    assert {bound.arguments["reviews"], bound.arguments["items"]} == {"-", "x"}


def test_the_command_line_takes_no_mistyped_option_for_a_file() -> None:
    with pytest.raises(CycloptsError, match="unknown option '--stor'"):
        build_app().parse_args(["ingest", "r.jsonl", "--items", "--stor"], exit_on_error=False, print_error=False)


def test_the_same_file_read_otherwise_is_told_apart_from_bad_rows(tmp_path: Path) -> None:
    file, store = tmp_path / "r.csv", str(tmp_path / "s.db")
    file.write_text("user,item,text,nth\n" + "".join(f"u{k},i{k},some words,{9 - k}\n" for k in range(4)))
    ingest_files(file, store=store)
    with pytest.raises(InputError) as found:
        ingest_files(file, store=store, columns={"order": "nth"})
    assert "4 of 4 rows of reviews were rejected" in str(found.value)
    assert "another review of this id is stored" in str(found.value)
    assert "ingest into a new store" in str(found.value.hint)


def test_the_summary_tells_the_columns_and_what_was_lost(tmp_path: Path) -> None:
    rows = [
        {"UserId": f"u{k}", "item": "i0", "Text": f"text {k}", "Score": "x" if k else 5, "when": 1} for k in range(3)
    ]
    report = ingest_files(write(tmp_path / "r.jsonl", *rows), store=str(tmp_path / "s.db"))
    text, record = report.text, json.loads(json.dumps(report.record(), default=str))
    assert "columns: user=UserId item=item text=Text rating=Score; no title, timestamp; not used: when" in text
    assert f"2 rows read without their rating: bad rating (first: line 2 of {tmp_path / 'r.jsonl'})" in text
    assert record["columns"][0]["of"] == {"user": "UserId", "item": "item", "text": "Text", "rating": "Score"}
    assert (record["columns"][0]["unused"], record["accepted"]) == (["when"], 3)
    assert [(lost["name"], lost["rows"]) for lost in record["lost_fields"]] == [("rating", 2)]


def test_reviews_of_known_items_are_counted_and_none_is_a_warning(tmp_path: Path) -> None:
    reviews = write(tmp_path / "r.jsonl", *REVIEWS, {"user": "u", "item": "i1", "text": "other"})
    items = write(tmp_path / "i.jsonl", {"item": "i0", "title": "Tea"})
    report = ingest_files(reviews, items=items, store=str(tmp_path / "s.db"))
    assert "4 of 5 reviews are of known items" in report.text
    assert (report.record()["reviews_of_known_items"], report.warnings) == (4, ())
    again = ingest_files(reviews, items=items, store=str(tmp_path / "s.db"))
    assert again.record()["reviews_of_known_items"] == 4
    others = write(tmp_path / "i.jsonl", {"item": "i-0", "title": "Tea"})
    report = ingest_files(reviews, items=others, store=str(tmp_path / "other.db"))
    (warning,) = report.record()["warnings"]
    assert warning.startswith("0 of 5 reviews are of known items")
    assert "'i0'" in warning
    assert "'i-0'" in warning
    assert warning in report.text


def test_data_read_again_with_other_columns_is_a_warning(tmp_path: Path) -> None:
    store, rows = str(tmp_path / "s.db"), [{**row, "day": "2020-01-02"} for row in REVIEWS]
    file = write(tmp_path / "r.jsonl", *rows)
    assert ingest_files(file, store=store).repeated == 0
    assert ingest_files(file, store=store).repeated == 0
    report = ingest_files(file, store=store, columns={"timestamp": "day"})
    assert (report.added, report.record()["repeated"]) == (len(REVIEWS), len(REVIEWS))
    assert f"{len(REVIEWS)} of {len(REVIEWS)} added reviews have user, item and text" in report.warnings[0]
    more = ingest_files(write(tmp_path / "more.jsonl", {**REVIEWS[0], "text": "Another text."}), store=store)
    assert (more.added, more.repeated) == (1, 0)


def test_reviews_with_and_without_a_time_are_reported(tmp_path: Path) -> None:
    rows = [{**REVIEWS[0], "date": 2011}, {**REVIEWS[1], "date": "soon"}, {**REVIEWS[2], "date": None}]
    report = ingest_files(write(tmp_path / "r.jsonl", *rows), store=str(tmp_path / "s.db"))
    assert "2 of 3 reviews have no timestamp: each counts as older" in report.text
    assert "1 rows read without their timestamp: bad timestamp" in report.text
    ticks = [{**row, "date": k} for k, row in enumerate(REVIEWS)]
    report = ingest_files(write(tmp_path / "t.jsonl", *ticks), store=str(tmp_path / "t.db"))
    assert "4 of 4 reviews have a timestamp before March 1973" in report.text
    assert report.record()["dated_before_1973"] == 4
