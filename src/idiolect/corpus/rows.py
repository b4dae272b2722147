"""Files to rows: a mapping of column names to cells, or the reason why the row is none."""

from __future__ import annotations

import ast
import csv
import gzip
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.corpus.source import open_bytes, readable

_BOM = b"\xef\xbb\xbf"
_BATCH_ROWS = 8192


class Row(NamedTuple):
    """One row as read."""

    line: int
    """Where it begins, from 1."""
    cells: dict[str, Any] | str
    """The cells by column, or the reason why there are none."""
    raw: object
    """The row as it stands in the file, for the rejects."""


def json_rows(path: Path) -> Iterator[Row]:
    """Rows of a file with one JSON object a line; blank lines are no rows."""
    return _line_rows(path, json.loads)


def literal_rows(path: Path) -> Iterator[Row]:
    """Rows of a file with one JSON object or Python literal a line (Amazon 2014 has both kinds of files)."""
    return _line_rows(path, _json_or_literal)


def csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns, separated by comma, tab or semicolon."""
    with readable(path), open_bytes(path) as file:
        # Bytes that are no UTF-8 become lone surrogates, which the field parsers refuse row by row.
        lines = (line.decode("utf-8", "surrogateescape") for line in _without_bom(file))
        header = next(lines, "")
        delimiter = max(",\t;", key=header.count)
        reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
        try:
            names = next(reader)
        except csv.Error:
            yield Row(1, "not CSV", header)
            return
        yield from _csv_cells(reader, names)


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file, batch by batch; a gzipped one is unpacked to disk first, for it is read by position."""
    with readable(path), open_bytes(path) as file, tempfile.TemporaryFile() as unpacked:
        if isinstance(file, gzip.GzipFile):
            shutil.copyfileobj(file, unpacked)
        source = pq.ParquetFile(unpacked if isinstance(file, gzip.GzipFile) else file)
        line = 0
        for batch in source.iter_batches(batch_size=_BATCH_ROWS):
            for cells in _batch_cells(_in_microseconds(batch)):
                line += 1
                yield Row(line, cells, cells)


def _line_rows(path: Path, parse: Callable[[str], Any]) -> Iterator[Row]:
    with readable(path), open_bytes(path) as file:
        for number, line in enumerate(_without_bom(file), start=1):
            if line and not line.isspace():
                yield Row(number, _object(line, parse), line)


def _object(line: bytes, parse: Callable[[str], Any]) -> dict[str, Any] | str:
    if b"\0" in line:
        return "NUL byte"
    try:
        value = parse(line.decode())
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last three are ast's way to refuse a line
        return "not JSON"
    return value if isinstance(value, dict) else "not an object"


def _json_or_literal(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        with warnings.catch_warnings():  # of escapes such as "\\/", which Python reads but frowns upon
            warnings.simplefilter("ignore")
            return ast.literal_eval(line.strip())


def _without_bom(file: IO[bytes]) -> Iterator[bytes]:
    first = file.readline()
    return chain([first.removeprefix(_BOM)] if first else [], file)


def _csv_cells(reader: Any, names: list[str]) -> Iterator[Row]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Row(line, "not CSV", "")
            continue
        if not cells:
            continue
        whole = len(cells) == len(names)
        yield Row(line, dict(zip(names, cells, strict=True)) if whole else "wrong number of columns", cells)


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


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with nanosecond timestamps cut to what Python's datetime holds."""
    fields = [f.with_type(pa.timestamp("us", f.type.tz)) if pa.types.is_timestamp(f.type) else f for f in batch.schema]
    return batch.cast(pa.schema(fields), safe=False)
