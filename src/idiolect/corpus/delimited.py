"""CSV to rows."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from idiolect.corpus.lines import MAX_LINE, TOO_LONG, bounded_lines, is_too_long
from idiolect.corpus.rejects import RAW_CHARS
from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, readable, shown
from idiolect.errors import InputError

_UNEVEN = "wrong number of columns"
_MAX_RECORD = 4 * 2**20
"""Characters of a row that spans lines at most: as far as the end of an open quote is looked for."""


def csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns, separated by comma, tab or semicolon.

    A row that is no CSV (an open quote above all) is rejected alone: reading goes on at the line after its first.

    Raises:
        InputError: The first line is empty or no CSV, so that nothing tells what the rest is.
    """
    # The module's limit is one for the whole process and below what a long text needs; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    with readable(path), open_bytes(path) as file:
        lines = _Lines(file)
        names, delimiter = _header(lines)
        if not names:
            raise InputError(f"line 1 of {shown(path)} names no columns", hint="give it a header, or --format")
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(lines.first, TOO_LONG if str(error) == TOO_LONG else "not CSV", lines.raw())
                lines.put_back()
                continue
            if cells:
                whole = len(cells) == len(names)
                yield Row(lines.first, dict(zip(names, cells, strict=True)) if whole else _UNEVEN, lines.raw())


def _header(lines: _Lines) -> tuple[list[str], str]:
    """The names of the columns (none where the first row is no CSV) and the delimiter that makes most of them."""
    start = lines.peek()
    if not start:
        return [""], ","  # an empty file has no rows, which is told elsewhere
    delimiter = max(",\t;", key=start.count)
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), []), delimiter
    except csv.Error:
        return [], delimiter


class _Lines:
    """The lines of a file, decoded; those of one row can be put back but for the first.

    Bytes that are no UTF-8 become lone surrogates, which the field parsers refuse row by row.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._fresh = bounded_lines(file)
        self._returned: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self.first = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._read()
        self._taken.append(line)
        self._size += len(line)
        if self._size > _MAX_RECORD and len(self._taken) > 1:
            raise csv.Error("an open quote")
        return line

    def peek(self) -> str:
        """The next line, which stays the next."""
        line = next(self._fresh, b"").decode("utf-8", "surrogateescape")
        if line:
            self._returned.append(line)
        return line

    def begin(self) -> None:
        """Here a row ends and the next begins."""
        self.first += len(self._taken)
        self._taken, self._size = [], 0

    def raw(self) -> str:
        """The row as it stands in the file, or as much as was read of it."""
        return "".join(self._taken[:8])

    def put_back(self) -> None:
        """Makes the lines after the first of this row the next ones."""
        self._returned.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    def _read(self) -> str:
        line = next(self._fresh)
        if is_too_long(line):
            self._taken.append(line[:RAW_CHARS].decode("utf-8", "replace"))
            raise csv.Error(TOO_LONG)
        return line.decode("utf-8", "surrogateescape")
