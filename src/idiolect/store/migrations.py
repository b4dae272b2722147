"""A store of an earlier version, brought to this one step by step, each step and its number in one transaction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables

Migration = Callable[[sa.Connection], None]


def _privacy_and_outputs(connection: sa.Connection) -> None:
    """2: users who are nobody's peers, what was written from the store, unfinished erasures, vectors of an encoder."""
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN unscrubbed INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE encoders ADD COLUMN n_vectors BIGINT NOT NULL DEFAULT 0")
    connection.exec_driver_sql(
        "UPDATE encoders SET n_vectors = (SELECT count(*) FROM vectors WHERE vectors.encoder = encoders.key)"
    )
    connection.exec_driver_sql('CREATE TABLE not_peers ("user" TEXT NOT NULL PRIMARY KEY)')
    connection.exec_driver_sql("CREATE TABLE outputs (path TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL)")


def _names(connection: sa.Connection) -> None:
    """3: whether users are known by pseudonyms, and by which key's."""
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN names TEXT NOT NULL DEFAULT ''")


def _category_sums(connection: sa.Connection) -> None:
    """4: a sum for every category, added up from those of its items."""
    blob, key = ("BLOB", "INTEGER") if connection.dialect.name == "sqlite" else ("BYTEA", "BIGINT")
    connection.exec_driver_sql("CREATE INDEX items_by_category ON items (category, id)")
    connection.exec_driver_sql(
        f"CREATE TABLE category_sums (category TEXT NOT NULL, encoder {key} NOT NULL, count BIGINT NOT NULL, "
        f'sum {blob} NOT NULL, PRIMARY KEY (category, encoder), FOREIGN KEY(encoder) REFERENCES encoders ("key"))'
    )
    found: dict[tuple[str, int], tuple[int, np.ndarray]] = {}
    for category, encoder, count, blob in connection.exec_driver_sql(
        "SELECT coalesce(items.category, ''), item_sums.encoder, item_sums.count, item_sums.sum "
        "FROM item_sums LEFT JOIN items ON items.id = item_sums.item"
    ):
        before, total = found.get((category, encoder), (0, 0.0))
        found[category, encoder] = before + count, total + np.frombuffer(blob, "<f8")
    insert = sa.text("INSERT INTO category_sums VALUES (:category, :encoder, :count, :sum)")
    for (category, encoder), (count, total) in found.items():
        row = {"category": category, "encoder": encoder, "count": count, "sum": total.tobytes()}
        connection.execute(insert, row)


MIGRATIONS: tuple[Migration, ...] = (_privacy_and_outputs, _names, _category_sums)
"""Entry k leads from version k + 1 to k + 2. Each is written in its own SQL, for ``tables`` will have moved on."""


def read_version(connection: sa.Connection) -> int:
    """The version a store was written by or last brought to."""
    return connection.execute(sa.select(tables.meta.c.version)).scalar_one()


def migrate(connection: sa.Connection) -> int:
    """Take every step that is missing.

    Args:
        connection: An open write transaction on a store of version 1 or later; another process may have been first.

    Returns:
        The version it found.
    """
    found = read_version(connection)
    for version, step in enumerate(MIGRATIONS[found - 1 :], start=found + 1):
        step(connection)
        connection.execute(sa.update(tables.meta).values(version=version))
    return found
