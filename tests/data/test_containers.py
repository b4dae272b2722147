"""What a file is told by its bytes: archives, encodings, separators; and folders in which not every file is reviews."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.data import columnar, open_items, open_reviews
from idiolect.data.rejects import CONTROLS, REMEDIES
from idiolect.data.text_rows import csv_rows
from idiolect.errors import InputError
from idiolect.store.ingestion import ingest_files

ROWS = [{"user": f"u{k}", "item": "i", "text": f"text {k}"} for k in range(5)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
TEXTS = [row["text"] for row in ROWS]


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def skippable(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A53, len(data)) + data


def tarred(files: dict[str, bytes], **how: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **how) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def texts(path: Path) -> list[str]:
    return [review.text for review in open_reviews(path)]


FILES = {"d/a.jsonl": LINES, "../../b.csv": b"user,item,text\nu,i,from b\n", "/README": b"read me", "d/._a.jsonl": b"x"}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd, lambda data: skippable(b"x" * 700) + zstd(data)])
@pytest.mark.parametrize("how", [{"format": tarfile.USTAR_FORMAT}, {"format": tarfile.PAX_FORMAT}])
def test_a_tar_archive_is_read_as_the_folder_it_holds(tmp_path: Path, pack: Any, how: dict[str, Any]) -> None:
    for name in ("r.tgz", "r.jsonl", "r"):
        path = tmp_path / name
        path.write_bytes(pack(tarred(FILES, **how)))
        file = open_reviews(path)
        assert [review.text for review in file] == ["from b", *TEXTS]
        assert file.skipped == {f"{path}//README": "of another kind"}
    assert not (tmp_path.parent / "b.csv").exists()


@pytest.mark.parametrize("cut", [700, 1200, 2000, -1024])
def test_a_damaged_tar_archive_says_so(tmp_path: Path, cut: int) -> None:
    data = tarred({"a.jsonl": LINES, "b.jsonl": LINES * 9, "c.jsonl": LINES})[: 512 * 12]
    (tmp_path / "r.tar").write_bytes(data[:cut])
    with pytest.raises(InputError, match="cut short or damaged"):
        texts(tmp_path / "r.tar")


def test_a_tar_archive_in_a_folder_or_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(tarred(FILES))
    with pytest.raises(InputError, match="is a tar archive") as caught:
        texts(tmp_path)
    assert "tar -xf" in caught.value.hint
    (tmp_path / "x.tar").write_bytes(tarred({"a.txt": b"x"}))
    with pytest.raises(InputError, match="without a file that can be read"):
        texts(tmp_path / "x.tar")
    long_name = tarfile.TarInfo("a")
    long_name.type, long_name.size = tarfile.XHDTYPE, 2**30
    (tmp_path / "x.tar").write_bytes(long_name.tobuf())
    with pytest.raises(InputError, match="more than a megabyte"):
        texts(tmp_path / "x.tar")


def test_frames_of_zstd_that_hold_no_data_are_read_over(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for data in (
        skippable(b"x" * 5000) + skippable(b"") + zstd(LINES),
        zstd(LINES[:60]) + skippable(b"abc") + zstd(LINES[60:]),
    ):
        path.write_bytes(data)
        assert texts(path) == TEXTS
    for data in (
        zstd(LINES) + b"garbage",
        gzip.compress(LINES, mtime=0) + b"garbage",
        zstd(LINES)[:-1],
        skippable(b"x") + LINES,
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match="cut short or damaged"):
            texts(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"\x04\x22\x4d\x18rest", "lz4"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"\n <!DOCTYPE HTML><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "LFS"),
        (gzip.compress(mtime=0, data=b"PK\x03\x04rest"), "unpacked, is a zip"),
        (gzip.compress(gzip.compress(LINES, mtime=0), mtime=0), "packed twice"),
        *((LINES.decode().encode(name), name.upper()) for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")),
        (LINES.decode().encode("utf-16"), "UTF-16"),
        (LINES.decode().encode("utf-32"), "UTF-32"),
        (gzip.compress(LINES.decode().encode("utf-16-le"), mtime=0), "UTF-16LE"),
    ],
)
@pytest.mark.parametrize("format", ["auto", "jsonl", "csv"])
def test_what_is_not_read_is_named_with_a_remedy(tmp_path: Path, content: bytes, what: str, format: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_reviews(tmp_path / "r.jsonl", format=format)
    assert what.replace("-LE", "LE").replace("-BE", "BE") in caught.value.message
    assert caught.value.hint


CELLS = st.text(st.sampled_from(' ab,;|\t"\n'), min_size=1).map(lambda text: f"x{text}")


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=8), separator=st.sampled_from(",;\t|"))
def test_the_separator_is_reported_by_the_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], separator: str
) -> None:
    def line(cells: tuple[str, ...]) -> str:
        return separator.join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"

    names = ("user", "item", "text", "rating")
    for name in ("r.csv", "r.tsv"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_text(separator.join(names) + "\n" + "".join(map(line, rows)), newline="")
        assert [row.cells for row in csv_rows(path)] == [dict(zip(names, row, strict=True)) for row in rows]


def test_a_name_of_a_column_may_hold_other_separators(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user;item;text, as written, in full\nu;i;mild\nv;i;strong\n")
    columns = {"text": "text, as written, in full"}
    assert [review.text for review in open_reviews(path, columns=columns)] == ["mild", "strong"]
    path.write_text("sep=^\nuser^item^text\nu^i^mild, I say\n")
    assert texts(path) == ["mild, I say"]


@pytest.mark.parametrize(
    ("content", "says"),
    [("user^item^text\nu^i^mild\n", "'^'"), ("user\x01item\x01text\nu\x01i\x01mild\n", "x01"), ("user\ru\r", "old")],
)
def test_another_separator_is_named(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "r.csv").write_text(content, newline="")
    with pytest.raises(InputError) as caught:
        texts(tmp_path / "r.csv")
    assert says in caught.value.message


def test_the_remedy_for_other_encodings_keeps_quotes_and_dashes() -> None:
    assert "CP1252" in REMEDIES["not UTF-8"]
    assert "LATIN1" not in REMEDIES["not UTF-8"]


def test_texts_of_cp1252_read_as_latin1_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    texts = ["it\u2019s \u2013 good", "caf\u00e9", "plain"]
    path.write_bytes("".join(["user,item,text\n", *(f"u,i,{text}\n" for text in texts)]).encode("cp1252"))
    path.write_text(path.read_bytes().decode("latin-1"), encoding="utf-8")  # what iconv -f LATIN1 does
    report = ingest_files(path, store=str(tmp_path / "s.db"))
    assert report.stored.reviews_added == 3
    assert report.record()["suspicious"] == {CONTROLS: 1}
    assert "1 rows stored with control characters U+0080 to U+009F" in report.text
    assert "CP1252" in report.text


def test_a_file_cut_short_says_how_many_rows_came_before(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(ROWS * 300)[:-20])
    file = open_reviews(tmp_path / "r.json")
    with pytest.raises(InputError, match=r"after 1,499 rows"):
        list(file)
    assert file.summary.accepted == 1499


REVIEW = {"review_id": "r", "user_id": "u", "business_id": "b", "stars": 4, "text": "Good.", "date": "2018-07-07"}
YELP: dict[str, dict[str, Any]] = {
    "business.json": {"business_id": "b", "name": "Cafe", "categories": "Cafes", "is_open": 1},
    "checkin.json": {"business_id": "b", "date": "2018-07-07, 2018-07-08"},
    "review.json": REVIEW,
    "tip.json": {"user_id": "u", "business_id": "b", "text": "Sit outside.", "date": "2012", "compliment_count": 0},
    "user.json": {"user_id": "u", "name": "Ann", "yelping_since": "2012"},
}


def test_a_folder_gives_what_its_review_files_hold_and_names_the_others(tmp_path: Path) -> None:
    for name, row in YELP.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    (tmp_path / "settings.json").write_text(json.dumps({"a": {"b": 1}}, indent=1))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("user,item,text\n")
    (tmp_path / "own.jsonl").write_bytes(LINES)
    reviews, items = open_reviews(tmp_path), open_items(tmp_path)
    assert [review.text for review in reviews] == [*TEXTS, "Good."]
    assert {item.title for item in items} >= {"Cafe"}
    why = {Path(name).name: reason for name, reason in reviews.skipped.items()}
    assert set(why) == {*YELP, "settings.json", "empty.csv", "header.csv"} - {"review.json"}
    assert "businesses" in why["business.json"]
    assert "tips" in why["tip.json"]
    assert "empty" in why["empty.csv"]
    assert texts(tmp_path / "tip.json") == ["Sit outside."]


def test_a_folder_without_reviews_or_with_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "user.json").write_text(json.dumps(YELP["user.json"]))
    (tmp_path / "business.json").write_text(json.dumps(YELP["business.json"]))
    with pytest.raises(InputError):
        open_reviews(tmp_path)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES)[:30])
    (tmp_path / "b.jsonl").write_bytes(LINES)
    with pytest.raises(InputError, match="cut short"):
        open_reviews(tmp_path)


TEXT = st.one_of(st.none(), st.text(max_size=30))
NESTED = pa.struct([("a", pa.string()), ("b", pa.list_(pa.string()))])
COLUMN = st.sampled_from([pa.string(), pa.large_string(), pa.list_(pa.string()), NESTED])


def some(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_list(kind):
        return st.one_of(st.none(), st.lists(TEXT, max_size=4))
    if pa.types.is_struct(kind):
        return st.one_of(st.none(), st.fixed_dictionaries({"a": TEXT, "b": st.lists(TEXT, max_size=3)}))
    return TEXT


def text_bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(text_bytes, value.values()))
    if isinstance(value, list):
        return sum(map(text_bytes, value))
    return len(value.encode()) if isinstance(value, str) else 0


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_rows_are_measured_before_they_are_made(data: st.DataObject) -> None:
    kind = data.draw(COLUMN)
    values = data.draw(st.lists(some(kind), max_size=12))
    start = data.draw(st.integers(0, len(values)))
    column = pa.array(values, kind)
    columns = [column, column.dictionary_encode()] if pa.types.is_string(kind) else [column]
    for one in columns:
        sizes = columnar._sizes(one.slice(start))
        assert sizes.shape == (len(values) - start,)
        assert all(size >= text_bytes(value) for size, value in zip(sizes, values[start:], strict=True))
        assert sizes.sum() <= sum(text_bytes(value) + 32 * 12 for value in values[start:])


@given(sizes=st.lists(st.integers(0, 3 * columnar._PIECE_BYTES)))
def test_pieces_cover_all_rows_and_stay_small(sizes: list[int]) -> None:
    pieces = list(columnar._pieces(np.array(sizes, np.int64)))
    assert [row for first, end in pieces for row in range(first, end)] == list(range(len(sizes)))
    assert all(end - first == 1 or sum(sizes[first:end]) <= columnar._PIECE_BYTES for first, end in pieces)


@pytest.mark.parametrize("how", [{}, {"store_schema": False}, {"nested": True}, {"column_encoding": "delta"}])
def test_a_table_that_expands_beyond_measure_is_refused_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    """At a hundredth of the size: the bounds are lowered, and the most that Arrow held is measured."""
    monkeypatch.setattr(columnar, "_EXPANDS_FROM", 2**21)
    monkeypatch.setattr(columnar, "_PIECE_BYTES", 2**18)
    n, nested = 2000, how.pop("nested", False)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["y" * 90_000]))
    if "column_encoding" in how:
        how = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "compression": "zstd"}
        texts = texts.dictionary_decode()
    text = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), texts) if nested else texts
    table = pa.table({"user": ["u"] * n, "item": ["i"] * n, "text": text})
    pq.write_table(table, tmp_path / "r.parquet", **how)
    del table, text, texts
    before = pa.total_allocated_bytes()
    most, made = 0, columnar._batch_cells

    def measured(batch: pa.RecordBatch) -> Any:
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)
        return made(batch)

    monkeypatch.setattr(columnar, "_batch_cells", measured)
    with pytest.raises(InputError, match="expands to more than") as caught:
        list(columnar.parquet_rows(tmp_path / "r.parquet"))
    assert caught.value.hint
    assert most < 2**24


def test_a_row_too_large_is_rejected_and_the_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "MAX_LINE", 5000)
    monkeypatch.setattr(columnar, "_PIECE_BYTES", 2500)
    rows = [*ROWS, {"user": "u", "item": "i", "text": "y" * 6000}, {"user": "u", "item": "i", "text": "last"}]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "r.parquet")
    with pa.OSFile(str(tmp_path / "r.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("r.parquet", "r.arrow"):
        rejects = []
        file = open_reviews(tmp_path / name, on_reject=rejects.append)
        assert [review.text for review in file] == [*TEXTS, "last"]
        assert [(one.line, one.reason) for one in rejects] == [(6, "line over 32 MiB")]


def _written(path: Path, column: pa.Array) -> Path:
    batch = pa.record_batch([pa.array(["u"] * len(column)), column], names=["user", "text"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return path


def _offsets(*places: int) -> pa.Buffer:
    return pa.py_buffer(np.array(places, np.int32))


WORDS = pa.py_buffer(b"hello world")
POINTING_OUT = {
    "text beyond its end": pa.Array.from_buffers(pa.string(), 3, [None, _offsets(0, 5, 4_000_000, 11), WORDS]),
    "text before its start": pa.Array.from_buffers(pa.string(), 3, [None, _offsets(0, -4000, 5, 11), WORDS]),
    "list": pa.Array.from_buffers(pa.list_(pa.int64()), 2, [None, _offsets(0, 9, 2)], children=[pa.array([1, 2])]),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 7], pa.int32()), pa.array(["a", "b"]), safe=False),
}


@pytest.mark.parametrize("column", POINTING_OUT.values(), ids=POINTING_OUT.keys())
@pytest.mark.parametrize("nested", [False, True])
def test_an_arrow_file_that_points_outside_of_itself_is_refused(tmp_path: Path, column: pa.Array, nested: bool) -> None:
    """Else other memory of the process would be read as text."""
    if nested:
        column = pa.StructArray.from_arrays([column], names=["inner"])
    with pytest.raises(InputError, match="not a readable table"):
        list(columnar.arrow_rows(_written(tmp_path / "r.arrow", column)))


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(2),
        pa.array([True, None]),
        pa.array([Decimal("1.5"), None], pa.decimal128(3, 1)),
        pa.array([1, None], pa.date64()),
        pa.array([b"ab", None], pa.binary(2)),
        pa.array([b"a", None], pa.large_binary()),
        pa.array(["a", None], pa.large_string()),
        pa.array(["a text of more than twelve bytes", None], pa.string_view()),
        pa.array([["a"], None], pa.large_list(pa.string())),
        pa.array([["a", "b"], None], pa.list_(pa.string(), 2)),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array(["a", None]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["a", "b"])),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_all_types_of_arrow_are_read(tmp_path: Path, column: pa.Array) -> None:
    found = [row.cells for row in columnar.arrow_rows(_written(tmp_path / "r.arrow", column))]
    assert [cells["text"] for cells in found] == column.to_pylist()


def test_a_text_of_an_arrow_file_that_is_not_utf8_rejects_its_row(tmp_path: Path) -> None:
    column = pa.array([b"fine", b"\xff", b"fine too"]).view(pa.string())
    found = [row.cells for row in columnar.arrow_rows(_written(tmp_path / "r.arrow", column))]
    assert found == [{"user": "u", "text": "fine"}, "not UTF-8", {"user": "u", "text": "fine too"}]


DOUBLED = '{"user": "u", "item": "i", "text": "one", "text": "two"}'


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("r.jsonl", "{}\n", "auto"),
        ("r.json", "[{}]", "auto"),
        ("r.json", "{}\n", "amazon2014"),
        ("r.json", "{}\n", "literal"),
    ],
)
def test_a_key_that_stands_twice_with_different_values_rejects_the_row(
    tmp_path: Path, name: str, content: str, format: str
) -> None:
    fine = {**ROWS[0], "text": "fine"}
    inner = '{"user": "u", "item": "i", "text": "t", "more": [{"a": 1, "a": 2}]}'
    same = '{"user": "u", "item": "i", "text": "same", "text": "same"}'
    rows, literal = [DOUBLED, inner, same, json.dumps(fine)], format == "literal"
    if format != "auto":
        rows = [row.replace('"item"', '"asin"').replace('"user"', '"reviewerID"') for row in rows]
        rows = [row.replace('"text"', '"reviewText"') for row in rows]
    if literal:
        rows = [row.replace('"', "'") for row in rows]
    between = ",\n" if content.startswith("[") else "\n"
    (tmp_path / name).write_text(content.replace("{}", between.join(rows)))
    rejects = []
    file = open_reviews(tmp_path / name, format="amazon2014" if literal else format, on_reject=rejects.append)
    assert [review.text for review in file] == ["same", "fine"]
    assert [(one.line, one.reason) for one in rejects] == [
        (1, "one key twice with different values"),
        (2, "one key twice with different values"),
    ]


def test_the_values_of_lists_may_all_be_in_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of many long texts beside many rows of none: their mean says nothing."""
    monkeypatch.setattr(columnar, "_EXPANDS_FROM", 2**21)
    monkeypatch.setattr(columnar, "MAX_LINE", 2**20)
    n, many = 4000, 2000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * many, pa.int32()), pa.array(["y" * 90_000]))
    lists = pa.ListArray.from_arrays(pa.array([0] + [many] * n, pa.int32()), texts)
    table = pa.table({"user": ["u"] * n, "item": ["i"] * n, "text": ["t"] * n, "more": lists})
    pq.write_table(table, tmp_path / "r.parquet")
    del table, texts, lists
    before, most, made = pa.total_allocated_bytes(), 0, columnar._sizes

    def measured(column: pa.Array) -> Any:
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)
        return made(column)

    monkeypatch.setattr(columnar, "_sizes", measured)
    with pytest.raises(InputError, match="expands to more than"):
        list(columnar.parquet_rows(tmp_path / "r.parquet"))
    assert most < 2**24


def test_runs_of_one_value_that_expand_beyond_measure_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "_EXPANDS_FROM", 2**21)
    lists = pa.ListArray.from_arrays(pa.array([0, 2_000_000], pa.int32()), pa.array([0] * 2_000_000, pa.int8()))
    pq.write_table(pa.table({"user": ["u"], "item": ["i"], "text": ["t"], "more": lists}), tmp_path / "r.parquet")
    with pytest.raises(InputError, match=r"more\.list.* expands to more than"):
        list(columnar.parquet_rows(tmp_path / "r.parquet"))


def test_a_user_that_is_an_object_is_refused_with_the_way_to_name_what_is_in_it(tmp_path: Path) -> None:
    path, store = tmp_path / "r.jsonl", str(tmp_path / "s.db")
    path.write_text(json.dumps({"user": {"id": "u"}, "item": "i", "text": "fine"}) + "\n")
    with pytest.raises(InputError, match="'wrong type: user'") as caught:
        ingest_files(path, store=store)
    assert "user='user.id'" in str(caught.value.hint)
    assert ingest_files(path, store=store, columns={"user": "user.id"}).reviews.accepted == 1
