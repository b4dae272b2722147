"""A store of an earlier version opens as one of this version, with everything in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from idiolect.errors import ArtifactError
from idiolect.store import schema as tables
from idiolect.store.schema import MIGRATIONS
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

# As version 1 wrote them: two reviews, one vector, its sum.
VERSION_1 = """
CREATE TABLE meta (version INTEGER NOT NULL, digest VARCHAR(32) NOT NULL, n_items BIGINT NOT NULL,
    n_reviews BIGINT NOT NULL, n_dated BIGINT NOT NULL);
CREATE TABLE items (seq INTEGER NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    category TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (seq), UNIQUE (id));
CREATE TABLE reviews (seq INTEGER NOT NULL, id TEXT NOT NULL, "user" TEXT NOT NULL, item TEXT NOT NULL, rating DOUBLE,
    title TEXT NOT NULL, text TEXT NOT NULL, timestamp BIGINT, "order" BIGINT NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (seq), UNIQUE (id));
CREATE INDEX reviews_by_user ON reviews ("user", item);
CREATE INDEX reviews_by_item ON reviews (item);
CREATE TABLE encoders ("key" INTEGER NOT NULL, name TEXT NOT NULL, dim INTEGER NOT NULL, PRIMARY KEY ("key"),
    UNIQUE (name));
CREATE TABLE vectors (review INTEGER NOT NULL, encoder INTEGER NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (review, encoder), FOREIGN KEY(review) REFERENCES reviews (seq) ON DELETE CASCADE,
    FOREIGN KEY(encoder) REFERENCES encoders ("key"));
CREATE TABLE item_sums (item TEXT NOT NULL, encoder INTEGER NOT NULL, count BIGINT NOT NULL, sum BLOB NOT NULL,
    PRIMARY KEY (item, encoder), FOREIGN KEY(encoder) REFERENCES encoders ("key"));
INSERT INTO meta VALUES (1, '967df76affd3bb7835beea9c137410ff', 0, 2, 1);
INSERT INTO reviews VALUES (1, 'a', 'ann', 'tea', 4.0, '', 'Mild.', 5, 0, x'a9e37e2cca6fef21c7976510bc7332ba');
INSERT INTO reviews VALUES (2, 'b', 'bob', 'tea', NULL, '', 'Bitter.', NULL, 0, x'ec9a793e3563cc566e27858b5700de45');
INSERT INTO encoders VALUES (1, 'e', 2);
INSERT INTO vectors VALUES (1, 1, x'003c0000');
INSERT INTO item_sums VALUES ('tea', 1, 1, x'000000000000f03f0000000000000000');
"""
ANN = Review(id="a", user="ann", item="tea", text="Mild.", rating=4.0, timestamp=5)
BOB = Review(id="b", user="bob", item="tea", text="Bitter.")


def write_version_1(path):
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.executescript(VERSION_1)


def columns(path):
    with closing(sqlite3.connect(path)) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [tuple(row[1:4]) for row in raw.execute(f"PRAGMA table_info({name})")] for name in names}


def test_there_is_a_step_to_every_version():
    assert len(MIGRATIONS) + 1 == tables.SCHEMA_VERSION


def test_a_store_of_version_1_opens_with_everything_in_it(tmp_path):
    path = tmp_path / "store.db"
    write_version_1(path)
    with SqlStore(path, create=False) as store:
        assert store.profile("ann") == [ANN]
        assert store.peer_sums(["tea"], exclude="bob", encoder="e").sums.tolist() == [[1.0, 0.0]]
        assert [finding.detail for finding in store.check() if not finding.ok] == []
        assert store.peer_group_sums(["", "Food", None], exclude="bob", encoder="e").counts.tolist() == [1, 0, 1]
        assert store.add([], [BOB]).reviews_known == 1
        store.set_peer("ann", False)
        assert store.forget("ann").vacuumed


def test_an_old_store_brought_up_has_the_tables_of_a_new_one(tmp_path):
    write_version_1(tmp_path / "old.db")
    for name in ("old", "new"):
        SqlStore(tmp_path / f"{name}.db").close()
    old, new = columns(tmp_path / "old.db"), columns(tmp_path / "new.db")
    assert {name: sorted(some) for name, some in old.items()} == {name: sorted(some) for name, some in new.items()}


def test_categories_are_added_up_where_an_old_store_has_them(tmp_path):
    path = tmp_path / "store.db"
    with SqlStore(path) as store:
        store.add([Item(id="tea", category="Food")], [ANN, BOB])
        store.add_vectors(["a", "b"], np.array([[1.0, 0.0], [0.0, 0.5]]), encoder="e")
    with closing(sqlite3.connect(path)) as raw:  # as version 3 was
        gone = ("TABLE corrections", "TABLE category_sums", "INDEX items_by_category")
        raw.executescript("; ".join(f"DROP {one}" for one in gone) + "; UPDATE meta SET version = 3")
    with SqlStore(path) as store:
        assert store.peer_group_sums(["Food"], exclude="x", encoder="e").sums.tolist() == [[1.0, 0.5]]
        assert [finding.detail for finding in store.check() if not finding.ok] == []


def test_it_is_brought_up_once_and_by_one_process(tmp_path, caplog):
    path = tmp_path / "store.db"
    write_version_1(path)
    caplog.set_level("INFO", logger="idiolect.store")
    for _ in range(2):
        SqlStore(path).close()
    assert caplog.text.count(f"from schema 1 to {tables.SCHEMA_VERSION}") == 1


def test_a_step_that_fails_leaves_the_old_store_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "store.db"
    write_version_1(path)
    before = columns(path)

    def fails(_connection):
        raise OSError("no room left")

    monkeypatch.setattr("idiolect.store.schema.MIGRATIONS", (MIGRATIONS[0], fails))
    with pytest.raises(OSError, match="no room"):
        SqlStore(path)
    assert columns(path) == before
    monkeypatch.undo()
    SqlStore(path).close()


def test_an_old_store_that_another_process_holds_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("idiolect.store.engine._BUSY_SECONDS", 0)
    path = tmp_path / "store.db"
    write_version_1(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArtifactError, match=r"schema 1 .*open it once"):
            SqlStore(path)
    SqlStore(path).close()


def test_an_old_store_on_a_server_opens_too(postgres):
    psycopg = pytest.importorskip("psycopg")
    url = postgres()
    sql = VERSION_1.replace("BLOB", "BYTEA").replace("DOUBLE", "DOUBLE PRECISION")
    sql = (
        sql.replace("x'", "E'\\\\x").replace("seq INTEGER", "seq BIGSERIAL").replace('"key" INTEGER', '"key" BIGSERIAL')
    )
    with closing(psycopg.connect(url, autocommit=True)) as raw:
        raw.execute(sql)
    with SqlStore(url, create=False) as store:
        assert store.profile("ann") == [ANN]
        assert [finding.detail for finding in store.check() if not finding.ok] == []
