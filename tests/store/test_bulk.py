from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from idiolect.store import schema as tables
from idiolect.store.engine import _insertion, insert_rows, key_chunks


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
