"""CSV to rows."""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO

from idiolect.corpus.columns import check_names
from idiolect.corpus.lines import MAX_LINE, TOO_LONG, bounded_lines, is_too_long
from idiolect.corpus.rejects import RAW_CHARS
from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, readable, shown
from idiolect.errors import InputError

_PEEKED = 50
"""Lines that are looked at for the separator."""
_UNEVEN = "wrong number of columns"
_MAX_RECORD = 4 * 2**20
"""Characters of a row that spans lines at most: as far as the end of an open quote is looked for."""


def csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns, separated by comma, tab, semicolon or ``|``.

    The separator is the one by which most of the first rows have as many cells as the header, whatever the file's name
    says; a first line ``sep=;``, as Excel writes it, names it.

    A row that is no CSV (an open quote above all) is rejected alone: reading goes on at the line after its first.

    Raises:
        InputError: The first line is empty or no CSV, so that nothing tells what the rest is.
    """
    # The module's limit is one for the whole process and below what a long text needs; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    with readable(path), open_bytes(path) as file:
        lines = _Lines(file)
        names, delimiter = _header(lines, path)
        if not names:
            raise InputError(f"line 1 of {shown(path)} names no columns", hint="give it a header, or --format")
        check_names(names, shown(path))
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


def _header(lines: _Lines, path: Path) -> tuple[list[str], str]:
    """The names of the columns (none where the first row is no CSV) and the separator."""
    start = lines.peek()
    if not start:
        return [""], ","  # an empty file has no rows, which is told elsewhere
    named = _NAMED.fullmatch(start[0].strip())
    if named:
        next(lines)
        lines.begin()
        start = start[1:]
    delimiter = named[1] if named else max(_SEPARATORS, key=lambda one: _fit(start, one))
    if not named and _fit(start, delimiter) == 0:
        _refuse_odd(start[0], path)
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), []), delimiter
    except csv.Error:
        return [], delimiter


_SEPARATORS = ",\t;|"
_NAMED = re.compile(r'"?sep=([^\w\s"]|\t)"?')
_ODD = re.compile(r"[\x01-\x08\x1c-\x1f^~:!#$%&*+/=@¦§]")
"""What else files are separated by, and names of columns do not hold."""


def _fit(start: list[str], separator: str) -> float:
    """How well ``separator`` parts the first lines: columns of the header, times the share of rows with as many."""
    try:
        header, *rows = csv.reader(start, delimiter=separator)
    except (csv.Error, ValueError):
        return 0
    rows = [row for row in rows if row]
    rows = rows[:-1] if len(rows) > 1 else rows  # the last may go on behind the lines that were looked at
    share = sum(len(row) == len(header) for row in rows) / len(rows) if rows else 0
    return len(header) * (share + 0.05) if len(header) > 1 else 0


def _refuse_odd(header: str, path: Path) -> None:
    """Raise where the header has several names, between which stands something else.

    Raises:
        InputError: With what that is.
    """
    found = Counter(_ODD.findall(header)).most_common(1)
    if "\r" in header.rstrip("\r\n"):
        raise InputError(f"line 1 of {shown(path)} has line ends of an old kind", hint="convert them: tr '\\r' '\\n'")
    if found and found[0][1] > 1:
        hint = "separate them by comma, tab, semicolon or |"
        raise InputError(f"the columns of {shown(path)} are separated by {found[0][0]!r}", hint=hint)


class _Lines:
    """The lines of a file, decoded; those of one row can be put back but for the first.

    Bytes that are no UTF-8 become lone surrogates, which the field parsers refuse row by row.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._fresh: Iterator[bytes] = bounded_lines(file)
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

    def peek(self) -> list[str]:
        """The first lines, which stay the next."""
        for line in islice(self._fresh, _PEEKED):
            if is_too_long(line) and self._returned:
                self._fresh = chain([line], self._fresh)
                break
            self._returned.append(line.decode("utf-8", "surrogateescape"))
        return list(self._returned)

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
