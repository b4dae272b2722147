"""``forget`` beside other processes: the store stays whole, nothing acknowledged is lost, nobody erased comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from idiolect.encoders.hashing import HashEncoder
from idiolect.experiments.erasure.forget import forget_user
from idiolect.llm.base import Completion
from idiolect.llm.cache import Cache, Record
from idiolect.store.embed import embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import Review

VICTIMS, ADDERS, READERS, FORGETTERS, ADDS, READS = 4, 4, 4, 2, 4, 8

PROCESSES = """
import os, sys
from pathlib import Path
from idiolect.errors import ArtifactError
from idiolect.experiments.add import add_review
from idiolect.experiments.doctor import examine_store
from idiolect.experiments.erasure.forget import forget_user
from idiolect.experiments.transfer import export_folder
from idiolect.store.sql import SqlStore

where = sys.argv[1]
VICTIMS, ADDERS, READERS, FORGETTERS, ADDS, READS = map(int, sys.argv[2:])

def say(line):
    os.write(1, line.encode() + b"\\n")  # whole lines, for all write to one pipe

def add(n):
    for k in range(ADDS):
        add_review(where, user=f"adder{n}", item=f"i{k % 3}", text=f"text {n} {k}", id=f"{n}/{k}", encoder="hash:16")
        say(f"added {n}/{k}")

def read(n):
    for k in range(READS):
        with SqlStore(where, create=False) as store:
            assert len(store.profile("stays")) == 9
            assert len(store.profile(f"victim{k % VICTIMS}")) in (0, 9)

def forget(n):
    for k in range(n, VICTIMS, FORGETTERS):
        receipt = forget_user(where, f"victim{k}")
        say(f"forgot victim{k} {receipt.store.scrubbed}")

def export(n):
    for k in range(3):
        try:
            export_folder(where, Path(f"{where}-export{k % 2}"))
        except ArtifactError as error:
            assert "erased" in error.message, error

def doctor(n):
    for _ in range(3):
        wrong = [check for check in examine_store(where) if not check.ok and check.name != "erasures"]
        assert not wrong, wrong

def main():
    # One warm process and its children: importing takes longer than the work.
    work = [*[(add, n) for n in range(ADDERS)], *[(read, n) for n in range(READERS)],
            *[(forget, n) for n in range(FORGETTERS)], (export, 0), (doctor, 0)]
    children = []
    for call, n in work:
        if not (child := os.fork()):
            try:
                call(n)
                os._exit(0)
            finally:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        children.append(child)
    sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))

main()
"""


def fill(path: Path) -> None:
    users = [*(f"victim{k}" for k in range(VICTIMS)), "stays"]
    reviews = [
        Review(id=f"{user}-{k}", user=user, item=f"i{k % 3}", text=f"{user} wrote this secret text number {k}. " * 9)
        for user in users
        for k in range(9)
    ]
    with SqlStore(path) as store:
        store.add([], reviews)
        embed_missing(store, HashEncoder(16))


def play(path: Path) -> None:
    """One round: everybody at once on a new store."""
    fill(path)
    numbers = map(str, (VICTIMS, ADDERS, READERS, FORGETTERS, ADDS, READS))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES, str(path), *numbers], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    added = [words[1] for words in said if words[0] == "added"]
    assert len(added) == ADDERS * ADDS
    assert sum(words[0] == "forgot" for words in said) == VICTIMS
    with SqlStore(path, create=False) as store:
        assert store.scrub()
        assert [finding for finding in store.check() if not finding.ok] == []
        assert {review.id for review in store.reviews(added)} == set(added)
        assert not [user for user in store.users() if user.startswith("victim")]
    for file in path.parent.rglob("*"):
        assert file.suffix != ".partial"
        if file.suffix == ".parquet" and "user" in (table := pl.read_parquet(file)).columns:
            assert not [user for user in table["user"].unique() if user.startswith("victim")], file
        assert not file.is_file() or b"wrote this secret" not in file.read_bytes().replace(b"stays wrote", b""), file


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_forget_beside_adders_readers_exports_and_doctors_harms_nothing(rounds, tmp_path):
    for number in range(rounds):
        (tmp_path / str(number)).mkdir()
        play(tmp_path / str(number) / "store.db")


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs /proc/locks")
def test_no_lock_of_sqlite_is_dropped_by_a_forget_in_the_same_process(tmp_path):
    path, cache = tmp_path / "store.db", tmp_path / "answers.db"
    fill(path)
    with SqlStore(path) as store, Cache(cache) as answers:
        store.record_output(path, "rejects")  # as a version that took any name may have noted
        answers.put([Record("key", Completion(text="", prompt_tokens=1, completion_tokens=1), frozenset({"r"}))])
        with store.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM reviews").all()
            held = [locks(file) for file in (path, cache)]
            assert all(held)
            forget_user(str(path), "victim0", outputs=[cache])
            assert [locks(file) for file in (path, cache)] == held


def locks(path: Path) -> set[str]:
    """The ranges of a file that this process has locked."""
    inode, own = f":{path.stat().st_ino}", str(os.getpid())
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {" ".join(row[-2:]) for row in rows if own in row and any(word.endswith(inode) for word in row)}


OPENED = """
import os, sys
from pathlib import Path

where = Path(sys.argv[1])
files = [where, where.with_name("store.db-wal"), where.with_name("store.db-shm"), where.with_name("cache.db")]

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = Path(os.fsdecode(arguments[0]))
        if any(path.exists() and file.exists() and path.samefile(file) for file in files):
            os.write(1, f"{path} was opened\\n".encode())

sys.addaudithook(watch)
from idiolect.cli.main import main

def call(*tokens):
    try:
        main([*tokens])
    except SystemExit:
        pass

store = ["--store", str(where)]
folder = where.parent / "old"
os.link(where, folder / "linked.jsonl")
call("ingest", str(where), *store)
call("ingest", str(folder), *store)
call("ingest", str(where), "--pseudonyms", str(where), *store)
call("doctor", *store)
call("export", "--out", str(where.parent / "export"), *store)
call("explain", "stays", *store)
call("explain", "stays", "--answers", str(where), *store)
call("explain", "--ratings", str(where))
call("forget", "victim0", "--outputs", str(folder), *store)
call("forget", "victim1", "--pseudonyms", str(where), *store)
"""


def test_nothing_but_sqlite_opens_a_store_or_a_cache(tmp_path):
    path = tmp_path / "store.db"
    (tmp_path / "old").mkdir()
    fill(path)
    with Cache(tmp_path / "cache.db"), SqlStore(path):
        done = subprocess.run([sys.executable, "-c", OPENED, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "was opened" not in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("SQLite") >= 3
    assert "9 reviews and 9 vectors removed" in done.stdout
