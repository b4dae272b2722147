from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from idiolect.store import schema as tables
from idiolect.store.engine import insert_rows, key_chunks


def test_chunks_hold_every_key_once_and_in_order():
    keys = [str(k) for k in range(2345)]
    parts = [part["keys"] for part in key_chunks(keys)]
    assert [key for part in parts for key in part] == keys
    assert max(map(len, parts)) <= 1000
    assert list(key_chunks([])) == []


def test_no_rows_are_no_statement(store):
    with store.reading() as connection:
        insert_rows(connection, tables.items, [])


def test_a_driver_with_named_parameters_gets_the_rows_as_they_are():
    class Recorder:
        dialect = postgresql.dialect(paramstyle="pyformat")

        def exec_driver_sql(self, statement, values):
            self.sent = statement, values

    connection, rows = Recorder(), [{"name": "e", "dim": 3}]
    insert_rows(connection, tables.encoders, rows)
    statement, values = connection.sent
    assert values == rows
    assert "%(name)s" in statement
    assert "RETURNING" not in statement


def test_rows_reach_their_columns_whatever_their_order(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        insert_rows(connection, tables.encoders, [{"dim": 3, "name": "e"}, {"dim": 4, "name": "f"}])
        query = sa.select(tables.encoders.c.name, tables.encoders.c.dim)
        assert connection.execute(query).all() == [("e", 3), ("f", 4)]
    engine.dispose()
