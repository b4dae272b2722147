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


def scrub(engine: sa.Engine) -> bool:
    """Rewrite the database without the space of deleted rows, and empty its log.

    It takes a copy's time and, for that time, a copy's space. On PostgreSQL the tables are rewritten; its archived log
    and its backups are beyond reach.

    Returns:
        Whether it is done; where another process holds the file, what was erased may still lie in it.
    """
    if engine.dialect.name == "sqlite":
        done = _scrub_sqlite(engine)
    else:
        _scrub_tables(engine)
        done = True
    if done:
        with writing(engine) as connection:
            connection.execute(sa.update(tables.meta).values(unscrubbed=0))
    return done


def is_scrubbed(connection: sa.Connection) -> bool:
    """Whether every erasure so far was followed by a ``scrub``."""
    return not connection.execute(sa.select(tables.meta.c.unscrubbed)).scalar_one()


def _scrub_sqlite(engine: sa.Engine) -> bool:
    with plain_cursor(engine) as cursor:
        if not cursor.execute("PRAGMA database_list").fetchone()[2]:
            return True  # in memory
        try:
            cursor.execute("PRAGMA temp_store = FILE")  # the copy may be larger than memory
            cursor.execute("VACUUM")
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise ArtifactError(f"the store cannot be rewritten: {error}", hint="make room on the disk") from error
            return False
        finally:
            cursor.execute("PRAGMA temp_store = MEMORY")
    return not busy


def _scrub_tables(engine: sa.Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for name in tables.metadata.tables:
            connection.exec_driver_sql(f"VACUUM (FULL) {name}")
