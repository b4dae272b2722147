"""After an erasure: no byte of what was deleted stays in the database's files.

``secure_delete`` overwrites what is deleted, but not the copies that SQLite leaves behind in a page when it moves rows
to another to balance its trees. Only rewriting the file is sure to drop those.
"""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from idiolect.errors import ArtifactError
from idiolect.store import tables
from idiolect.store.engine import plain_cursor, writing

_READERS_MS = 5_000
"""How long the log may wait for readers of other processes before the rewrite is left pending."""

_noted = tables.meta.c.unscrubbed


def scrub(engine: sa.Engine) -> bool:
    """Rewrite the database without the space of deleted rows, and empty its log.

    It takes a copy's time and, for that time, a copy's space. Other processes may go on reading and writing: they are
    waited for, but no longer than a bound. On PostgreSQL the tables are rewritten; its archived log and its backups are
    beyond reach.

    Returns:
        Whether it is done; where another process holds the file, what was erased may still lie in it, and the store
        says so (``is_scrubbed``) until a later call is done.

    Raises:
        ArtifactError: There is no room for the copy; a later call goes on.
    """
    with engine.connect() as connection:
        before = _erasures(connection)
    if engine.dialect.name == "sqlite":
        done = _scrub_sqlite(engine)
    else:
        _scrub_tables(engine)
        done = True
    if done and before % 2:
        with writing(engine) as connection:  # unless another process has erased somebody in the meantime
            connection.execute(sa.update(tables.meta).where(_noted == before).values(unscrubbed=before - 1))
    return done


def is_scrubbed(connection: sa.Connection) -> bool:
    """Whether every erasure so far was followed by a ``scrub``."""
    return _erasures(connection) % 2 == 0


def erasures(connection: sa.Connection) -> int:
    """How many erasures there were: what was read before one is out of date after it."""
    return _erasures(connection) // 2


def note_erasure(connection: sa.Connection) -> None:
    """Count an erasure, and note that its bytes are in the file until the next ``scrub``."""
    connection.execute(sa.update(tables.meta).values(unscrubbed=(_erasures(connection) // 2 + 1) * 2 + 1))


def _erasures(connection: sa.Connection) -> int:
    return connection.execute(sa.select(_noted)).scalar_one()


def _scrub_sqlite(engine: sa.Engine) -> bool:
    with plain_cursor(engine) as cursor:
        if not cursor.execute("PRAGMA database_list").fetchone()[2]:
            return True  # in memory
        patience = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        try:
            cursor.execute("PRAGMA temp_store = FILE")  # the copy may be larger than memory
            cursor.execute("VACUUM")
            cursor.execute(f"PRAGMA busy_timeout = {_READERS_MS}")  # writers wait for as long as this waits for readers
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise ArtifactError(
                    f"the user is erased, but {engine.url.database!r} cannot be rewritten without old bytes: {error}",
                    hint="make room on the disk and run the same command again",
                ) from error
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {patience}")
            cursor.execute("PRAGMA temp_store = MEMORY")
    return not busy


def _scrub_tables(engine: sa.Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for name in tables.metadata.tables:
            connection.exec_driver_sql(f"VACUUM (FULL) {name}")
