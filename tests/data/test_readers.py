import csv
import gzip
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idiolect.data import RejectsWriter, open_items, open_reviews
from idiolect.errors import ConfigError, InputError

ROW = {
    "user_id": "u",
    "item_id": "i",
    "text": "good",
    "rating": 4.0,
    "title": "t",
    "timestamp": 1_300_000_000,
    "order": 3,
}


def write_jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_lines(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def reason_of(path: Path, **row: object) -> dict[str, int]:
    source = open_reviews(write_jsonl(path, ROW, ROW | row))
    assert len(list(source)) == 1
    return dict(source.summary.rejected)


def test_the_three_file_kinds_give_the_same_reviews(tmp_path: Path):
    rows = [ROW, ROW | {"text": 'fine,\n"quoted" é', "order": 4}]
    jsonl = write_jsonl(tmp_path / "r.jsonl", *rows)
    with (tmp_path / "r.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROW))
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    sources = [open_reviews(p) for p in (jsonl, tmp_path / "r.csv", tmp_path / "r.parquet")]
    assert [source.format for source in sources] == ["jsonl", "csv", "parquet"]
    first, second, third = (list(source) for source in sources)
    assert first == second == third
    assert (first[0].timestamp, first[0].order, first[0].rating) == (1_300_000_000, 3, 4.0)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_gzip_changes_nothing(tmp_path: Path, suffix: str):
    plain = tmp_path / f"r.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([ROW, ROW | {"text": "two"}]), plain)
    elif suffix == "jsonl":
        write_jsonl(plain, ROW, ROW | {"text": "two"})
    else:
        sep = b"\t" if suffix == "tsv" else b","
        write_lines(
            plain, *(sep.join(c) for c in ([b"user", b"item", b"text"], [b"u", b"i", b"one"], [b"u", b"j", b"2"]))
        )
    packed = tmp_path / f"r.{suffix}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    a, b = open_reviews(plain), open_reviews(packed)
    assert list(a) == list(b)
    assert (a.format, a.summary.accepted) == (b.format, 2)


def test_amazon_2014_reviews_and_literal_items_are_read(tmp_path: Path):
    reviews = open_reviews(
        write_jsonl(
            tmp_path / "reviews.json",
            {
                "reviewerID": "A",
                "asin": "B1",
                "reviewText": "x",
                "overall": 5.0,
                "summary": "s",
                "unixReviewTime": 1_300_000_000,
            },
        )
    )
    (review,) = reviews
    assert reviews.format == "amazon2014"
    assert (review.user, review.item, review.title, review.timestamp) == ("A", "B1", "s", 1_300_000_000)
    meta = write_lines(tmp_path / "meta.json", rb"{'asin': 'B1', 'title': 'Bob\'s', 'categories': [['CDs', 'Pop']]}")
    items = open_items(meta)
    (item,) = items
    assert items.format == "amazon2014"
    assert (item.id, item.title, item.category, item.description) == ("B1", "Bob's", "CDs", "")


def test_the_native_amazon_2014_files_agree_with_the_converted_ones(shared: Path):
    folder = shared / "data/digital_music"
    native, converted = open_reviews(folder / "amazon2014_reviews.json.gz"), open_reviews(folder / "reviews.jsonl.gz")
    pairs = list(zip(native, converted, strict=False))
    assert len(pairs) == 2000
    assert all(a == b for a, b in pairs)
    meta, items = open_items(folder / "amazon2014_meta.json.gz"), open_items(folder / "items.jsonl.gz")
    assert {i.id: i for i in meta} == {i.id: i for i in items}
    assert meta.summary.rejected == {}


def test_amazon_2023_takes_parent_asin_and_milliseconds(tmp_path: Path):
    row = {"user_id": "A", "asin": "V1", "parent_asin": "P1", "text": "x", "timestamp": 1588687728923}
    source = open_reviews(write_jsonl(tmp_path / "Books.jsonl", row), category="Books")
    (review,) = source
    assert source.format == "amazon2023"
    assert (review.item, review.timestamp) == ("Books/P1", 1588687728)


@pytest.mark.parametrize(
    ("description", "joined"),
    [
        ([], ""),
        (["Product Description"], ""),
        (["Product Description", "a", "b"], "a b"),
        (["a", "b"], "a b"),
        ("a", "a"),
        (None, ""),
    ],
)
def test_descriptions_are_joined_without_the_placeholder(tmp_path: Path, description: object, joined: str):
    (item,) = open_items(write_jsonl(tmp_path / "i.jsonl", {"parent_asin": "P", "description": description}))
    assert item.description == joined


def test_category_prefixes_items_only_when_asked(tmp_path: Path):
    path = write_jsonl(tmp_path / "i.jsonl", {"item_id": "1", "main_category": "Books"}, {"item_id": "2"})
    assert [(i.id, i.category) for i in open_items(path)] == [("1", "Books"), ("2", "")]
    assert [i.id for i in open_items(path, category="CDs")] == ["CDs/1", "CDs/2"]
    named = open_items(path, category="CDs", columns={"category": "main_category"})
    assert [i.id for i in named] == ["Books/1", "CDs/2"]
    reviews = write_jsonl(tmp_path / "r.jsonl", ROW | {"main_category": "Books"}, ROW)
    found = open_reviews(reviews, category="CDs", columns={"category": "main_category"})
    assert [r.item for r in found] == ["Books/i", "CDs/i"]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        (4_102_444_799, 4_102_444_799),
        (1588687728923456, 1588687728),
        (1588687728923456789, 1588687728),
        (1588687728923, 1588687728),
        ("1588687728", 1588687728),
        ("2020-05-05T14:08:48Z", 1588687728),
        ("2020-05-05 14:08:48", 1588687728),
        ("2020-05-05T16:08:48+02:00", 1588687728),
        ("1970-01-02", 86400),
        (2005, 1_104_537_600),
        ("2011", 1_293_840_000),
        (2011.0, 1_293_840_000),
        ("200803", 1_204_329_600),
        (20190423, 1_555_977_600),
        ("20190423101500", 1_556_014_500),
        (43831, 1_577_836_800),
        ("43831.5", 1_577_880_000),
        ("2008-03", 1_204_329_600),
        ("2008-3-1", 1_204_329_600),
        ("2018/11/10 9:05", 1_541_840_700),
        ("November 10, 2018", 1_541_808_000),
        ("10 Nov 2018", 1_541_808_000),
        ("Saturday, November 10th, 2018 at 5:03 pm", 1_541_869_380),
        ("11 10, 2018", 1_541_808_000),
        ("10.11.2018", 1_541_808_000),
        ("2018年11月10日", 1_541_808_000),
        ("Sat, 10 Nov 2018 14:03:00 +0100", 1_541_854_980),
        ("Sat Nov 10 14:03:00 +0000 2018", 1_541_858_580),
        ("2018-11-10 14:03:00 UTC", 1_541_858_580),
        ("2018-11-10T14:03:00.123456789+02:00", 1_541_851_380),
        ("1588687728.9", 1_588_687_728),
        (None, None),
        ("", None),
    ],
)
def test_timestamps_become_seconds(tmp_path: Path, cell: object, seconds: int | None):
    (review,) = open_reviews(write_jsonl(tmp_path / "r.jsonl", ROW | {"timestamp": cell}))
    assert review.timestamp == seconds


def test_parquet_dates_become_seconds(tmp_path: Path):
    times = pa.array([1_588_687_728_000_000_001], pa.timestamp("ns"))
    pq.write_table(pa.table({"user": ["u"], "item": [7], "text": ["x"], "date": times}), tmp_path / "r.parquet")
    (review,) = open_reviews(tmp_path / "r.parquet")
    assert (review.timestamp, review.item) == (1588687728, "7")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"user_id": ""}, "missing user"),
        ({"user_id": None}, "missing user"),
        ({"item_id": "  "}, "missing item"),
        ({"text": " \n"}, "missing text"),
        ({"text": 7}, "wrong type: text"),
        ({"user_id": ["u"]}, "wrong type: user"),
        ({"user_id": True}, "wrong type: user"),
        ({"text": math.nan}, "missing text"),
        ({"text": "nan"}, "missing text"),
        ({"user_id": math.nan}, "missing user"),
        ({"user_id": "None"}, "missing user"),
        ({"item_id": "nan"}, "missing item"),
        ({"item_id": 1.5}, "wrong type: item"),
        ({"item_id": 2.0**53}, "item lost digits as a float"),
        ({"item_id": "1.0715e+20"}, "item lost digits as a float"),
        ({"text": "a" * 1_000_001}, "text over 1,000,000 characters"),
        ({"text": "a" * 10_000_000}, "text over 1,000,000 characters"),
        ({"user_id": "a" * 1001}, "user over 1,000 characters"),
        ({"item_id": 10**1001}, "item over 1,000 characters"),
        ({"text": "a\0b"}, "NUL byte"),
        ({"text": "a\ud800b"}, "not UTF-8"),
    ],
)
def test_unusable_cells_are_rejected_with_their_reason(tmp_path: Path, cells: dict, reason: str):
    assert reason_of(tmp_path / "r.jsonl", **cells) == {reason: 1}


@pytest.mark.parametrize(
    ("field", "cell", "reason"),
    [
        ("title", {}, "wrong type: title"),
        ("title", 7, "wrong type: title"),
        ("title", math.nan, "wrong type: title"),
        ("title", "a\0b", "NUL byte"),
        ("rating", math.nan, "bad rating"),
        ("rating", "inf", "bad rating"),
        ("rating", "five", "bad rating"),
        ("rating", "1,000", "bad rating"),
        ("rating", "1_0", "bad rating"),
        ("rating", [5], "wrong type: rating"),
        ("rating", True, "wrong type: rating"),
        ("timestamp", "yesterday", "bad timestamp"),
        ("timestamp", 0, "bad timestamp"),
        ("timestamp", 99_999_999, "bad timestamp"),
        ("timestamp", "2018-02-30", "bad timestamp"),
        ("timestamp", -math.inf, "bad timestamp"),
        ("timestamp", "11/10/2018", "timestamp with day or month first"),
        ("timestamp", 1e300, "timestamp after 2099"),
        ("timestamp", 100_000_000_000, "timestamp after 2099"),
        ("timestamp", "2150-01-01", "timestamp after 2099"),
        ("timestamp", -1, "timestamp before 1970"),
        ("timestamp", 1965, "timestamp before 1970"),
        ("timestamp", "1969-12-31T23:59:59Z", "timestamp before 1970"),
        ("order", 1.5, "bad order"),
        ("order", 2**63, "bad order"),
        ("review_id", [], "wrong type: review_id"),
    ],
)
def test_an_optional_field_that_cannot_be_read_costs_itself_alone(
    tmp_path: Path, field: str, cell: object, reason: str
):
    source = open_reviews(write_jsonl(tmp_path / "r.jsonl", ROW, ROW | {field: cell}))
    first, second = source
    assert second.text == "good"
    assert (source.summary.accepted, source.summary.rejected) == (2, {})
    ((lost),) = source.summary.lost_fields
    assert (lost.name, lost.reason, lost.rows, lost.line) == (field, reason, 1, 2)
    if field not in ("order", "review_id"):
        assert getattr(second, field) == (None if field != "title" else "")
    assert first.rating == 4.0


@pytest.mark.parametrize(
    ("cell", "rating"),
    [("4,5", 4.5), ("3/5", 3.0), ("★★★★", 4.0), ("★★★☆☆", 3.0), ("4.0 out of 5 stars", 4.0), (-1, -1.0), ("1e9", 1e9)],
)
def test_ratings_are_read_as_people_write_them(tmp_path: Path, cell: object, rating: float):
    (review,) = open_reviews(write_jsonl(tmp_path / "r.jsonl", ROW | {"rating": cell}))
    assert review.rating == rating


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not an object"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "\0"}', "NUL byte"),
    ],
)
def test_unusable_lines_are_rejected_with_their_reason(tmp_path: Path, line: bytes, reason: str):
    source = open_reviews(write_lines(tmp_path / "r.jsonl", json.dumps(ROW).encode(), b"", line))
    assert len(list(source)) == 1
    assert source.summary.rejected == {reason: 1}


def test_csv_rows_that_do_not_fit_are_rejected_where_they_begin(tmp_path: Path):
    rejects = []
    path = write_lines(
        tmp_path / "r.csv", b"\xef\xbb\xbfuser,item,text", b'u,i,"two', b'lines"', b"u,i", b"u,i,\xff", b'u,i,"open'
    )
    assert [r.text for r in open_reviews(path, on_reject=rejects.append)] == ["two\nlines"]
    assert [(r.line, r.reason) for r in rejects] == [(4, "wrong number of columns"), (5, "not UTF-8"), (6, "not CSV")]


def test_parquet_rows_that_are_no_utf8_are_rejected(tmp_path: Path):
    texts = pa.array([b"good", b"\xff", b"fine"]).view(pa.string())
    table = pa.table({"user": ["a", "b", "c"], "item": ["i"] * 3, "text": texts})
    pq.write_table(table, tmp_path / "r.parquet")
    source = open_reviews(tmp_path / "r.parquet")
    assert [r.user for r in source] == ["a", "c"]
    assert source.summary.rejected == {"not UTF-8": 1}


def test_review_ids_are_the_rows_own_or_stable_digests(tmp_path: Path):
    path = write_jsonl(tmp_path / "r.jsonl", ROW, ROW | {"review_id": 12}, ROW | {"text": "other"})
    first, second = list(open_reviews(path)), list(open_reviews(path))
    assert first == second
    assert first[1].id == "12"
    assert len({r.id for r in first}) == 3
    assert first[0].id == next(iter(open_reviews(write_jsonl(tmp_path / "again.jsonl", ROW)))).id


def test_order_is_the_rows_place_where_it_has_none(tmp_path: Path):
    row = {key: ROW[key] for key in ("user_id", "item_id", "text")}
    path = write_lines(tmp_path / "r.jsonl", *[json.dumps(row).encode(), b"bad", json.dumps(row).encode()])
    assert [r.order for r in open_reviews(path)] == [0, 2]


def test_named_columns_win_over_aliases(tmp_path: Path):
    path = write_jsonl(tmp_path / "r.jsonl", ROW | {"who": "me"})
    (review,) = open_reviews(path, columns={"user": "who"})
    assert review.user == "me"


def test_a_column_may_be_said_to_be_none(tmp_path: Path):
    path = write_jsonl(tmp_path / "r.jsonl", ROW | {"rating": 5321})
    assert [review.rating for review in open_reviews(path)] == [5321.0]
    (review,) = open_reviews(path, columns={"rating": "-"})
    assert review.rating is None


def test_a_field_that_first_appears_far_below_is_found(tmp_path: Path):
    plain = {key: ROW[key] for key in ("user_id", "item_id", "text")}
    path = write_jsonl(tmp_path / "r.jsonl", *[plain] * 1500, ROW)
    assert list(open_reviews(path))[-1].rating == 4.0


def test_an_explicit_format_overrides_the_name(tmp_path: Path):
    path = write_jsonl(tmp_path / "reviews.csv", ROW)
    source = open_reviews(path, format="jsonl")
    assert (source.format, len(list(source))) == ("jsonl", 1)


def test_mistakes_in_arguments_are_reported(tmp_path: Path):
    path = write_jsonl(tmp_path / "r.jsonl", ROW)
    with pytest.raises(ConfigError, match=r"unknown format 'parket'.*parquet"):
        open_reviews(path, format="parket")
    with pytest.raises(ConfigError, match=r"unknown field 'usr'.*user"):
        open_reviews(path, columns={"usr": "user_id"})
    with pytest.raises(InputError, match=r"no column 'user_i'.*user_id"):
        open_reviews(path, columns={"user": "user_i"})
    with pytest.raises(InputError, match="no column for 'text'"):
        open_reviews(write_jsonl(tmp_path / "no_text.jsonl", {"user": "u", "item": "i", "txt": "x"}))


def bad_files(folder: Path) -> dict[str, Path]:
    row = json.dumps(ROW).encode() + b"\n"
    packed = gzip.compress(row * 5000)
    contents = {
        "empty.jsonl": b"",
        "empty.jsonl.gz": gzip.compress(b""),
        "blank.jsonl": b"\n\n",
        "header_only.csv": b"user,item,text\n",
        "cut_early.jsonl.gz": packed[:30],
        "corrupt.jsonl.gz": packed[:40] + b"\xff" * 40 + packed[80:],
        "broken.parquet": b"PAR1 but nothing more",
        "text.parquet": b"hello",
        "mystery.bin": b"\x00\x01\x02",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents} | {"missing": folder / "none.jsonl", "folder": folder}


def test_files_that_cannot_be_read_raise_one_error_with_a_hint(tmp_path: Path):
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(InputError) as caught:
            list(open_reviews(path))
        assert caught.value.hint, name
        assert "\n" not in caught.value.message, name


def test_a_truncated_gzip_raises_after_the_rows_before_the_cut(tmp_path: Path):
    path = tmp_path / "r.jsonl.gz"
    rows = b"".join(json.dumps(ROW | {"text": str(n * 7919 % 10007)}).encode() + b"\n" for n in range(20_000))
    path.write_bytes(gzip.compress(rows)[:-2000])
    source = open_reviews(path)
    with pytest.raises(InputError, match="cut short"):
        list(source)
    assert source.summary.accepted > 1000


def test_the_rejects_file_appears_whole(tmp_path: Path):
    path = write_lines(tmp_path / "r.jsonl", json.dumps(ROW).encode(), b"bad" * 200)
    target = tmp_path / "deep" / "rejects.jsonl"
    with RejectsWriter(target) as rejects:
        assert len(list(open_reviews(path, on_reject=rejects))) == 1
    (line,) = target.read_text().splitlines()
    assert json.loads(line) == {"file": str(path), "line": 2, "reason": "not JSON", "raw_start": ("bad" * 200)[:200]}

    def interrupted() -> None:
        with RejectsWriter(target):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in target.parent.iterdir()] == ["rejects.jsonl"]
    assert json.loads(target.read_text())["line"] == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
rows = st.dictionaries(st.sampled_from(list(ROW)), json_values) | st.fixed_dictionaries(
    {"user_id": json_values, "item_id": json_values, "text": json_values, "timestamp": json_values}
)
lines = (
    rows.map(lambda row: json.dumps(row).encode())
    | st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"").replace(b"\x1f\x8b", b""))
    | st.just(json.dumps(ROW).encode())
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(lines, min_size=1, max_size=12))
def test_accepted_and_rejected_make_up_what_was_read(tmp_path: Path, content: list[bytes]):
    plain, packed = tmp_path / "r.jsonl", tmp_path / "r.jsonl.gz"
    plain.write_bytes(b"\n".join([json.dumps(ROW).encode(), *content]))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    rejects = []
    source, same = open_reviews(plain, format="jsonl", on_reject=rejects.append), open_reviews(packed, format="jsonl")
    accepted = list(source)
    summary = source.summary
    assert summary.accepted + sum(summary.rejected.values()) == summary.read
    assert (summary.accepted, summary.read - summary.accepted) == (len(accepted), len(rejects))
    assert summary.read == 1 + sum(bool(line.strip()) for line in content)
    assert accepted == list(same)
    assert same.summary == summary
