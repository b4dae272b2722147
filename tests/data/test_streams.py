"""Input that gives its bytes once: pipes, FIFOs, devices, sockets. None hangs in silence, none loses a row."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.data import files as source
from idiolect.data import open_reviews
from idiolect.data.parts import default_rejects
from idiolect.errors import ConfigError, InputError
from idiolect.store.ingestion import ingest_files

pytestmark = pytest.mark.skipif(not Path("/dev/fd").exists(), reason="names of open files need /dev/fd")

ROWS = [{"user": f"u{k % 7}", "item": f"i{k % 3}", "text": f"text number {k}"} for k in range(300)]
TEXTS = [row["text"] for row in ROWS]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def as_csv(separator: str) -> bytes:
    rows = [separator.join(("user", "item", "text")), *(separator.join(row.values()) for row in ROWS)]
    return "\n".join(rows).encode()


def as_parquet() -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue().to_pybytes()


FORMS = {
    "jsonl": LINES,
    "json": json.dumps(ROWS).encode(),
    "csv": as_csv(","),
    "tab": as_csv("\t"),
    "parquet": as_parquet(),
    "gzip": gzip.compress(LINES, mtime=0),
    "zstd": pa.compress(LINES, codec="zstd", asbytes=True),
}


@contextlib.contextmanager
def piped(content: bytes, sizes: Sequence[int] = (65536,)) -> Iterator[str]:
    """The name of a pipe as a shell gives it, into which a thread writes ``content`` in blocks of these sizes."""
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb", buffering=0) as file, contextlib.suppress(BrokenPipeError):
            place = k = 0
            while place < len(content):
                place += file.write(content[place : place + sizes[k % len(sizes)]]) or 0
                k += 1

    writer = threading.Thread(target=fill)
    writer.start()
    try:
        yield f"/dev/fd/{read}"
    finally:
        os.close(read)
        writer.join(timeout=60)


@settings(max_examples=40, deadline=None)
@given(form=st.sampled_from(sorted(FORMS)), sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=9))
def test_a_pipe_gives_every_row_however_it_is_cut(form: str, sizes: list[int]) -> None:
    with piped(FORMS[form], sizes) as name:
        file = open_reviews(name)
        assert [review.text for review in file] == TEXTS
        assert [review.text for review in file] == TEXTS  # a second time
    assert file.format in (form, "jsonl", "csv")


@pytest.mark.parametrize("content", [b"", b"not a review\n", FORMS["gzip"][:-9], b"\0" * (2**20 + 5)])
def test_what_is_wrong_with_a_pipe_is_said_with_its_name(content: bytes) -> None:
    with piped(content) as name, pytest.raises(InputError, match=name) as caught:
        list(open_reviews(name))
    assert caught.value.hint


def test_a_fifo_waits_for_its_writer_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source, "_PATIENCE", 0.0)
    fifo = tmp_path / "f.jsonl.gz"
    os.mkfifo(fifo)
    said = threading.Event()

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if f"waiting for {str(fifo)!r}" in record.getMessage():
                said.set()

    def write() -> None:
        said.wait(timeout=60)
        fifo.write_bytes(FORMS["gzip"])

    handler = Hears()
    logging.getLogger("idiolect.data.files").addHandler(handler)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [review.text for review in open_reviews(fifo)] == TEXTS
    finally:
        writer.join(timeout=60)
        logging.getLogger("idiolect.data.files").removeHandler(handler)
    assert said.is_set()


def test_a_socket_as_standard_input_or_descriptor_is_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(LINES[: LINES.index(b"\n", 5000) + 1])
        theirs.shutdown(socket.SHUT_WR)
        texts = [review.text for review in open_reviews(f"/dev/fd/{ours.fileno()}")]
    assert texts == TEXTS[: len(texts)]
    assert len(texts) > 50


def test_a_socket_with_a_name_and_an_empty_device_are_refused_in_a_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(tmp_path):
        bound.bind("s")
        with pytest.raises(InputError, match="'s' is a socket"):
            open_reviews("s")
    with pytest.raises(InputError, match="'/dev/null' is empty"):
        open_reviews("/dev/null")
    with pytest.raises(InputError, match="nothing but NUL bytes"):
        open_reviews("/dev/zero")


def test_endless_input_ends_before_the_disk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    free = iter([2**40, 2**40, 0])
    monkeypatch.setattr(source.shutil, "disk_usage", lambda folder: real(folder)._replace(free=next(free)))
    with piped(LINES * 200) as name, pytest.raises(InputError, match="does not fit on the disk") as caught:
        open_reviews(name)
    assert "TMPDIR" in caught.value.hint


def test_what_is_kept_is_private_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for nameless in (source.OPEN_FILES, tmp_path / "no such place"):
        monkeypatch.setattr(source, "OPEN_FILES", nameless)
        with piped(LINES) as name:
            file = open_reviews(name)
        kept = file.parts[0].part.path
        assert kept is not None
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert len(list(tmp_path.iterdir())) == (nameless == tmp_path / "no such place")
        del file
        assert list(tmp_path.iterdir()) == []
        with piped(LINES[:0]) as name, pytest.raises(InputError):
            open_reviews(name)
        assert list(tmp_path.iterdir()) == []


def test_reviews_and_items_from_pipes_are_ingested_whole(tmp_path: Path) -> None:
    items = b"".join(b'{"item": "i%d", "title": "Lamp %d"}\n' % (k, k) for k in range(3))
    store, rejects = str(tmp_path / "s.db"), tmp_path / "rejects.jsonl"
    with piped(LINES + b"bad\n") as reviews, piped(items) as of_items:
        report = ingest_files(reviews, store=store, items=of_items, rejects=rejects)
    assert (report.stored.reviews_added, report.stored.items_added) == (300, 3)
    (listed,) = map(json.loads, rejects.read_text().splitlines())
    assert (listed["line"], listed["file"]) == (301, reviews)
    with piped(LINES) as name, pytest.raises(ConfigError, match="the reviews or the items, not both"):
        ingest_files(name, store=store, items=name, rejects=rejects)


def test_a_pipe_that_holds_the_items_too_gives_both(tmp_path: Path) -> None:
    profile = [{"id": "1", "text": "The article.", "title": "Its headline"}]
    rows = [{"id": "10", "input": "Write a headline.", "profile": profile, "author": "ann"}]
    with piped(json.dumps(rows).encode()) as name:
        report = ingest_files(name, store=str(tmp_path / "s.db"), rejects=tmp_path / "r.jsonl")
    assert report.format == "lamp"
    assert (report.stored.reviews_added, report.stored.items_added) == (1, 1)


@pytest.mark.parametrize(
    ("where", "rejects"),
    [
        ("/dev/stdin", "stdin.rejects.jsonl"),
        ("/dev/fd/0", "stdin.rejects.jsonl"),
        ("/dev/fd/63", "pipe.rejects.jsonl"),
        ("/proc/self/fd/12", "pipe.rejects.jsonl"),
    ],
)
def test_rejects_of_pipes_are_listed_where_one_can_write(where: str, rejects: str) -> None:
    assert default_rejects(where) == Path(rejects)


def test_pipes_and_lost_links_in_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    os.mkfifo(tmp_path / "b.jsonl")
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "gone.jsonl")
    (tmp_path / "d").symlink_to(tmp_path.parent, target_is_directory=True)
    file = open_reviews(tmp_path)
    assert [review.text for review in file] == TEXTS
    assert {Path(name).name: reason for name, reason in file.skipped.items()} == {
        "b.jsonl": "a pipe or device",
        "c.jsonl": "a link that leads nowhere",
        "d": "a link to a folder",
    }
