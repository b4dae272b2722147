from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from idiolect.errors import ArtifactError, ConfigError, MissingDependencyError, NotFoundError
from idiolect.store import engine as engines
from idiolect.store.engine import store_file
from idiolect.store.ingestion import ingest_files
from idiolect.store.sql import SqlStore
from idiolect.types import Review


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, all of them. " * 100)
    with pytest.raises(ArtifactError, match=r"notes\.txt"):
        SqlStore(path)
    assert path.read_text().startswith("These are my notes")


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="not a store"):
        SqlStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("version", "hint"), [(99, "upgrade"), (0, "ingest")])
def test_another_schema_version_is_refused_with_what_to_do(tmp_path, version, hint):
    path = tmp_path / "store.db"
    SqlStore(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE meta SET version = ?", (version,))
        raw.commit()
    with pytest.raises(ArtifactError, match=hint):
        SqlStore(path)


def test_without_create_a_missing_store_is_an_error_and_no_file(tmp_path):
    path = tmp_path / "store.db"
    with pytest.raises(NotFoundError):
        SqlStore(path, create=False)
    assert not path.exists()
    path.touch()
    with pytest.raises(NotFoundError):
        SqlStore(path, create=False)
    SqlStore(path).close()
    SqlStore(path, create=False).close()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ArtifactError):
        SqlStore(tmp_path / "no" / "such" / "folder" / "store.db")


@pytest.mark.parametrize(
    ("spoil", "remedy"), [(lambda path: path.write_bytes(path.read_bytes()[:9000]), "restore a copy"),
    (lambda path: path.write_bytes(b"reviews"), "made by `idiolect ingest`")],
)  # fmt: skip
def test_a_store_that_cannot_be_opened_says_what_to_do(tmp_path, spoil, remedy):
    path = tmp_path / "store.db"
    SqlStore(path).close()
    spoil(path)
    with pytest.raises(ArtifactError) as caught:
        SqlStore(path)
    assert remedy in caught.value.hint
    with pytest.raises(ArtifactError) as caught:
        SqlStore(tmp_path / "none" / "store.db")
    assert "make its folder" in caught.value.hint


@pytest.mark.parametrize("said", ["database or disk is full", "disk I/O error"])
def test_where_there_may_be_no_room_the_hint_says_so(said):
    for hint in (engines._remedy(said, sa.make_url("sqlite:///store.db")), engines._write_remedy(said)):
        assert "make room on the disk" in hint


def test_a_server_that_does_not_answer_is_one_line(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(ArtifactError) as caught:
        SqlStore("postgresql://127.0.0.1:1/none")
    assert "\n" not in str(caught.value)
    assert "server runs" in caught.value.hint


def test_unknown_databases_are_refused():
    with pytest.raises(ConfigError):
        SqlStore("nosuchdb://host/name")
    with pytest.raises(ConfigError):
        SqlStore("://")


def test_a_url_and_a_path_open_the_same_store(tmp_path):
    path = tmp_path / "store.db"
    with SqlStore(path) as by_path, SqlStore(f"sqlite:///{path}") as by_url:
        by_path.add([], [Review(id="r", user="u", item="i", text="")])
        assert by_url.fingerprint() == by_path.fingerprint()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg2", None)
    with pytest.raises(MissingDependencyError, match="psycopg2"):
        SqlStore("postgresql+psycopg2://host/name")


def test_settings_are_durable_and_erasing(tmp_path):
    with SqlStore(tmp_path / "store.db") as store, store.reading() as connection:

        def pragma(name):
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("secure_delete") == 1
        assert pragma("foreign_keys") == 1


def test_a_locked_store_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("idiolect.store.engine._BUSY_SECONDS", 0.01)
    path = tmp_path / "store.db"
    with SqlStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArtifactError, match="another process"):
            store.add([], [])
        other.execute("ROLLBACK")
        store.add([], [])


@pytest.mark.parametrize(
    "name",
    ["", "  ", ":memory:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "file:s.db", "file::memory:?cache=shared",
     "file:///tmp/s.db", "sqlite:///file:s.db?uri=true", "sqlite:///file::memory:?uri=true", "sqlite:///s.db?mode=ro"],
)  # fmt: skip
def test_what_names_no_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        SqlStore(name)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    (loop := tmp_path / "loop").symlink_to(loop)
    for place in (pipe, tmp_path):
        with pytest.raises(ArtifactError, match="no store can be there"):
            SqlStore(place)
    assert pipe.is_fifo()
    with pytest.raises(ArtifactError):
        SqlStore(loop)
    with pytest.raises(ConfigError):
        SqlStore(tmp_path / "a\0b")


def test_the_file_of_a_store_is_known_from_its_name_alone():
    assert [str(store_file(name)) for name in ("a.db", "sqlite:///b.db", "sqlite:////c/d.db")] == [
        "a.db", "b.db", "/c/d.db",
    ]  # fmt: skip
    assert store_file("postgresql://host/name") is None


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_a_store_that_goes_away_while_it_is_used_is_an_error(tmp_path, how):
    path, other = tmp_path / "store.db", tmp_path / "other.db"
    SqlStore(other).close()

    def reviews():
        yield Review(id="1", user="ann", item="tea", text="Mild.")
        if how == "deleted":
            path.unlink()
        elif how == "replaced":
            other.replace(path)
        else:
            path.rename(tmp_path / "elsewhere.db")

    with SqlStore(path) as store:
        with pytest.raises(ArtifactError, match="deleted, moved or replaced"):
            store.add([], reviews())
        with pytest.raises(ArtifactError, match="deleted, moved or replaced"):
            store.counts()
    if how == "replaced":
        with SqlStore(path) as store:
            assert store.counts().reviews == 0


@pytest.mark.parametrize("with_log", [False, True])
def test_a_store_where_nothing_can_be_written_is_read(tmp_path, monkeypatch, with_log, caplog):
    path = tmp_path / "store.db"
    writer = SqlStore(path)
    writer.add([], [Review(id="1", user="ann", item="tea", text="Mild.")])
    if not with_log:
        writer.close()
    opened = engines._opened

    def refusing(url, *args, **kwargs):
        if "uri" not in url.query:
            raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("unable to open database file"))
        return opened(url, *args, **kwargs)

    monkeypatch.setattr(engines, "_opened", refusing)
    monkeypatch.setattr(engines.os, "access", lambda path, mode: mode != os.W_OK)
    with SqlStore(path) as store:
        assert store.profile("ann")[0].text == "Mild."
        assert all(finding.ok for finding in store.check())
        with pytest.raises(ArtifactError, match="read-only") as caught:
            store.add([], [Review(id="2", user="ann", item="tea", text="Hot.")])
        assert "copy it" in caught.value.hint
        reviews = tmp_path / "more.jsonl"
        reviews.write_text('{"user": "bob", "item": "tea", "text": "Hot."}\n')
        with pytest.raises(ArtifactError, match="read-only"):
            ingest_files(reviews, store=str(path))
        store.checkpoint()  # has nothing to copy to
        assert not caplog.text
        assert not list(tmp_path.glob("*.rejects.jsonl"))
        store.record_output(tmp_path / "out", "export")
        assert "outputs=" in caplog.text
    writer.close()


def test_the_log_is_copied_into_the_file_when_asked(tmp_path):
    path, copy = tmp_path / "r.db", tmp_path / "copy.db"
    with SqlStore(path, checkpoints=False) as store, SqlStore(path) as reader:
        for n in range(30):
            store.add([], [Review(id=f"r{n}", user="u", item="i", text="x" * 3000)])
        with reader.reading() as connection:  # keeps the log from being emptied, not from being copied
            assert connection.exec_driver_sql("SELECT count(*) FROM reviews").scalar_one() == 30
            store.checkpoint()
        shutil.copy(path, copy)  # without the log
        store.add([], [Review(id="later", user="u", item="i", text="x")])
        assert store.counts().reviews == 31
    with SqlStore(copy) as found:
        assert found.counts().reviews == 30


def test_erasures_are_counted(tmp_path):
    with SqlStore(tmp_path / "r.db") as store:
        store.add([], [Review(id="r", user="u", item="i", text="x")])
        assert store.erasures() == 0
        store.forget("u")
        assert store.erasures() == 1
