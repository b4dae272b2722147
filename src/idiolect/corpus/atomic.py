"""Files that appear whole or not at all, and files that only SQLite may open."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import quote

_SMALLEST = 512
"""Bytes of the smallest SQLite database: one page."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite appends to a database's name for the files that it keeps beside it."""
_NOT_A_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then put it in the place of ``path``.

    Args:
        path: The file that is made or replaced.
        write: Given the path to write to; where it raises, ``path`` stays as it was.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with cleaning_up(), named_errors(path):
        try:
            write(partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def cleaning_up() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise ``SystemExit`` inside the block, so that ``finally`` removes what is unfinished.

    Without it these signals end the process at once. A handler that somebody else has set is left alone, and so are
    threads other than the main one, where Python handles no signals.
    """
    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    taken = [number for number in wanted if here and signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Give errors of the system the name of what is written where they have none, as those of Arrow and of a full disk.

    Args:
        path: What is written.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database, or one of the files that SQLite keeps beside one.

    SQLite itself looks. If a process opens and closes a database's file in any other way, POSIX drops all locks that
    SQLite holds on the file for this process, and the next writer can damage the database.
    """
    for suffix in BESIDE:
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


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
