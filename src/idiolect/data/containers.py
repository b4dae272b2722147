"""Container formats to rows: CSV, Parquet, Arrow, JSON arrays, and files of one record per line.

A row is a mapping of column names to cells, or the reason why it cannot be used. Files are streamed: no whole file or
array is held in memory.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from idiolect.data.files import (
    MAX_LINE,
    OPEN_FILES,
    TOO_LONG,
    OtherContentError,
    bounded_lines,
    copy_bounded,
    is_too_long,
    open_bytes,
    packing,
    plain_name,
    readable,
    shown,
)
from idiolect.data.records import check_names
from idiolect.data.rejects import RAW_CHARS
from idiolect.errors import InputError

_MAX_LITERAL = 4 * 2**20
"""Characters of a Python literal at most: its syntax tree takes hundreds of bytes for each."""


class Row(NamedTuple):
    """One row as read."""

    line: int
    """Where it begins, from 1."""
    cells: dict[str, Any] | str
    """The cells by column, or the reason why there are none."""
    raw: object
    """The raw row, for the rejects."""


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
        return TWICE
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # the last four are ast's refusals
        return "Python literal, not JSON" if line.lstrip().startswith(b"{'") else "not JSON"
    return value if isinstance(value, dict) else "not an object"


TWICE = "one key twice with different values"
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
        try:  # what ``decode`` does, without looking for blanks where there are none
            value, end = self.raw_decode(text)
        except ValueError:
            value, end = None, -1
        if end < 0 or text[end:] not in _LINE_ENDS:
            value = self.decode(text)
        if self.twice:
            raise _TwiceError(TWICE)
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
            raise _TwiceError(TWICE)
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
            cells = TWICE if window.twice else value if isinstance(value, dict) else "not an object"
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


_BATCH_ROWS = 1024
_PIECE_BYTES = 2**24
"""Bytes of rows that are Python objects at a time."""
_EXPANDS_FROM = 2**28
_EXPANDS = 1000
"""A file is refused that comes to more bytes than ``_EXPANDS_FROM`` and to more than ``_EXPANDS`` times its own: each
cell alone may be harmless, as where a million rows name the one text that a dictionary holds."""
_MAX_VALUES = 2**28
"""Most values of a column in a row group, with the values in lists counted."""
_PLAIN_VALUE = 8
"""Bytes that a value takes in a column in memory, at least and roughly."""
_PLAIN_CELL = 32
"""Bytes that a cell without text takes as a Python object, roughly."""
ARROW_FILE = b"ARROW1"
_Source = IO[bytes] | pa.NativeFile


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file; no more of them is held than a few megabytes, however large their texts are.

    Raises:
        InputError: It is damaged, or expands to many times its size.
    """
    with readable(path), _unpacked(path) as file:
        with pq.ParquetFile(file) as opened:
            metadata = opened.metadata
        _check_parquet(path, metadata)
        long, batch_rows = _long_texts(file, metadata)
        with pq.ParquetFile(file, metadata=metadata, read_dictionary=long, buffer_size=2**20) as table:
            yield from _rows(path, table.iter_batches(batch_size=batch_rows, use_threads=False))


def arrow_rows(path: Path) -> Iterator[Row]:
    """Rows of an Arrow file or stream, such as ``Dataset.save_to_disk`` of Hugging Face leaves."""
    with readable(path), _unpacked(path) as file:
        is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
        file.seek(0)
        yield from _rows(path, _arrow_batches(file, is_file))


def _chunks(metadata: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        yield from (group.column(k) for k in range(group.num_columns))


def _check_parquet(path: Path, metadata: pq.FileMetaData) -> None:
    for chunk in _chunks(metadata):
        packed = chunk.total_compressed_size
        size = max(chunk.total_uncompressed_size, chunk.num_values * _PLAIN_VALUE)  # runs of one value take no room
        if size > max(_EXPANDS_FROM, _EXPANDS * packed) or chunk.num_values > _MAX_VALUES:
            raise _bomb(path, f"column {chunk.path_in_schema!r}")


def _bomb(path: Path, what: str) -> InputError:
    return InputError(
        f"{shown(path)} is refused: {what} expands to more than {_EXPANDS} times its size, or {_MAX_VALUES:,} values",
        hint="check where it came from; if it is right, write it as JSON lines or in smaller row groups",
    )


def _long_texts(file: _Source, metadata: pq.FileMetaData) -> tuple[list[str], int]:
    """What keeps a batch in memory where many rows share a long text of a dictionary.

    Returns:
        The columns whose texts stay in their dictionaries until the rows were measured (slow), and the rows to read
        at a time.
    """
    columns = map(metadata.schema.column, range(metadata.num_columns))
    texts = {column.path: column for column in columns if not _is_decimal(column)}
    nested = {path for path, column in texts.items() if column.max_repetition_level}
    found, batch_rows = set[str](), _batch_rows(metadata)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(k) for k in range(group.num_columns))
        shared = {c.path_in_schema: c.num_values for c in chunks if c.physical_type == "BYTE_ARRAY" and _is_shared(c)}
        looked_at = sorted((shared.keys() & texts) - found)
        for path, longest in zip(looked_at, _longest(file, metadata, number, looked_at), strict=True):
            # All values of a list may be in one row.
            row_bytes = longest * (shared[path] if path in nested else 1)
            if row_bytes > _EXPANDS_FROM:
                found.add(path)
            else:
                batch_rows = min(batch_rows, _EXPANDS_FROM // max(1, row_bytes))
    return sorted(found), batch_rows


def _longest(file: _Source, metadata: pq.FileMetaData, group: int, paths: list[str]) -> Iterator[int]:
    """Bytes of the longest text in the dictionary of each of these columns."""
    for path in paths:
        with pq.ParquetFile(file, metadata=metadata, read_dictionary=[path], buffer_size=2**20) as table:
            batches = table.iter_batches(batch_size=1, row_groups=[group], columns=[path], use_threads=False)
            first = next(batches, None)
            yield max((_longest_in(column) for column in first.columns), default=0) if first is not None else 0


def _longest_in(column: pa.Array) -> int:
    if isinstance(column, pa.DictionaryArray):
        return int(_sizes(column.dictionary).max(initial=0))
    if isinstance(column, pa.StructArray):
        return max((_longest_in(column.field(k)) for k in range(column.type.num_fields)), default=0)
    if isinstance(column, (pa.ListArray, pa.LargeListArray, pa.MapArray, pa.FixedSizeListArray)):
        return _longest_in(_flat(column))
    return int(_sizes(column).max(initial=0))


def _is_shared(chunk: pq.ColumnChunkMetaData) -> bool:
    return any(encoding.endswith("DICTIONARY") for encoding in chunk.encodings)


def _is_decimal(column: pq.ColumnSchema) -> bool:
    return column.logical_type.type == "DECIMAL" or column.converted_type == "DECIMAL"


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows read at a time: fewer where they are long, or may repeat a long one (texts kept as differences)."""
    rows = max(1, metadata.num_rows)
    mean = sum(chunk.total_uncompressed_size for chunk in _chunks(metadata)) // rows
    delta = (c.total_uncompressed_size for c in _chunks(metadata) if "DELTA_BYTE_ARRAY" in c.encodings)
    return min(_BATCH_ROWS, max(1, min(_PIECE_BYTES * 4 // max(1, mean), _EXPANDS_FROM // max([1, *delta]))))


def _arrow_batches(file: _Source, is_file: bool) -> Iterator[pa.RecordBatch]:
    if not is_file:
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


@contextmanager
def _unpacked(path: Path) -> Iterator[_Source]:
    """``path`` opened for reading by position; a packed one is unpacked to disk first.

    Arrow opens it: a file of Python's may be let go by one of Arrow's threads when the interpreter is ending already,
    which aborts the process.
    """
    if not packing(path):
        with pa.OSFile(os.fsencode(path)) as plain:
            yield plain
        return
    with open_bytes(path) as file, tempfile.TemporaryFile() as unpacked:
        copy_bounded(file, unpacked, path)
        unpacked.seek(0)
        if not OPEN_FILES.is_dir():
            yield unpacked
            return
        with pa.OSFile(str(OPEN_FILES / str(unpacked.fileno()))) as again:
            yield again


def _rows(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    """Rows in batches of a few megabytes; a row larger than ``MAX_LINE`` is rejected without being decoded."""
    line, total, most = 0, 0, max(_EXPANDS_FROM, _EXPANDS * path.stat().st_size)
    for batch in batches:
        check_names(batch.schema.names, shown(path))
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            rows = batch.slice(start, _BATCH_ROWS)
            sizes = sum((_sizes(column) for column in rows.columns), np.zeros(rows.num_rows, np.int64))
            total += int(sizes.sum())
            if total > most:
                raise _bomb(path, "what it holds")
            for first, end in _pieces(sizes):
                if sizes[first] > MAX_LINE:
                    line += 1
                    yield Row(line, TOO_LONG, "")
                    continue
                for cells in batch_cells(rows.slice(first, end - first)):
                    line += 1
                    yield Row(line, cells, cells)


def batch_cells(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    """The rows of a record batch as mappings of columns to cells, or the reason why a row has none."""
    return _batch_cells(_in_microseconds(_decoded(batch)))


def _pieces(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of rows, from and up to, that come to ``_PIECE_BYTES`` at most or are one row."""
    first, held = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if held + size > _PIECE_BYTES and place > first:
            yield first, place
            first, held = place, 0
        held += size
    if first < len(sizes):
        yield first, len(sizes)


def _sizes(column: pa.Array) -> np.ndarray:
    """Bytes that each row of ``column`` comes to, roughly, shape (rows,); nothing is expanded to find them."""
    kind, plain = column.type, np.full(len(column), _PLAIN_CELL, np.int64)
    if isinstance(column, pa.ExtensionArray):
        return _sizes(column.storage)
    if isinstance(column, pa.DictionaryArray):
        texts = np.append(_sizes(column.dictionary), 0)  # the last is taken for null
        return texts[column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)] + plain
    if isinstance(column, pa.RunEndEncodedArray):
        ends = column.run_ends.to_numpy()
        return _sizes(column.values)[np.searchsorted(ends, column.offset + np.arange(len(column)), side="right")]
    if isinstance(column, pa.StructArray):
        return sum((_sizes(column.field(k)) for k in range(kind.num_fields)), plain)
    if isinstance(column, pa.FixedSizeListArray):
        wide = kind.list_size
        inner = _sizes(column.values.slice(column.offset * wide, len(column) * wide))
        return inner.reshape(len(column), wide).sum(axis=1) + plain
    if isinstance(column, (pa.ListArray, pa.LargeListArray, pa.MapArray)):
        ends = column.offsets.to_numpy().astype(np.int64)
        inner = _sizes(_flat(column).slice(ends[0], ends[-1] - ends[0]))
        upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(inner)])
        return np.diff(upto[ends - ends[0]]) + plain
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    if _is_text(column.type):
        return (
            pc.call_function("binary_length", [column]).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
            + plain
        )
    return plain


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _flat(column: pa.ListArray | pa.LargeListArray | pa.MapArray | pa.FixedSizeListArray) -> pa.Array:
    if isinstance(column, pa.MapArray):
        return pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
    return column.values


def _batch_cells(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # one bad cell fails the batch: find it row by row
        for place in range(batch.num_rows):
            yield _row_cells(batch.slice(place, 1))


def _row_cells(row: pa.RecordBatch) -> dict[str, Any] | str:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, OverflowError):
        return "unreadable cell"


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` without dictionaries, which are slow to take cells from."""
    columns = [c.dictionary_decode() if isinstance(c, pa.DictionaryArray) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with nanosecond timestamps cut to what Python's datetime holds."""
    fields = [f.with_type(pa.timestamp("us", f.type.tz)) if pa.types.is_timestamp(f.type) else f for f in batch.schema]
    return batch.cast(pa.schema(fields), safe=False)


Container = Literal["jsonl", "literal", "json", "csv", "parquet", "arrow"]

ROWS: dict[Container, Callable[[Path], Iterator[Row]]] = {
    "jsonl": json_rows,
    "literal": literal_rows,
    "json": array_rows,
    "csv": csv_rows,
    "parquet": parquet_rows,
    "arrow": arrow_rows,
}

SUFFIXES: dict[str, Container] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
"""Contents of files by name, unless their first bytes differ."""

_HEADER = re.compile(rb"""["']?[A-Za-z_][\w .-]*["']?([,;\t|]["']?[A-Za-z_][\w .-]*["']?){2,}[ \t]*\r?\n""")
"""Three or more names in the first line of a file without a known suffix."""

_MAGIC: dict[bytes, Container] = {b"PAR1": "parquet", ARROW_FILE: "arrow", b"\xff\xff\xff\xff": "arrow"}


def detect_container(path: Path) -> Container:
    """The container of ``path``: by its first bytes, its name, or a line of column names; else JSON lines.

    Raises:
        InputError: The file cannot be read or is empty.
    """
    with readable(path), open_bytes(path) as file:
        start = file.read(512)
    if not start:
        raise OtherContentError(f"{shown(path)} is empty", hint="check where it came from")
    for magic, container in _MAGIC.items():
        if start.startswith(magic):
            return container
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b""):
        return "json"
    return suffix_container(path) or ("csv" if _HEADER.match(text) else "jsonl")


def suffix_container(path: Path) -> Container | None:
    """What the name of ``path`` promises; None if it is of none of the known kinds."""
    return SUFFIXES.get(Path(plain_name(path)).suffix)
