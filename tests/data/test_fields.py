"""What one cell is taken for: ids in one spelling, times by size and shape, lists that a table wrote as text."""

from __future__ import annotations

import csv
import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from idiolect.data import open_items, open_reviews
from idiolect.data.records import ReviewBuilder
from idiolect.data.rejects import UnusableRow
from idiolect.data.times import FIRST_SECOND, LATEST, Ticks, parse_timestamp
from idiolect.data.values import clean_id, parse_category, parse_description, parse_id, parse_rating, unwritten

MOMENTS = st.integers(FIRST_SECOND + 1, LATEST - 1)
NO_IDS = {"nan", "NaN", "NAN", "None", "none", "NONE", "null", "Null", "NULL", "<NA>", "NaT"}
REAL_IDS = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() and text.strip() not in NO_IDS)


@given(MOMENTS)
def test_a_moment_is_the_same_in_every_way_to_write_it(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    east = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    written: list[Any] = [
        seconds,
        float(seconds),
        seconds + 0.75,
        str(seconds),
        Decimal(seconds),
        *(seconds * 1000**k + (1000**k - 1) for k in (1, 2, 3)),
        *(str(seconds * 1000**k) for k in (1, 2, 3)),
        moment,
        east,
        moment.isoformat(),
        east.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{moment:%Y-%m-%dT%H:%M:%S}.987654321Z",
        f"{moment:%Y%m%d%H%M%S}",
        format_datetime(moment),
        format_datetime(east),
        moment.ctime(),
        f"{moment:%d %b %Y %H:%M:%S} GMT",
        f"{moment:%B %d, %Y %I:%M:%S %p}",
    ]
    assert {repr(one): parse_timestamp(one) for one in written} == {repr(one): seconds for one in written}


@given(MOMENTS)
def test_a_day_is_the_same_in_every_way_to_write_it(seconds: int) -> None:
    day = datetime.fromtimestamp(seconds - seconds % 86_400, UTC)
    number = (day - datetime(1899, 12, 30, tzinfo=UTC)).days
    written: list[Any] = [
        day.date(),
        number,
        float(number),
        str(number),
        int(f"{day:%Y%m%d}"),
        f"{day:%Y%m%d}",
        f"{day:%Y-%m-%d}",
        f"{day.year}-{day.month}-{day.day}",
        f"{day:%Y/%m/%d}",
        f"{day:%d.%m.%Y}",
        f"{day:%B %d, %Y}",
        f"{day:%b} {day.day}, {day.year}",
        f"{day:%d %B %Y}",
        f"{day:%d-%b-%Y}",
        f"{day:%m} {day.day}, {day.year}",
    ]
    expected = int(day.timestamp())
    assert {repr(one): parse_timestamp(one) for one in written} == {repr(one): expected for one in written}


@given(st.integers(1970, 2099), st.integers(1, 12))
def test_a_year_is_a_year_and_a_month_a_month(year: int, month: int) -> None:
    january, first = (int(datetime(year, m, 1, tzinfo=UTC).timestamp()) for m in (1, month))
    assert {parse_timestamp(one) for one in (year, str(year), float(year), f"{year}.0")} == {january}
    assert {parse_timestamp(one) for one in (f"{year}-{month}", f"{year}-{month:02}", year * 100 + month)} == {first}


@given(st.integers() | st.floats() | st.decimals() | st.text(max_size=30) | st.datetimes() | st.dates())
def test_a_time_is_a_moment_since_1970_or_no_time(value: Any) -> None:
    try:
        seconds = parse_timestamp(value)
    except UnusableRow:
        return
    assert seconds is None or 0 <= seconds < LATEST


@pytest.mark.parametrize(
    ("cells", "ticks"),
    [
        ([1, 2, 3], True),
        ([1_037_000, "1021000", None], True),
        ([2005, 2011], False),
        ([2005, 2011, 5], False),
        ([5, "2020-01-01"], False),
        ([5, 1_600_000_000], False),
        (["", None, "x"], False),
        (["x", 7], True),
    ],
)
def test_numbers_that_are_no_times_are_ticks_if_the_whole_column_is(cells: list[Any], ticks: bool) -> None:
    seen = Ticks()
    for cell in cells:
        seen.note(cell)
    assert seen.found == ticks


def test_ticks_are_kept_for_their_order(tmp_path: Path) -> None:
    rows = [{"user": "u", "item": f"i{k}", "text": "t", "time": 30 - k} for k in range(3)]
    source = open_reviews(written(tmp_path / "r.jsonl", rows))
    assert [review.timestamp for review in source] == [30, 29, 28]
    rows.append({"user": "u", "item": "j", "text": "t", "time": "2020-01-01"})
    assert [review.timestamp for review in open_reviews(written(tmp_path / "r.jsonl", rows))][:3] == [None] * 3


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as JSON lines, CSV or Parquet."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=4, unique=True))
def test_an_integer_id_has_one_spelling_in_every_container(tmp_path: Path, numbers: list[int]) -> None:
    found = set()
    for suffix in ("jsonl", "csv", "parquet"):
        for kind in (int, float, str):
            rows = [{"user": kind(number), "item": "i", "text": "words"} for number in numbers]
            if suffix == "csv" and kind is float:  # as tables write them, without an exponent
                rows = [{**row, "user": f"{number}.0"} for row, number in zip(rows, numbers, strict=True)]
            found.add(tuple(r.user for r in open_reviews(written(tmp_path / f"r.{suffix}", rows))))
    assert found == {tuple(map(str, numbers))}


@given(st.integers(-(10**40), 10**40))
def test_an_integer_of_any_size_is_its_digits(number: int) -> None:
    assert parse_id(number, "user") == parse_id(str(number), "user") == parse_id(Decimal(number), "user") == str(number)


@given(REAL_IDS)
def test_an_id_does_not_depend_on_blanks_or_on_how_letters_are_composed(text: str) -> None:
    one = clean_id(text)
    assert clean_id(one) == one == clean_id(f" \t{text}\n") == clean_id(unicodedata.normalize("NFD", text).strip())


@given(st.text("0123456789", min_size=1, max_size=40))
def test_leading_zeros_stay(digits: str) -> None:
    assert parse_id(f"00{digits}", "item") == f"00{digits}"


def test_ids_that_are_not_all_floats_keep_their_point(tmp_path: Path) -> None:
    rows = [{"user": user, "item": item, "text": "t"} for user, item in [("1.0", "1.0"), ("", "7"), ("2.0", "v1.0")]]
    assert [(r.user, r.item) for r in open_reviews(written(tmp_path / "r.csv", rows))] == [("1", "1.0"), ("2", "v1.0")]
    (item,) = open_items(written(tmp_path / "i.csv", [{"item": "501.0", "title": "Tea"}]))
    assert item.id == "501"


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        ("['a', 'b']", "a b"),
        ("[u'a', u\"it's\"]", "a it's"),
        ("['a' 'b']", "a b"),
        ("['a'\n 'b']", "a b"),
        ("[array(['a', 'b'], dtype=object)]", "a b"),
        ("u'a'", "a"),
        ("['Product Description', 'a']", "a"),
        ('["a", null, 3]', "a 3"),
        ("{'k': 1}", "k: 1"),
        ({"k": ["a", "b"]}, "k: a b"),
        ("[Imported] a (rare) CD", "[Imported] a (rare) CD"),
        ("[]", ""),
        (float("nan"), ""),
    ],
)
def test_lists_that_a_table_wrote_as_text_are_lists(written: Any, joined: str) -> None:
    assert parse_description(written) == joined


@pytest.mark.parametrize(
    ("written", "first"),
    [
        ("['Books', 'Fiction']", "Books"),
        ("[['CDs', 'Pop']]", "CDs"),
        ("['CDs' 'Pop']", "CDs"),
        ("{'Music': 17}", "Music"),
        ("Bars, Food", "Bars, Food"),
        ("[]", ""),
    ],
)
def test_the_category_is_the_first_of_a_list(written: str, first: str) -> None:
    assert parse_category(written) == first


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_what_python_and_json_write_comes_back(texts: list[str]) -> None:
    if not any("\0" in text for text in texts):
        assert unwritten(repr(texts)) == unwritten(json.dumps(texts)) == texts


@pytest.mark.parametrize("text", ["[" * 90_000, "[" + "-" * 90_000 + "1]", "{'a':" * 15_000, "[" + "9" * 90_000 + "]"])
def test_text_that_is_no_list_is_left_alone(text: str) -> None:
    assert unwritten(text) == text
    assert unwritten("{'a': __import__('os').getpid()}") == "{'a': __import__('os').getpid()}"


@given(st.integers() | st.floats() | st.text(max_size=20) | st.none() | st.lists(st.none(), max_size=1))
def test_a_rating_is_a_finite_number_or_none(value: Any) -> None:
    try:
        rating = parse_rating(value)
    except UnusableRow:
        return
    assert rating is None or (abs(rating) < float("inf") and str(rating) != "-0.0")


CELLS = {
    "user": st.sampled_from(["ann", " ann ", "", "nan", "1e+5", "Jos\u00e9", "a\0", 7, 7.0, None, "x" * 1001]),
    "item": st.sampled_from(["tea", "tea ", "  ", "None", "1.5E+20", "\ufeff", 1.5, None]),
    "review_id": st.sampled_from(["r1", " r1", "", "null", "+", "r" * 1001, 3, None]),
    "text": st.sampled_from(["Too sweet.", "None", "nan", " \t", "", "\u201cso\u201d", "a\0b", "\ud800", 5, None]),
    "title": st.sampled_from(["Hm", "", "nan", "a\0", "caf\u00e9", ["one"], 4, None]),
    "rating": st.sampled_from([4.0, -0.0, float("nan"), float("inf"), 4, "4", "4/5", True, None]),
    "timestamp": st.sampled_from([10**9, 10**12, 5, 0, 1e9, "2018-11-10", True, None]),
}
USUAL = {"user": "ann", "item": "tea", "review_id": "r1", "text": "Too sweet.", "title": "Hm", "rating": 4.0,
         "timestamp": 10**9}  # fmt: skip


@given(
    unusual=st.dictionaries(st.sampled_from(sorted(CELLS)), st.none(), max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: CELLS[name] for name in names})
    ),
    absent=st.sets(st.sampled_from(sorted(USUAL)), max_size=2),
    category=st.sampled_from(["", "c"]),
)
def test_a_usual_row_gives_the_review_that_all_checks_give(unusual, absent, category):
    build = ReviewBuilder(columns={name: name for name in USUAL}, category=category)
    cells = {name: cell for name, cell in {**USUAL, **unusual}.items() if name not in absent}
    found = build._plain(cells, 3)
    event("usual" if found else "unusual")
    if found is not None:
        lost = []
        assert found == build._any(cells, 3, lambda *said: lost.append(said))
        assert repr(found) == repr(build._any(cells, 3, lambda *said: None))
        assert not lost
    if not unusual and not absent:
        assert found is not None
