"""Files that are written: whole or not at all, and never in place of what a command did not make."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from idiolect.errors import OutputError
from idiolect.sqlite import SIDE_FILES, is_sqlite


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file next to ``path`` with ``write``, then replace ``path`` by it.

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


def make_once(path: Path, content: bytes) -> None:
    """Make a file that only its owner may read, unless there is one: of several at once, all then read the same.

    Args:
        path: The file.
        content: Of a new file.
    """
    if path.exists():
        return
    partial = partial_of(path)
    with cleaning_up(), named_errors(path):
        try:
            with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _link(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _link(partial: Path, path: Path) -> None:
    """Give the file its name, unless another has it."""
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(partial, path)


def partial_of(path: Path) -> Path:
    """A name next to ``path`` for its unfinished content, which no other writer uses."""
    return path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")


def check_output(path: Path, *, ours: Callable[[Path], bool], what: str, apart: Iterable[Path | None] = ()) -> Path:
    """The path of an output file, after a check that no other file is replaced.

    Args:
        path: What the user named. It may be new, empty, or hold an earlier output of the same kind.
        ours: Tells such an output by its content; only called with a regular file that is no database.
        what: The kind, for messages ("a list of rejects").
        apart: Files that the same command reads or writes otherwise; for a database its companion files too.

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
    """The resolved path, after a check that it is none of the files ``apart``; see ``check_output``.

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
    """The resolved absolute path, which need not exist.

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
    """Whether a path is the same file as another one, or one of SQLite's files next to it."""
    known = os.path.realpath(other)
    for suffix in ("", *SIDE_FILES):
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
    """Let SIGTERM and SIGHUP raise ``SystemExit`` inside the block, so that ``finally`` removes unfinished files.

    Without it these signals end the process at once. A handler that is already set is kept, and so are
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
    """Add the written file's name to system errors.

    Those of Arrow and of a full disk have none, others that of an unfinished file next to it.

    Args:
        path: What is written.
    """
    try:
        yield
    except OSError as error:
        unfinished = str(error.filename).endswith(".partial")
        if error.errno is None or (error.filename is not None and not unfinished):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
