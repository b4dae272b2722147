"""The bytes of a user's file, packed or not, with every way they can fail said in one line."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from idiolect.corpus.atomic import is_sqlite
from idiolect.errors import InputError

Packing = Literal["", "gzip", "zstd"]

PACKED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")

_BUFFER = 2**20
_FETCH_AGAIN = "fetch it again, or see which rows came before the damage by unpacking it by hand"
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive", "unpack it and name the folder"),
    b"BZh": ("packed with bzip2", "unpack it: bzip2 -d"),
    b"\xfd7zX": ("packed with xz", "unpack it: xz -d"),
    b"\xff\xfe": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
}
"""What a file may be that is not read: its first bytes, the name of the thing, the remedy."""


OPEN_FILES = Path("/proc/self/fd")
"""Where an open file without a name can be opened again (Linux)."""
SPOOLED = "idiolect-stdin-"
"""How the names of files begin that hold standard input."""


def shown(path: Path) -> str:
    """A path as the user knows it, for messages."""
    spooled = path.parent == OPEN_FILES or path.name.startswith(SPOOLED)
    return "standard input" if spooled else repr(str(path))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what goes wrong while ``path`` is read into one ``InputError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"no such file: {shown(path)}", hint="check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{shown(path)} is a folder", hint="name one file in it") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{shown(path)} is cut short or damaged: {error}", hint=_FETCH_AGAIN) from error
    except pa.ArrowException as error:
        raise InputError(f"{shown(path)} is not a readable table: {_line(error)}", hint="fetch it again") from error
    except OSError as error:
        if error.errno is None:  # Arrow's decompressors have no error of their own
            raise InputError(f"{shown(path)} is cut short or damaged: {_line(error)}", hint=_FETCH_AGAIN) from error
        raise InputError(f"cannot read {shown(path)}: {error.strerror or _line(error)}", hint="check it") from error


def packing(path: Path) -> Packing:
    """How ``path`` is packed, by its first bytes, whatever its name says.

    Raises:
        InputError: It is packed or encoded in a way that is not read.
    """
    if is_sqlite(path):  # perhaps the store itself, which nothing but SQLite may open
        raise InputError(
            f"{shown(path)} is an SQLite database", hint="name a file of reviews; `idiolect export` copies a store"
        )
    with path.open("rb") as file:
        start = file.read(4)
    for magic, (what, remedy) in _FOREIGN.items():
        if start.startswith(magic):
            raise InputError(f"{shown(path)} is {what}", hint=remedy)
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if start == b"\x28\xb5\x2f\xfd" else ""


def open_bytes(path: Path) -> io.BufferedReader:
    """``path`` opened for reading, unpacked on the way where it is packed."""
    packed = packing(path)
    if packed == "gzip":
        return io.BufferedReader(cast(Any, gzip.open(path, "rb")), _BUFFER)
    if packed == "zstd":
        return io.BufferedReader(cast(Any, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")), _BUFFER)
    return cast(io.BufferedReader, path.open("rb", buffering=_BUFFER))


def plain_name(path: Path) -> str:
    """The name of ``path`` in lower case without a final ``.gz`` or ``.zst``."""
    name = path.name.lower()
    return next((name.removesuffix(suffix) for suffix in PACKED_SUFFIXES if name.endswith(suffix)), name)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
