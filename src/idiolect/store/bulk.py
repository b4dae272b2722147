"""Many keys or many rows at a time, without building a statement for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

_KEYS = 1000
"""Keys in one query; every database takes that many parameters."""

ANY_OF = sa.bindparam("keys", expanding=True)
"""For ``column.in_(ANY_OF)``, with the parameters that ``key_chunks`` yields."""


def key_chunks(keys: Sequence[str], **others: object) -> Iterator[dict[str, Any]]:
    """The parameters of as many queries as it takes to look up all ``keys``, each with ``others`` beside them."""
    for start in range(0, len(keys), _KEYS):
        yield {"keys": list(keys[start : start + _KEYS]), **others}


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns.

    The statement is compiled once and its rows go to the driver as they are: SQLAlchemy's own handling of parameters
    would take as long as the insertion itself.
    """
    if not rows:
        return
    statement = sa.insert(table).inline().compile(dialect=connection.dialect, column_keys=list(rows[0]))
    names = statement.positiontup
    values = list(map(itemgetter(*names), rows)) if names else list(rows)
    connection.exec_driver_sql(str(statement), values)
