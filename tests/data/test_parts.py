"""Where a corpus may be: packed files, folders, patterns, standard input, the hub."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from idiolect.data import open_items, open_reviews
from idiolect.data.parts import default_rejects, find_parts
from idiolect.errors import InputError, MissingDependencyError

ROWS = [{"user": f"u{k}", "item": "i", "text": f"text {k}"} for k in range(5)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
TEXTS = [row["text"] for row in ROWS]


def texts(where: Path | str, **settings: Any) -> list[str]:
    return [review.text for review in open_reviews(where, **settings)]


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda data: zstd(data[:60]) + zstd(data[60:])])
@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.zst", "r.jsonl.gz", "r.json"])
def test_packed_files_are_known_by_their_bytes(tmp_path: Path, pack: Any, name: str) -> None:
    (tmp_path / name).write_bytes(pack(LINES))
    assert texts(tmp_path / name) == TEXTS


@pytest.mark.parametrize("cut", [5, 20, -4])
def test_a_truncated_archive_says_so(tmp_path: Path, cut: int) -> None:
    for name, packed in (("r.jsonl.zst", zstd(LINES)), ("r.jsonl.gz", gzip.compress(LINES))):
        (tmp_path / name).write_bytes(packed[:cut])
        with pytest.raises(InputError, match="cut short or damaged"):
            texts(tmp_path / name)


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ", "xz"), ("a".encode("utf-16"), "UTF-16")],
)
def test_what_is_not_read_is_called_by_its_name(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(start + b"rest")
    with pytest.raises(InputError, match=what) as caught:
        open_reviews(tmp_path / "r.jsonl")
    assert caught.value.hint


def test_packed_parquet_and_arrow_are_read(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, tmp_path / "r.parquet")
    (tmp_path / "r.parquet.zst").write_bytes(zstd((tmp_path / "r.parquet").read_bytes()))
    with pa.OSFile(str(tmp_path / "s.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.OSFile(str(tmp_path / "f.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    formats = [open_reviews(tmp_path / name).format for name in ("r.parquet.zst", "s.arrow", "f.arrow")]
    assert formats == ["parquet", "arrow", "arrow"]
    assert all(texts(tmp_path / name) == TEXTS for name in ("r.parquet.zst", "s.arrow", "f.arrow"))


def test_a_json_array_is_read_whatever_its_spacing(tmp_path: Path) -> None:
    for indent in (None, 2):
        (tmp_path / "r.json").write_text(json.dumps(ROWS, indent=indent))
        source = open_reviews(tmp_path / "r.json")
        assert (source.format, [review.text for review in source]) == ("json", TEXTS)


def test_a_json_array_is_read_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idiolect.data.text_rows._CHUNK", 7)
    (tmp_path / "r.json").write_text(json.dumps([*ROWS, 12345678, {**ROWS[0], "text": "a\n" * 50}], indent=1))
    rejects = []
    assert texts(tmp_path / "r.json", on_reject=rejects.append) == [*TEXTS, "a\n" * 50]
    ((line, reason, raw),) = [(r.line, r.reason, r.raw_start) for r in rejects]
    assert (line, reason, raw) == (27, "not an object", "12345678")


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t[:-20], lambda t: t.replace(": ", "; ", 5), lambda t: t + t]
)
def test_a_damaged_array_is_one_error_with_its_line(tmp_path: Path, spoil: Any) -> None:
    (tmp_path / "r.json").write_text(spoil(json.dumps(ROWS)))
    with pytest.raises(InputError, match="line 1") as caught:
        texts(tmp_path / "r.json")
    assert caught.value.hint


def folder_of_parts(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(LINES[: LINES.index(b"\n") + 1])
    (folder / "deep" / "b.csv").write_text("author,item,body\nu1,i,text 1\nu2,i,text 2\n")
    (folder / "deep" / "c.jsonl.gz").write_bytes(gzip.compress(LINES.split(b"\n", 3)[3]))
    (folder / ".hidden.jsonl").write_text("no")
    (folder / "old.rejects.jsonl").write_text("{}")
    (folder / "README.md").write_text("read me")
    return folder


def test_a_folder_is_its_files_in_order_each_with_columns_of_its_own(tmp_path: Path) -> None:
    source = open_reviews(folder_of_parts(tmp_path / "f"))
    reviews = list(source)
    assert [review.text for review in reviews] == TEXTS
    assert [review.order for review in reviews] == list(range(5))
    assert source.format == "jsonl+csv"
    assert [Path(name).name for name in source.skipped] == ["README.md"]


def test_a_pattern_takes_what_it_matches(tmp_path: Path) -> None:
    folder = folder_of_parts(tmp_path / "f")
    assert texts(f"{folder}/**/*.jsonl*") == [TEXTS[0], *TEXTS[3:]]
    assert texts(str(folder / "deep" / "b.*")) == TEXTS[1:3]


def test_rejects_of_several_files_name_theirs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(LINES + b"bad\n")
    rejects = []
    texts(tmp_path, on_reject=rejects.append)
    assert [(Path(r.file).name, r.line) for r in rejects] == [("a.jsonl", 6), ("b.jsonl", 6)]


@pytest.mark.parametrize("names", [[], ["README.md"], [".hidden.jsonl"]])
def test_a_folder_without_a_known_file_says_what_is_read(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match="no file that can be read") as caught:
        open_reviews(tmp_path)
    assert ".parquet" in caught.value.hint
    with pytest.raises(InputError, match="no file that can be read"):
        open_reviews(str(tmp_path / "*.csv"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "standard input is empty"), (gzip.compress(b"{}" * 99, mtime=0)[:-9], "standard input is cut")],
    ids=["empty", "cut"],
)
def test_standard_input_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, content: bytes, says: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with pytest.raises(InputError, match=says):
        list(open_reviews("-"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files without names need Linux")
def test_standard_input_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even where the call is killed: there is no name to find it by."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"user": "u", "item": "i", "text": "Mild."}')))
    file = open_reviews("-")
    assert list(tmp_path.iterdir()) == []
    assert [review.text for review in file] == ["Mild."]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_line_of_names_says_what_a_file_is_whose_own_name_does_not(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "reviews"
    path.write_text(separator.join(["user", "item", "text"]) + "\r\n" + separator.join(["u", "i", "Mild."]) + "\n")
    assert texts(path) == ["Mild."]
    path.write_text("Well, then, so\nuser, item\n")
    with pytest.raises(InputError):
        texts(path)


def test_standard_input_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (LINES, gzip.compress(LINES), zstd(LINES)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        source = open_reviews("-")
        kept = source.parts[0].part.path
        assert [review.text for review in source] == [review.text for review in source] == TEXTS
        assert kept is not None
        assert kept.exists()
        del source
        assert not kept.exists()


@pytest.mark.parametrize(
    ("where", "rejects"),
    [
        ("-", "stdin.rejects.jsonl"),
        ("hf://a/b/c", "a.b.c.rejects.jsonl"),
        ("data/r.jsonl", "data/r.jsonl.rejects.jsonl"),
        ("data/*/x.jsonl", "data.rejects.jsonl"),
        ("data/sub/*.jsonl", "data/sub.rejects.jsonl"),
    ],
)
def test_rejects_are_listed_next_to_what_is_read(where: str, rejects: str) -> None:
    assert default_rejects(where) == Path(rejects)


class Hub:
    """Stands for the package ``datasets``: two configurations of one data set, streamed."""

    rows: ClassVar = {
        ("Books", "train"): [{"user_id": "a", "profile": [], "data": {"asin": "1", "text": "one"}}],
        ("Books", "test"): [{"user_id": "b", "profile": [], "data": {"asin": "1", "text": "two"}}],
        ("CDs_and_Vinyl", "full"): [{"user_id": "b", "profile": [], "data": {"asin": "1", "text": "three"}}],
    }

    def get_dataset_config_names(self, name: str) -> list[str]:
        if name != "authors/DPL-main":
            raise ConnectionError(f"no\nsuch data set {name}")
        return sorted({config for config, _ in self.rows})

    def get_dataset_split_names(self, name: str, config: str) -> list[str]:
        return [split for found, split in self.rows if found == config]

    def load_dataset(self, name: str, config: str, *, split: str, streaming: bool) -> Any:
        assert streaming
        return iter(self.rows[config, split])


def test_a_data_set_of_the_hub_is_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", Hub())
    everything = open_reviews("hf://authors/DPL-main")
    assert everything.format == "dpl"
    assert [(r.text, r.item) for r in everything] == [
        ("one", "Books/1"),
        ("two", "Books/1"),
        ("three", "CDs_and_Vinyl/1"),
    ]
    assert texts("hf://authors/DPL-main/Books") == ["one", "two"]
    assert texts(Path("hf://authors/DPL-main/Books/test")) == ["two"]
    assert [part.name for part in find_parts("hf://authors/DPL-main/Books/test").parts] == [
        "hf://authors/DPL-main/Books/test"
    ]


def test_any_data_set_is_read_with_a_column_map(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"who": "a", "what": 1, "said": "one"}, {"who": "", "what": 1, "said": "two"}]
    monkeypatch.setattr(Hub, "rows", {("default", "train"): rows})
    monkeypatch.setitem(sys.modules, "datasets", Hub())
    columns = {"user": "who", "item": "what", "text": "said"}
    source = open_reviews("hf://authors/DPL-main", columns=columns)
    assert ([r.text for r in source], source.format) == (["one"], "table")
    assert source.summary.rejected == {"missing user": 1}
    assert [item.id for item in open_items("hf://authors/DPL-main", columns={"item": "what"})] == ["1", "1"]


def test_the_hub_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", Hub())
    with pytest.raises(InputError, match="ConnectionError: no such data set") as caught:
        open_reviews("hf://authors/nothing")
    assert "network" in caught.value.hint
    with pytest.raises(InputError, match="no data set"):
        open_reviews("hf://authors")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match="datasets"):
        open_reviews("hf://authors/DPL-main")
