"""The bytes of a user's file, gzipped or not, with every way they can fail said in one line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from idiolect.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what goes wrong while ``path`` is read into one ``InputError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"no such file: {str(path)!r}", hint="check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{str(path)!r} is a folder", hint="name one file in it") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{str(path)!r} is cut short or damaged: {error}", hint="fetch the file again") from error
    except pa.ArrowException as error:
        raise InputError(
            f"{str(path)!r} is not a readable Parquet file: {_line(error)}", hint="fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or _line(error)}", hint="check it") from error


def open_bytes(path: Path) -> IO[bytes]:
    """``path`` opened for reading, unpacked where its first bytes say gzip, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def plain_suffix(path: Path) -> str:
    """The suffix of ``path`` in lower case without a final ``.gz``."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
