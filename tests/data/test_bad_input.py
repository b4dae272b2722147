"""Generated bad files: no traceback, no hang, every row accounted for, no good row lost."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from idiolect.data import open_items, open_reviews
from idiolect.data.files import MAX_LINE
from idiolect.data.text_rows import csv_rows
from idiolect.errors import IdiolectError
from idiolect.store.ingestion import ingest_files

FIELDS = ["user_id", "item_id", "text", "rating", "title", "timestamp", "review_id"]
VALUES: list[Any] = [
    *[
        None,
        "",
        " ",
        "\x00",
        "\ud800",
        "é" * 40,
        '"',
        "'",
        ",",
        "\n",
        "[",
        "{}",
        "NaN",
        "-1",
        "1e999",
        "²",
        "٣",
        "--5",
        "1_0",
    ],
    *[True, 0, -1, -(10**12), 10**12, 10**20, 10**400, 0.5, -0.0, float("nan"), float("inf"), 1e300, 4_102_444_800],
    *[[], {}, [1], {"a": None}, [[[]]], "2020-13-45", "0001-01-01", "9999-12-31T23:59:59-23:59", "12:00", "2020-W01-1"],
]
LINES = [
    *[
        b"{",
        b"}",
        b"[",
        b"null",
        b"NaN",
        b"1" * 5000,
        b"[" * 3000,
        b'{"a":' * 2000,
        b"\x00" * 9,
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ],
    *[
        b"{[]: 1}",
        b"{'a': [1,}",
        b"{1: 2}",
        b"{'user_id': b'x'}",
        b"{'a': {}, **{}}",
        b"{'t': '\\x'}",
        b"{...}",
        b"{'a': 1j}",
    ],
    *[b"{'rating': {1}}", b"u,i", b'u,i,"open', b'"a"b,c', b";;;;", b"\t\t", b"\r", b"{'a': " + b"-" * 900 + b"1}"],
]


class Case(NamedTuple):
    name: str
    content: bytes
    good: set[str] | None
    """Texts that must be read; None where the file itself is damaged."""


def good_row(rng: random.Random, k: int) -> dict[str, Any]:
    row = {"user_id": f"u{rng.randrange(5)}", "item_id": f"i{rng.randrange(5)}", "text": f"good text number {k}"}
    return row | {
        "rating": rng.choice([1, 2.5, 5]),
        "title": f"title {k}",
        "timestamp": 1_600_000_000 + k,
        "review_id": f"r{k}",
    }


def bad_row(rng: random.Random, k: int) -> dict[str, Any]:
    row: dict[str, Any] = good_row(rng, k) | {"text": f"bad {k}", "review_id": f"b{k}"}
    for field in rng.sample(FIELDS, rng.randint(1, 3)):
        if rng.random() < 0.3:
            row.pop(field)
        else:
            row[field] = rng.choice(VALUES)
    return row


def mutated(rng: random.Random, line: bytes) -> bytes:
    """A line with a few bytes changed, dropped or doubled, still one line."""
    data = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data))
        data[place : place + rng.randint(0, 2)] = rng.choice(
            [b"", b'"', b"\\", b"\x00", b"\xff", b"{", b",", b"'", b"\xf0\x9f"]
        )
        data = data or bytearray(b"x")
    return bytes(data).replace(b"\n", b"")


def line_file(rng: random.Random) -> Case:
    """JSON lines, good ones among bad ones."""
    good, lines = set(), []
    for k in range(rng.randint(1, 12)):
        if rng.random() < 0.5 or not good:
            row = good_row(rng, k)
            good.add(row["text"])
            lines.append(json.dumps(row).encode())
        else:
            line = json.dumps(bad_row(rng, k)).encode()
            lines.append(rng.choice([line, mutated(rng, line), rng.choice(LINES), rng.randbytes(rng.randint(1, 60))]))
    lines = [line.replace(b"\n", b"") for line in lines]
    return Case("r.jsonl", rng.choice([b"", b"\xef\xbb\xbf"]) + rng.choice([b"\n", b"\r\n"]).join(lines), good)


def csv_file(rng: random.Random) -> Case:
    """CSV, with lines that are no CSV or of other shapes among good ones."""
    good, lines = set(), [",".join(FIELDS).encode()]
    for k in range(rng.randint(1, 12)):
        row = good_row(rng, k) | {"title": rng.choice(["plain", "two\nlines", 'some "words"', "a, b"])}
        if rng.random() < 0.6 or not good:
            good.add(row["text"])
            lines.append(csv_line(list(row.values())))
        else:
            line = csv_line([row.get(field, "") for field in FIELDS]).replace(b"good", b"bad").replace(b"\n", b" ")
            lines.append(
                rng.choice([b'u,i,"open', b'u,"i"x,t', b"one", b",,,,,,", line[:-9], b"\xff,i,t,,,,", line + b",more"])
            )
    return Case(rng.choice(["r.csv", "r.tsv"]), b"\n".join(lines), good)


def csv_line(cells: list[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().removesuffix("\n").encode("utf-8", "surrogatepass")


def array_file(rng: random.Random) -> Case:
    """One JSON array with bad values among good ones."""
    rows = [good_row(rng, 0), *[rng.choice([good_row, bad_row])(rng, k) for k in range(1, rng.randint(2, 9))]]
    values = [*rows, *rng.choices([v for v in VALUES if v is not None], k=rng.randint(0, 3))]
    good = {row["text"] for row in rows if str(row.get("text")).startswith("good")}
    return Case("r.json", json.dumps(values, indent=rng.choice([None, 1])).encode(), good)


def table_file(rng: random.Random) -> Case:
    """Parquet with nulls, wrong types and impossible values in whole columns or single cells."""
    rows = [good_row(rng, k) for k in range(rng.randint(1, 8))]
    table = pa.Table.from_pylist(rows)
    if rng.random() < 0.5:
        column = rng.choice(["rating", "timestamp", "title"])
        spoilt = pa.array([rng.choice([None, -1, 10**12, 5]) for _ in rows], pa.int64())
        table = table.set_column(table.schema.get_field_index(column), column, spoilt)
    out = io.BytesIO()
    pq.write_table(table, out)
    return Case("r.parquet", out.getvalue(), None)


def damaged_file(rng: random.Random) -> Case:
    """Any of the above cut, packed and cut, called by another name, or with bytes turned."""
    name, content, _ = rng.choice([line_file, csv_file, array_file, table_file])(rng)
    pack = rng.choice([None, gzip.compress, lambda data: pa.compress(data, codec="zstd", asbytes=True)])
    data = bytearray(pack(content) if pack else content)
    for _ in range(rng.randint(0, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    name = rng.choice([name, name, "r.csv", "r.parquet", "r.json", "r.arrow", "r", "r.gz", "r.jsonl.zst"])
    return Case(name, bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.6 else data), None)


KINDS: list[Callable[[random.Random], Case]] = [line_file, csv_file, array_file, table_file, damaged_file]


def check(seed: int, folder: Path) -> None:
    """One generated input: read, and now and then ingested."""
    rng = random.Random(seed)
    case = KINDS[seed % len(KINDS)](rng)
    path = folder / case.name
    path.write_bytes(case.content)
    start, rejects, refused = time.process_time(), [], None
    try:
        source = open_reviews(path, on_reject=rejects.append)
        accepted = list(source)
    except IdiolectError as error:
        refused = error
    if refused is not None:
        assert case.good is None, f"{seed}: {refused}"
        assert refused.message.strip(), seed
        assert "\n" not in refused.message, seed
    else:
        summary = source.summary
        assert summary.read == len(accepted) + len(rejects), seed
        assert summary.rejected == Counter(r.reason for r in rejects), seed
        assert all(r.line > 0 and len(r.raw_start) <= 200 for r in rejects), seed
        assert case.good is None or case.good <= {review.text for review in accepted}, seed
        if seed % 100 < len(KINDS):
            check_ingest(path, len(rejects), {review.id for review in accepted}, folder / "s.db")
    path.unlink()
    assert time.process_time() - start < 20, seed


def check_ingest(path: Path, rejected: int, ids: set[str], store: Path) -> None:
    store.unlink(missing_ok=True)
    report = ingest_files(path, store=str(store), max_rejects=1)
    listed = report.rejects.read_text().splitlines() if report.rejects else []
    assert report.stored.reviews_added == len(ids)
    assert len(listed) == rejected + len(report.stored.refused)
    again = ingest_files(path, store=str(store), max_rejects=1)
    assert again.stored.reviews_added == 0


def test_hundreds_of_bad_inputs_are_survived(tmp_path: Path) -> None:
    for seed in range(300):
        check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_bad_inputs_are_survived(tmp_path: Path) -> None:
    for seed in range(10_000):
        check(seed, tmp_path)


GOOD = b'{"user": "u", "item": "i", "text": "good"}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{[]: 1}", "not JSON"),
        (b"{'user': 'u'}", "missing item"),
        (b'{"user": "u", "item": "i", "text": "t", "rating": ' + b"1" * 5000 + b"}", "not JSON"),
        (b"\x00" * 50, "NUL byte"),
        (b'{"user": "u", "item": "i", "text": "' + b"a" * 10_000_000 + b'"}', "text over 1,000,000 characters"),
    ],
    ids=["unhashable literal", "literal", "number of 5000 digits", "NUL bytes", "text of 10 MB"],
)
def test_lines_that_once_failed_or_might(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(GOOD + b"\n" + line + b"\n" + GOOD.replace(b"good", b"after"))
    rejects = []
    source = open_reviews(tmp_path / "r.jsonl", format="amazon2014", on_reject=rejects.append)
    assert [r.text for r in source] == ["good", "after"]
    assert [(r.line, r.reason) for r in rejects] == [(2, reason)]


def test_python_literals_among_json_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(GOOD + b"\n{'user': 'u'}\n")
    source = open_reviews(tmp_path / "r.jsonl")
    assert len(list(source)) == 1
    assert source.summary.rejected == {"Python literal, not JSON": 1}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_line_of_100_mb_is_read_over(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    first, good = (b"user,item,text\n", b"u,i,good\n") if suffix == "csv" else (b"", GOOD + b"\n")
    with path.open("wb") as file:
        file.write(first + good)
        for _ in range(100):
            file.write(b"a" * 2**20)
        file.write(b"\n" + good.replace(b"good", b"after"))
    rejects = []
    source = open_reviews(path, on_reject=rejects.append)
    assert [r.text for r in source] == ["good", "after"]
    assert [(r.reason, len(r.raw_start)) for r in rejects] == [("line over 32 MiB", 200)]
    assert MAX_LINE < 100 * 2**20


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('user,item,text\nu,i,"open\n' + "".join(f"u,i,text {k}\n" for k in range(3000)))
    source = open_reviews(path)
    assert len(list(source)) == 3000
    assert source.summary.rejected == {"not CSV": 1}
    assert [row.line for row in csv_rows(path)] == list(range(2, 3003))


@pytest.mark.parametrize("header", [b"\n", b'"a"b,c\n', b'"open\n'])
def test_a_header_that_is_none_is_one_error(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "r.csv").write_bytes(header + b"u,i,t\n")
    with pytest.raises(IdiolectError, match="line 1") as caught:
        open_reviews(tmp_path / "r.csv")
    assert caught.value.hint


def test_items_survive_what_reviews_survive(tmp_path: Path) -> None:
    for seed in range(0, 100):
        case = KINDS[seed % len(KINDS)](random.Random(seed))
        path = tmp_path / case.name
        path.write_bytes(case.content)
        try:
            items = open_items(path)
            n_items = len(list(items))
        except IdiolectError:
            continue
        assert items.summary.accepted == n_items
