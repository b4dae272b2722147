"""Files that appear whole or not at all, and files that only SQLite may open."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from idiolect.errors import OutputError

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
    partial = partial_of(path)
    with cleaning_up(), named_errors(path):
        try:
            write(partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """A name beside ``path`` for its unfinished content, which no other writer uses."""
    return path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")


def check_output(path: Path, *, ours: Callable[[Path], bool], what: str, apart: Iterable[Path | None] = ()) -> Path:
    """Where an output file goes, once it is sure that nothing of anybody else's is replaced.

    Args:
        path: What the user named. It may be new, empty, or hold an earlier output of the same kind.
        ours: Tells such an output by its content; only called with a regular file that is no database.
        what: The kind, for messages ("a list of rejects").
        apart: Files that the same command reads or writes otherwise; of a database the files beside it are meant too.

    Returns:
        The path with links followed, so that a link is not replaced by the file.

    Raises:
        OutputError: Something else is there.
    """
    place = check_apart(path, apart, what=what)
    try:
        found = os.stat(place)
    except FileNotFoundError:
        return place
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
        raise OutputError(f"{str(path)!r} is {kind}, not a file", hint=f"name a new file for {what}")
    if is_sqlite(place) or (found.st_size and not _is_ours(place, ours)):
        raise OutputError(f"{str(path)!r} is there already and is not {what}", hint="name a new file")
    return place


def check_apart(path: Path, apart: Iterable[Path | None], *, what: str) -> Path:
    """The path with links followed, once it is sure that it is none of the files ``apart``; as in ``check_output``.

    Raises:
        OutputError: It is one of them, by whatever name.
    """
    place = real_path(path)
    if taken := next((other for other in apart if other is not None and _same(place, other)), None):
        raise OutputError(
            f"{str(path)!r} cannot be {what}: the command uses {str(taken)!r} otherwise", hint="name another file"
        )
    return place


def real_path(path: Path) -> Path:
    """The absolute path with links followed, whether or not there is anything.

    Raises:
        OutputError: The links lead nowhere, or the name holds a NUL character.
    """
    try:
        place = os.path.realpath(path)
    except ValueError as error:
        raise OutputError(f"{str(path)!r} cannot be the name of a file", hint="name another one") from error
    if os.path.islink(place):
        raise OutputError(f"{str(path)!r} is a link that leads back to itself", hint="name a file that is no such link")
    return Path(place)


def _same(place: Path, other: Path) -> bool:
    """Whether a path is another one, or a file that SQLite keeps beside it, by any name."""
    known = os.path.realpath(other)
    for suffix in ("", *BESIDE):
        if str(place) == known + suffix or (os.path.exists(known + suffix) and _samefile(place, known + suffix)):
            return True
    return False


def _samefile(place: Path, other: str) -> bool:
    try:
        return os.path.samefile(place, other)
    except OSError:
        return False


def _is_ours(place: Path, ours: Callable[[Path], bool]) -> bool:
    try:
        return ours(place)
    except (OSError, ValueError):  # unreadable, or not text
        return False


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
