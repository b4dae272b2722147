"""The lines of a file, none of them larger than what fits in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO

MAX_LINE = 32 * 2**20
"""Bytes of a line or row at most; what is longer is rejected, and read over without being held."""

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
