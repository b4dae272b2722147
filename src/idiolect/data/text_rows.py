"""Rows of text files: one JSON object or Python literal per line, a JSON array, or CSV; streamed.

If a row is damaged and the next one can be found, only the damaged row is rejected.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from idiolect.data.files import MAX_LINE, TOO_LONG, bounded_lines, is_too_long, open_bytes, readable, shown
from idiolect.data.records import Row, check_names
from idiolect.data.rejects import RAW_CHARS
from idiolect.errors import InputError

_MAX_LITERAL = 4 * 2**20
"""Characters of a Python literal at most: its syntax tree takes hundreds of bytes for each."""


def json_rows(path: Path) -> Iterator[Row]:
    """Rows of a file with one JSON object per line; blank lines are skipped."""
    return _line_rows(path, _Decoder().once)


def literal_rows(path: Path) -> Iterator[Row]:
    """Rows of a file with one JSON object or Python literal per line (Amazon 2014 has both kinds of files)."""
    return _line_rows(path, partial(_json_or_literal, decode=_Decoder().once))


def _line_rows(path: Path, parse: Callable[[str], Any]) -> Iterator[Row]:
    with readable(path), open_bytes(path) as file:
        for number, line in enumerate(bounded_lines(file), start=1):
            if not line.isspace():
                yield Row(number, _object(line, parse), line)


def _object(line: bytes, parse: Callable[[str], Any]) -> dict[str, Any] | str:
    if is_too_long(line):
        return TOO_LONG
    if b"\0" in line:
        return "NUL byte"
    try:
        value = parse(line.decode())
    except UnicodeDecodeError:
        return "not UTF-8"
    except _TwiceError:
        return _TWICE
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # the last four are ast's refusals
        return "Python literal, not JSON" if line.lstrip().startswith(b"{'") else "not JSON"
    return value if isinstance(value, dict) else "not an object"


_TWICE = "one key twice with different values"
"""Why a row with a duplicate key is rejected."""


class _TwiceError(ValueError):
    """An object holds one key twice, with different values."""


_LINE_ENDS = frozenset(["", "\n", "\r\n"])


class _Decoder(json.JSONDecoder):
    """A JSON decoder that notes whether an object holds one key twice, with different values."""

    def __init__(self, *, strict: bool = True) -> None:
        super().__init__(strict=strict, object_pairs_hook=self._object)
        self.twice = False

    def once(self, text: str) -> Any:
        """The value that ``text`` is.

        Raises:
            _TwiceError: It holds an object with one key twice.
        """
        self.twice = False
        try:  # as ``decode``, without its search for blanks at both ends
            value, end = self.raw_decode(text)
        except ValueError:
            value, end = None, -1
        if end < 0 or text[end:] not in _LINE_ENDS:
            value = self.decode(text)
        if self.twice:
            raise _TwiceError(_TWICE)
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        self.twice = self.twice or (len(found) < len(pairs) and any(found[key] != value for key, value in pairs))
        return found


def _json_or_literal(line: str, *, decode: Callable[[str], Any]) -> Any:
    try:
        return decode(line)
    except _TwiceError:
        raise
    except ValueError:
        return _literal(line)


def _literal(line: str) -> Any:
    line = line.strip()
    if not line.startswith("{") or len(line) > _MAX_LITERAL:
        raise ValueError("no dictionary")
    with warnings.catch_warnings():  # of escapes such as "\\/", which Python reads but frowns upon
        warnings.simplefilter("ignore")
        tree = ast.parse(line, mode="eval")
        if _holds_twice(tree.body):
            raise _TwiceError(_TWICE)
        return ast.literal_eval(tree)


def _holds_twice(node: ast.expr) -> bool:
    """Whether a dictionary in a literal holds one key twice, with different values."""
    if isinstance(node, ast.Dict):
        found: dict[Any, str] = {}
        names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        if len(set(names)) < len(names):
            for name, value in zip(names, map(ast.dump, node.values), strict=True):
                if found.setdefault(name, value) != value:
                    return True
        return any(map(_holds_twice, node.values))
    return isinstance(node, (ast.List, ast.Tuple)) and any(map(_holds_twice, node.elts))


_CHUNK = 2**20
_BETWEEN = " \t\r\n,"


def array_rows(path: Path) -> Iterator[Row]:
    """Rows of a file that is one JSON array of objects.

    Raises:
        InputError: It is damaged; after a value that is not JSON, the beginning of the next one is unknown.
    """
    with readable(path), open_bytes(path) as file:
        window = _Window(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""), path)
        window.open()
        while window.has_value():
            line, value = window.line, window.take()
            cells = _TWICE if window.twice else value if isinstance(value, dict) else "not an object"
            yield Row(line, cells, window.taken)
        window.close()


class _Window:
    """The part of a text that is being decoded."""

    def __init__(self, source: io.TextIOWrapper, path: Path) -> None:
        self._source = source
        self._path = path
        self._decoder = _Decoder(strict=False)  # a raw NUL in a string is then the row's own fault
        self.text = ""
        self.pos = 0
        self.line = 1
        self.taken = ""
        """How the latest value begins."""

    @property
    def twice(self) -> bool:
        """Whether the latest value holds one key twice, with different values."""
        return self._decoder.twice

    def open(self) -> None:
        """Steps over the opening bracket."""
        self._skip(_BETWEEN)
        if self.text[self.pos : self.pos + 1] != "[":
            raise InputError(f"{shown(self._path)} is no JSON array", hint="one object per line is format=jsonl")
        self._step(self.pos + 1)

    def has_value(self) -> bool:
        """Whether a value follows; the position is then at its start."""
        self._skip(_BETWEEN)
        return self.text[self.pos : self.pos + 1] not in ("", "]")

    def take(self) -> Any:
        """The value at the position, which moves behind it."""
        while True:
            self._decoder.twice = False
            try:
                value, end = self._decoder.raw_decode(self.text, self.pos)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._widen():
                    raise self._damaged() from error
                continue
            if end < len(self.text) or not self._widen():  # a number may go on behind the window
                self.taken = self.text[self.pos : min(end, self.pos + RAW_CHARS)]
                self._step(end)
                return value

    def close(self) -> None:
        """Checks that the array ends here and the file with it."""
        if self.text[self.pos : self.pos + 1] != "]":
            raise self._damaged()
        self._step(self.pos + 1)
        self._skip(" \t\r\n")
        if self.pos < len(self.text):
            hint = "one object per line is format=jsonl"
            raise InputError(f"{shown(self._path)} goes on after its array ends (line {self.line})", hint=hint)

    def _skip(self, what: str) -> None:
        while True:
            rest = self.text[self.pos : self.pos + 256]
            blank = len(rest) - len(rest.lstrip(what))
            self._step(self.pos + blank)
            if blank < len(rest) or (self.pos == len(self.text) and not self._widen()):
                return

    def _step(self, end: int) -> None:
        self.line += self.text.count("\n", self.pos, end)
        self.pos = end

    def _widen(self) -> bool:
        """Read as much again as is undecoded, so that a long value costs no more than twice its length."""
        undecided = len(self.text) - self.pos
        more = "" if undecided > MAX_LINE else self._source.read(max(_CHUNK, undecided))
        self.text, self.pos = (self.text[self.pos :] + more, 0) if more else (self.text, self.pos)
        return bool(more)

    def _damaged(self) -> InputError:
        return InputError(
            f"{shown(self._path)} is cut short or no JSON from line {self.line} on: {self.text[self.pos :][:60]!r}",
            hint="repair or fetch it again; with one object per line (JSONL) only the bad lines are lost",
        )


_PEEKED = 50
"""Lines that are looked at for the separator."""
_UNEVEN = "wrong number of columns"
_MAX_RECORD = 4 * 2**20
"""Most characters of a row that spans lines; the end of an open quote is searched up to here."""


def csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns, separated by comma, tab, semicolon or ``|``.

    The separator is the one by which most of the first rows have as many cells as the header, whatever the file's name
    says; a first line ``sep=;``, as Excel writes it, names it.

    A row that is not CSV (mostly an open quote) is rejected alone: reading continues at the line after its first.

    Raises:
        InputError: The first line is empty or no CSV, so that nothing tells what the rest is.
    """
    # The module's limit is one for the whole process and below what a long text needs; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    with readable(path), open_bytes(path) as file:
        lines = _Lines(file)
        names, delimiter = _header(lines, path)
        if not names:
            raise InputError(f"line 1 of {shown(path)} names no columns", hint="give it a header, or name the format=")
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
        return [""], ","  # an empty file has no rows, which is reported elsewhere
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
        """Mark the end of a row."""
        self.first += len(self._taken)
        self._taken, self._size = [], 0

    def raw(self) -> str:
        """The raw row, as far as it was read."""
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
