"""Tell SQLite databases, which nothing but SQLite may open: perhaps one is the store."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_SMALLEST = 512
"""Bytes of the smallest SQLite database: one page."""
SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite appends to a database's name for the files that it keeps next to it."""
_NOT_A_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)


def is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database, or one of the files that SQLite keeps next to one.

    SQLite itself looks. If a process opens and closes a database's file in any other way, POSIX drops all locks that
    SQLite holds on the file for this process, and the next writer can damage the database.
    """
    for suffix in SIDE_FILES:
        if path.name.endswith(suffix):
            return is_sqlite(path.with_name(path.name.removesuffix(suffix)))
    if not path.is_file() or path.stat().st_size < _SMALLEST:
        return False
    try:
        with closing(sqlite3.connect(untouched(path), uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", None) not in _NOT_A_DATABASE
    return True


def untouched(path: Path) -> str:
    """The URI under which SQLite reads a database's main file without locks, log or any change."""
    return f"file:{quote(os.fsencode(path.resolve()))}?mode=ro&immutable=1"
