"""Parquet and Arrow files to rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, packing, readable

_BATCH_ROWS = 1024
ARROW_FILE = b"ARROW1"


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file, batch by batch."""
    with readable(path), _unpacked(path) as file:
        yield from _rows(pq.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS))


def arrow_rows(path: Path) -> Iterator[Row]:
    """Rows of an Arrow file or stream, such as ``Dataset.save_to_disk`` of Hugging Face leaves."""
    with readable(path), _unpacked(path) as file:
        is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
        file.seek(0)
        yield from _rows(_arrow_batches(file, is_file))


def _arrow_batches(file: IO[bytes], is_file: bool) -> Iterator[pa.RecordBatch]:
    if not is_file:
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """``path`` opened for reading by position; a packed one is unpacked to disk first."""
    if not packing(path):
        with path.open("rb") as plain:
            yield plain
        return
    with open_bytes(path) as file, tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(file, unpacked)
        unpacked.seek(0)
        yield unpacked


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    line = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            for cells in _batch_cells(_in_microseconds(batch.slice(start, _BATCH_ROWS))):
                line += 1
                yield Row(line, cells, cells)


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
