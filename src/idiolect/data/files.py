"""Files and streams of users that are read: packed or not, in bounded lines.

Every way in which reading can fail becomes one clear line.
"""

from __future__ import annotations

import errno
import gzip
import io
import logging
import os
import re
import shutil
import stat
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, cast

import pyarrow as pa

from idiolect.errors import InputError
from idiolect.sqlite import is_sqlite

_log = logging.getLogger(__name__)

Packing = Literal["", "gzip", "zstd"]

_PACKED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")
STDIN_NAME = "standard input"

_BUFFER = 2**20
_START = 512
"""Bytes from which the kind of a file is detected; a tar archive's first header is as long."""
_FETCH_AGAIN = "fetch it again, or see which rows came before the damage by unpacking it by hand"
_UNPACK = "unpack it and name the file or folder that comes out"
_TO_CSV = "export it as CSV or JSON lines"
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive", "unpack it and name the folder; save a workbook (.xlsx) as CSV"),
    b"PK\x05\x06": ("an empty zip archive", "check where it came from"),
    b"BZh": ("packed with bzip2", "unpack it: bzip2 -d"),
    b"\xfd7zX": ("packed with xz", "unpack it: xz -d"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": ("a rar archive", _UNPACK),
    b"\x04\x22\x4d\x18": ("packed with lz4", "unpack it: lz4 -d"),
    b"\xff\x06\x00\x00sNaPpY": ("packed with snappy", "unpack it, or pack it with gzip or zstd"),
    b"\x1f\x9d": ("packed with compress", "unpack it: uncompress"),
    b"SQLite format 3\x00": ("an SQLite database", "name a store with store=; export other tables as CSV"),
    b"%PDF-": ("a PDF document", _TO_CSV),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office document", "save it as CSV in UTF-8"),
    b"Obj\x01": ("an Avro file", _TO_CSV),
    b"\x89HDF\r\n": ("an HDF5 file", _TO_CSV),
    b"PARE": ("an encrypted Parquet file", "decrypt it first"),
    b"\xff\xfe\x00\x00": ("UTF-32", "convert it: iconv -f UTF-32 -t UTF-8"),
    b"\x00\x00\xfe\xff": ("UTF-32", "convert it: iconv -f UTF-32 -t UTF-8"),
    b"\xff\xfe": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"version https://git-lfs.": ("a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"),
}
"""What a file may be that is not read: its first bytes, the name of the thing, the remedy; longer ones first."""
_MARKUP = {
    b"<!doctype html": ("a web page", "fetch the file itself: the page may ask to log in or to accept terms"),
    b"<html": ("a web page", "fetch the file itself: the page may ask to log in or to accept terms"),
    b"<?xml": ("XML", "convert it to CSV or JSON lines"),
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)

OPEN_FILES = Path("/proc/self/fd")
"""Where an open file without a name can be opened again (Linux)."""
_DESCRIPTOR = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/(\d+)")
_SPOOLED: dict[Path, str] = {}
"""What the user calls the input that a temporary file holds."""
_PATIENCE = 2.0
"""Seconds without input after which a message is shown."""
_RESERVE = 2**28
"""Bytes that stay free on the disk where input is kept; a tenth of a disk that is smaller than 2.5 GiB."""


def shown(path: Path) -> str:
    """A path as the user knows it, for messages."""
    name = known_as(path)
    return name if name == STDIN_NAME else repr(name)


def printable(name: str) -> str:
    """A name that is not trusted, without control characters and what a terminal cannot show."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def known_as(path: Path) -> str:
    """The name the user gave to what ``path`` holds."""
    return _SPOOLED.get(path, str(path))


class OtherContentError(InputError):
    """A file that can be read holds no records of the kind that is looked for; the others of its folder may."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns errors while ``path`` is read into one ``InputError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"no such file: {shown(path)}", hint="check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{shown(path)} is a folder", hint="name one file in it") from error
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
        raise InputError(f"{shown(path)} is cut short or damaged: {_line(error)}", hint=_FETCH_AGAIN) from error
    except (pa.ArrowException, SystemError) as error:  # the latter of offsets and lengths that are wrong
        raise InputError(f"{shown(path)} is not a readable table: {_line(error)}", hint="fetch it again") from error
    except OSError as error:
        if error.errno is None:  # Arrow's decompressors have no error of their own
            raise InputError(f"{shown(path)} is cut short or damaged: {_line(error)}", hint=_FETCH_AGAIN) from error
        raise InputError(f"cannot read {shown(path)}: {error.strerror or _line(error)}", hint="check it") from error


def packing(path: Path) -> Packing:
    """The compression of ``path``, by its first bytes, not its name.

    Raises:
        InputError: It is packed or encoded in a way that is not read.
    """
    if is_sqlite(path):  # perhaps the store itself, which nothing but SQLite may open
        raise InputError(
            f"{shown(path)} is an SQLite database", hint="name a file of reviews; `idiolect export` copies a store"
        )
    with path.open("rb") as file:
        start = file.read(_START)
        skips = bool(_SKIPPABLE.match(start))
        while _SKIPPABLE.match(start):  # a zstd frame without data, with its length
            file.seek(int.from_bytes(start[4:8], "little") + 8 - len(start), os.SEEK_CUR)
            start = file.read(_START)
        _refuse_foreign(path, start)
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if skips or start.startswith(_ZSTD) else ""


def open_bytes(path: Path) -> io.BufferedReader:
    """``path`` opened for reading, decompressed if necessary.

    Raises:
        InputError: It is, packed or not, of a kind that is not read.
    """
    packed = packing(path)
    with _open_packed(path, packed) as file:
        start = file.read(_START)
    if packed:
        _refuse_foreign(path, start, inside=True)
    if is_tar_start(start):
        raise InputError(f"{shown(path)} is a tar archive", hint="unpack it (tar -xf) and name the folder")
    return _open_packed(path, packed)


def is_tar(path: Path) -> bool:
    """Whether ``path`` is a tar archive, packed or not."""
    with readable(path), _open_packed(path, packing(path)) as file:
        return is_tar_start(file.read(_START))


def open_tar(path: Path) -> io.BufferedReader:
    """The bytes of a tar archive, decompressed if necessary."""
    return _open_packed(path, packing(path))


def is_tar_start(start: bytes) -> bool:
    """Whether the first 512 bytes of a file are a header of tar (the old kind has no name, but a sum)."""
    if start[257:262] == b"ustar":
        return True
    try:
        return bool(tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape").name)
    except tarfile.TarError:
        return False


def plain_name(path: Path) -> str:
    """The name of ``path`` in lower case without a final ``.gz`` or ``.zst``."""
    name = Path(known_as(path)).name.lower()
    return next((name.removesuffix(suffix) for suffix in _PACKED_SUFFIXES if name.endswith(suffix)), name)


def is_stream(path: Path) -> bool:
    """Whether ``path`` can be read only once: a pipe, a terminal or another device, a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def stream_id(where: Path | str) -> tuple[int, int] | None:
    """An identity of a stream, equal for two names of it (``-`` is standard input); None for other files."""
    try:
        found = os.fstat(0) if str(where) == "-" else os.stat(where)
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else (found.st_dev, found.st_ino)


def open_stream(path: Path) -> IO[bytes]:
    """What ``is_stream`` opened for reading.

    Raises:
        InputError: It is a disk, or a socket that has a name.
    """
    mode = path.stat().st_mode
    if stat.S_ISBLK(mode):
        raise InputError(f"{str(path)!r} is a disk, not a file", hint="name a file or folder on it")
    number = _DESCRIPTOR.fullmatch(str(path))
    if number:  # a socket or another process's pipe may not be opened a second time
        return os.fdopen(os.dup(int(number[1] or 0)), "rb")
    if stat.S_ISSOCK(mode):
        raise InputError(f"{str(path)!r} is a socket", hint="pipe what comes from it into `idiolect ingest -`")
    return path.open("rb")


def spool(open_input: Callable[[], AbstractContextManager[IO[bytes]]], name: str) -> tuple[Path, Callable[[], None]]:
    """Keep input that can be read once in a temporary file, which can be read again.

    Only the user can read the file. Where an open file can be opened again (Linux), it has no name, so that a call
    that is killed leaves nothing.

    Args:
        open_input: Opens the input; may wait until another process writes to it. After two seconds without a byte a
            message says so.
        name: What the user calls it.

    Returns:
        The path to read, and what removes it.

    Raises:
        InputError: The disk has no room for it, or it gives nothing but NUL bytes.
    """
    handle, temporary = tempfile.mkstemp(prefix="idiolect-input-")
    path, nameless = Path(temporary), OPEN_FILES / str(handle)

    def drop() -> None:
        _SPOOLED.pop(path, None)
        os.close(handle)
        Path(temporary).unlink(missing_ok=True)

    try:
        if nameless.exists():
            path.unlink()
            path = nameless
        _SPOOLED[path] = name
        with readable(path), os.fdopen(handle, "wb", closefd=False) as file:
            waiting = threading.Timer(_PATIENCE, _log.warning, (f"waiting for {shown(path)}: no input has come yet",))
            waiting.daemon = True
            waiting.start()
            try:
                with open_input() as source:
                    first = source.read(1)
                    waiting.cancel()
                    copy_bounded(source, file, path, first=first)
            finally:
                waiting.cancel()
    except BaseException:
        drop()
        raise
    return path, drop


def copy_bounded(source: IO[bytes], file: IO[bytes], path: Path, *, first: bytes = b"") -> None:
    """Copy ``first`` and ``source`` to a temporary file, as long as the disk has room.

    Raises:
        InputError: It has not, or there is nothing but NUL bytes.
    """
    folder = tempfile.gettempdir()
    reserve = min(_RESERVE, shutil.disk_usage(folder).total // 10)
    block = first + source.read(_BUFFER)
    if len(block) > _BUFFER and not block.strip(b"\0"):
        raise InputError(f"{shown(path)} gives nothing but NUL bytes", hint="check what writes to it")
    try:
        while block:
            if shutil.disk_usage(folder).free < reserve + len(block):
                raise OSError(errno.ENOSPC, "the disk is full")
            file.write(block)
            block = source.read(_BUFFER)
        file.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{shown(path)} does not fit on the disk of {folder!r}, where it is kept while it is read",
            hint="check that it ends; set TMPDIR to a folder on a larger disk",
        ) from error


def _open_packed(path: Path, packed: Packing) -> io.BufferedReader:
    if packed == "gzip":
        return io.BufferedReader(cast(Any, gzip.open(path, "rb")), _BUFFER)
    if packed == "zstd":
        return io.BufferedReader(cast(Any, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")), _BUFFER)
    return cast(io.BufferedReader, path.open("rb", buffering=_BUFFER))


def _refuse_foreign(path: Path, start: bytes, *, inside: bool = False) -> None:
    """Raise where ``start`` is how something begins that is not read."""
    found = next((said for magic, said in _FOREIGN.items() if start.startswith(magic)), None) or _wide(start)
    head = start[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    found = found or next((said for magic, said in _MARKUP.items() if head.startswith(magic)), None)
    if inside and (start.startswith((b"\x1f\x8b", _ZSTD)) or _SKIPPABLE.match(start)):
        found = ("packed twice", "unpack it once: gzip -d, or zstd -d")
    if found:
        what, remedy = found
        within = ", unpacked, " if inside else " "
        raise InputError(f"{shown(path)}{within}is {what}", hint=remedy)


def _wide(start: bytes) -> tuple[str, str] | None:
    """UTF-16 or UTF-32 without a byte order mark, by the NUL bytes that its ASCII letters have."""
    sample = start[:64]
    sample = sample[: len(sample) // 4 * 4]
    if len(sample) < 8:
        return None
    zeros = tuple(not any(sample[k::4]) for k in range(4))
    holds = tuple(all(sample[k::4]) for k in range(4))
    for name, pattern in _WIDE.items():
        if all(zeros[k] if empty else holds[k] for k, empty in enumerate(pattern)):
            return f"{name} without a byte order mark", f"convert it: iconv -f {name} -t UTF-8"
    return None


_WIDE = {
    "UTF-32LE": (False, True, True, True),
    "UTF-32BE": (True, True, True, False),
    "UTF-16LE": (False, True, False, True),
    "UTF-16BE": (True, False, True, False),
}
"""Which bytes of four are NUL in ASCII letters."""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


MAX_LINE = 32 * 2**20
"""Most bytes of a line or row; a longer one is rejected and skipped without being kept in memory."""

TOO_LONG = "line over 32 MiB"

_BOM = b"\xef\xbb\xbf"


def bounded_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of ``file``, the first without its byte order mark.

    Of a line that is too long the first ``MAX_LINE + 1`` bytes come, so that its length tells.
    """
    lines = iter(partial(file.readline, MAX_LINE + 1), b"")
    first = next(lines, b"")
    if first:
        _skip_rest(file, first)
        yield first.removeprefix(_BOM) or b"\n"
    for line in lines:
        if len(line) > MAX_LINE:
            _skip_rest(file, line)
        yield line


def is_too_long(line: bytes) -> bool:
    """Whether ``line`` is only the start of one that was read over."""
    return len(line) > MAX_LINE


def _skip_rest(file: IO[bytes], line: bytes) -> None:
    while line and len(line) > MAX_LINE and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE + 1)
