"""Rows of columnar files, Parquet and Arrow, in batches of a few megabytes, however large a row group is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from idiolect.data.files import MAX_LINE, OPEN_FILES, TOO_LONG, copy_bounded, open_bytes, packing, readable, shown
from idiolect.data.records import Row, check_names
from idiolect.errors import InputError

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
    for batch in _batches_of_file(file) if is_file else pa.ipc.open_stream(file):
        for column in batch.columns:
            _check_inside(column)
        yield batch


def _batches_of_file(file: _Source) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(file)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _check_inside(column: pa.Array) -> None:
    """Check that offsets and indices point into their own array: Arrow reads a file's without looking at them.

    Arrow's full check of a whole column would also refuse what is rejected row by row, as text that is not UTF-8.

    Raises:
        pa.ArrowInvalid: One points elsewhere, where other memory of this process would be taken for text.
    """
    column.validate()
    kind, types = column.type, pa.types
    if isinstance(column, pa.ExtensionArray):
        _check_inside(column.storage)
    elif isinstance(column, pa.DictionaryArray):
        _check_inside(column.dictionary)
        pa.DictionaryArray.from_arrays(column.indices, pa.nulls(len(column.dictionary)))  # checks them
    elif isinstance(column, pa.StructArray):
        for place in range(kind.num_fields):
            _check_inside(column.field(place))
    elif isinstance(column, (pa.ListArray, pa.LargeListArray, pa.MapArray)):
        of = pa.LargeListArray if types.is_large_list(kind) else pa.ListArray
        of.from_arrays(column.offsets, pa.nulls(len(_flat(column)))).validate(full=True)
        _check_inside(_flat(column))
    elif isinstance(column, pa.FixedSizeListArray):
        _check_inside(column.values)
    elif types.is_string(kind) or types.is_large_string(kind):
        column.view(pa.binary() if types.is_string(kind) else pa.large_binary()).validate(full=True)
    elif types.is_string_view(kind):
        column.view(pa.binary_view()).validate(full=True)
    elif not types.is_primitive(kind):  # numbers, dates and times point nowhere
        column.validate(full=True)


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
