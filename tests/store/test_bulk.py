from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from idiolect.errors import ArtifactError
from idiolect.store import schema as tables
from idiolect.store.engine import _insertion, insert_rows, key_chunks, writing
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId


def test_chunks_hold_every_key_once_and_in_order():
    keys = [str(k) for k in range(2345)]
    parts = [part["keys"] for part in key_chunks(keys)]
    assert [key for part in parts for key in part] == keys
    assert max(map(len, parts)) <= 1000
    assert list(key_chunks([])) == []


def test_no_rows_are_no_statement(store):
    with store.reading() as connection:
        assert insert_rows(connection, tables.items, tables.ITEM_COLUMNS, []) == 0


def test_the_statement_has_the_marks_of_the_driver_and_quotes_what_is_a_keyword():
    statement = _insertion(tables.reviews, ("id", "order"), True, postgresql.dialect(paramstyle="pyformat"))
    assert statement == 'INSERT INTO reviews (id, "order") VALUES (%s, %s) ON CONFLICT (id) DO NOTHING'


def test_rows_reach_their_columns_whatever_their_order(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        assert insert_rows(connection, tables.encoders, ("dim", "name"), [(3, "e"), (4, "f")]) == 2
        query = sa.select(tables.encoders.c.name, tables.encoders.c.dim)
        assert connection.execute(query).all() == [("e", 3), ("f", 4)]
    engine.dispose()


def test_rows_of_known_ids_are_left_out_and_not_counted(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        rows = [(id, "t", "", "", b"") for id in "abc"]
        assert insert_rows(connection, tables.items, tables.ITEM_COLUMNS, rows[:2], unless_known=True) == 2
        assert insert_rows(connection, tables.items, tables.ITEM_COLUMNS, rows, unless_known=True) == 1
        assert connection.scalars(sa.select(tables.items.c.id)).all() == ["a", "b", "c"]
    engine.dispose()


def _numbered(numbers, text="text"):
    return [
        Review(
            id=ReviewId(f"r{k}"), user=UserId(f"u{k % 7}"), item=ItemId(f"i{k % 11}"), text=f"{text} {k}\t\\N \u00e9",
            rating=None if k % 3 else 4.0, timestamp=None if k % 5 else 10**9 + k, order=-k,
        )
        for k in numbers
    ]  # fmt: skip


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_many_new_known_changed_and_repeated_reviews_are_told_apart(tmp_path, request, database):
    """The database is asked for known ids only after it left some out, and PostgreSQL gets many rows by COPY."""
    where = str(tmp_path / "s.db") if database == "sqlite" else request.getfixturevalue("postgres")()
    with SqlStore(where) as store, SqlStore(tmp_path / "one.db") as other:
        items = [Item(id=ItemId(f"i{k}"), title="t", category="c") for k in range(250)]
        first, second = _numbered(range(1, 2001)), [*_numbered(range(1500, 4000)), *_numbered([3, 4], "another")]
        assert store.add(items, first).reviews_added == 2000
        report = store.add(items[:3], second)
        assert (report.items_added, report.items_known) == (0, 3)
        assert (report.reviews_added, report.reviews_known) == (1999, 501)
        assert report.refused_reviews == tuple((f"r{k}", "another review of this id is stored") for k in (3, 4))
        twice = store.add([], [*_numbered(range(5000, 5300)), *_numbered(range(5000, 5001))])
        assert (twice.reviews_added, twice.reviews_known) == (300, 1)
        vectors = np.random.default_rng(0).uniform(-1, 1, (2000, 4))
        ids = [review.id for review in first]
        assert store.add_vectors(ids[:900], vectors[:900], encoder="e") == 900
        assert store.add_vectors([*ids, ids[0]], np.vstack([vectors, vectors[:1]]), encoder="e") == 1100
        for numbers in (range(1, 2001), range(2001, 4000), range(5000, 5300)):
            for start in range(numbers.start, numbers.stop, 150):
                other.add([], _numbered(range(start, min(start + 150, numbers.stop))))
        other.add(items, [])
        assert store.review_frame().equals(other.review_frame())
        assert store.fingerprint() == other.fingerprint()
        assert np.array_equal(store.vectors(ids, encoder="e"), vectors.astype(np.float16))
        assert all(finding.ok for finding in store.check())


def test_what_postgresql_refuses_while_it_copies_is_one_error_and_changes_nothing(postgres):
    with SqlStore(postgres()) as store:
        store.add([], _numbered(range(10)))
        columns, rows = ("item", "encoder", "count", "sum"), [(f"i{k}", 77, 1, b"") for k in range(300)]
        with pytest.raises(ArtifactError, match="cannot be written"), writing(store._engine) as connection:
            insert_rows(connection, tables.item_sums, columns, rows)
        assert store.counts().reviews == 10
        assert all(finding.ok for finding in store.check())
