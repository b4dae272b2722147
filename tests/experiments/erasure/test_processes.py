"""``forget`` beside other processes: the store stays whole, nothing acknowledged is lost, nobody erased comes back."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from idiolect.cli.main import main
from idiolect.data.output_files import atomic_write
from idiolect.diagnostics import examine_store
from idiolect.encoders import HashEncoder
from idiolect.erasure.forget import forget_user
from idiolect.llm.base import Completion
from idiolect.llm.cache import Cache, Record
from idiolect.store import metadata as metadata
from idiolect.store.embedding import embed_missing
from idiolect.store.parquet import erase_from_export, export_folder, import_folder
from idiolect.store.snapshot_files import held
from idiolect.store.sql import SqlStore
from idiolect.types import Review

VICTIMS, ADDERS, READERS, FORGETTERS, ADDS, READS = 4, 4, 4, 2, 4, 8

PROCESSES = """
import os, sys
from pathlib import Path
from idiolect.errors import ArtifactError
from idiolect.store.single_review import add_review
from idiolect.diagnostics import examine_store
from idiolect.erasure.forget import forget_user
from idiolect.store.parquet import export_folder
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
        say(f"forgot victim{k} {receipt.store.vacuumed}")

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
        assert store.secure_vacuum()
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
def test_forget_during_adds_reads_exports_and_checks_harms_nothing(rounds, tmp_path):
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


def interrupted(monkeypatch, act) -> None:
    """Lets ``act`` happen when the second table of an export is begun."""
    write, begun = pq.ParquetWriter, []

    def begin(*given, **how):
        begun.append(given)
        if len(begun) == 2:
            act()
        return write(*given, **how)

    monkeypatch.setattr(pq, "ParquetWriter", begin)


def full() -> None:
    raise OSError(errno.ENOSPC, "Error writing bytes to file")  # as Arrow does: without the name of a file


def test_an_export_to_a_full_disk_ends_in_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    fill(tmp_path / "s.db")
    interrupted(monkeypatch, full)
    with pytest.raises(SystemExit) as stop:
        main(["export", "--store", str(tmp_path / "s.db"), "--out", str(tmp_path / "export")])
    error = capsys.readouterr().err.splitlines()
    assert stop.value.code == 8
    assert error[0] == f"error: {tmp_path / 'export'}: No space left on device"
    assert len(error) == 2
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"s.db"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_export_that_is_ended_leaves_nothing(tmp_path, monkeypatch, number):
    fill(tmp_path / "s.db")
    # Whoever starts the tests may have had these signals ignored, as nohup does.
    handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, handler)
    interrupted(monkeypatch, lambda: signal.raise_signal(number))
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt)) as stop:
            export_folder(str(tmp_path / "s.db"), tmp_path / "export")
        kept = signal.getsignal(number)
    finally:
        signal.signal(number, before)
    assert number == signal.SIGINT or stop.value.code == 128 + number
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"s.db"}
    assert kept == handler


KILLED = """
import os, sys
from pathlib import Path
import pyarrow.parquet as pq
from idiolect.store.parquet import export_folder

write, begun = pq.ParquetWriter, []

def begin(*given, **how):
    begun.append(given)
    if len(begun) == 3:
        os.kill(os.getpid(), 9) if sys.argv[2] == "kill" else (print("here", flush=True), sys.stdin.read())
    return write(*given, **how)

pq.ParquetWriter = begin
export_folder(sys.argv[1], Path(sys.argv[1]).with_name("export"))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_a_killed_export_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path):
    path, command = tmp_path / "s.db", [sys.executable, "-c", KILLED, str(tmp_path / "s.db")]
    fill(path)
    parts = lambda: sorted(tmp_path.glob(".*.partial"))  # noqa: E731
    for remove in (
        lambda: examine_store(str(path)),
        lambda: export_folder(str(path), tmp_path / "another"),
        lambda: forget_user(str(path), "nobody"),
    ):
        assert subprocess.run([*command, "kill"]).returncode == -signal.SIGKILL
        assert any(part.rglob("reviews.parquet") for part in parts())
        remove()
        assert parts() == []
    assert "unfinished" not in {check.name for check in examine_store(str(path))}
    with subprocess.Popen([*command, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "here\n"
        examine_store(str(path))
        receipt = forget_user(str(path), "victim0")
        assert [one.path for one in receipt.left] == parts()
        assert running.communicate("", timeout=120)[0] == ""
    assert running.returncode == 1  # it found that a user was erased, and put nothing in its place
    assert not (tmp_path / "export").exists()
    assert parts() == []


def test_a_rewrite_that_waits_for_a_reader_is_pending_until_a_later_one_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr("idiolect.store.metadata._READERS_MS", 1)
    path = tmp_path / "s.db"
    fill(path)
    with SqlStore(path) as reader, reader.reading() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM reviews").all()
        receipt = forget_user(str(path), "victim0")
        assert not receipt.store.vacuumed
        assert "same command again" in receipt.text
        assert [check.name for check in examine_store(str(path)) if not check.ok] == ["erasures"]
    assert forget_user(str(path), "victim0").store.vacuumed
    assert all(check.ok for check in examine_store(str(path)))
    assert b"victim0 wrote" not in b"".join(file.read_bytes() for file in tmp_path.glob("s.db*"))


def test_a_rewrite_does_not_settle_an_erasure_that_came_after_it(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    fill(path)
    with SqlStore(path) as store, SqlStore(path) as other:
        store.forget("victim0", vacuum=False)
        rewrite = metadata._vacuum_sqlite
        monkeypatch.setattr(
            metadata, "_vacuum_sqlite", lambda engine: rewrite(engine) and bool(other.forget("victim1", vacuum=False))
        )
        assert store.secure_vacuum()
        assert [finding.name for finding in store.check() if not finding.ok] == ["erasures"]
        monkeypatch.undo()
        assert store.secure_vacuum()
        assert all(finding.ok for finding in store.check())


def test_erasures_of_two_users_from_one_export_do_not_undo_each_other(tmp_path, monkeypatch):
    fill(tmp_path / "s.db")
    export_folder(str(tmp_path / "s.db"), export := tmp_path / "export")
    second = threading.Thread(target=erase_from_export, args=(export, {"victim1"}, ()))

    def write_late(path: Path, write) -> None:
        def read_then_wait(part: Path) -> None:
            write(part)
            if path.name == "reviews.parquet" and second.ident is None:
                second.start()
                second.join(2)  # if nothing held it back, it would be done

        atomic_write(path, read_then_wait)

    monkeypatch.setattr("idiolect.store.parquet.atomic_write", write_late)
    erase_from_export(export, {"victim0"}, ())
    second.join()
    assert set(pl.read_parquet(export / "reviews.parquet")["user"]) == {"victim2", "victim3", "stays"}
    assert import_folder(export, str(tmp_path / "new.db")).equal


def test_an_export_is_not_replaced_while_a_user_is_erased_from_it(tmp_path):
    fill(tmp_path / "s.db")
    export_folder(str(tmp_path / "s.db"), export := tmp_path / "export")
    before = export.stat().st_ino
    (export / f"reviews.parquet.{os.getpid()}.0123abcd.partial").touch()  # as the erasure has it there
    another = threading.Thread(target=export_folder, args=(str(tmp_path / "s.db"), export))
    with held(export):
        another.start()
        another.join(2)
        assert export.stat().st_ino == before
    another.join()
    assert export.stat().st_ino != before
