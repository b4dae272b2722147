"""Tables in buckets: in memory, or in files if there are too many rows for that.

A bucket has a bounded number of rows and is processed alone, so that memory does not grow with the whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa


class Buckets:
    """A table per bucket, written as a whole.

    Args:
        folder: Where the tables are; None: in memory.
        name: Of the files.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder, self._name = folder, name
        self._frames: dict[int, pl.DataFrame] = {}

    def __getitem__(self, bucket: int) -> pl.DataFrame:
        return self._frames[bucket] if self._folder is None else _read(self._path(bucket))

    def __setitem__(self, bucket: int, frame: pl.DataFrame) -> None:
        if self._folder is None:
            self._frames[bucket] = frame
        else:
            table = arrow_table(frame)
            with pa.ipc.new_stream(str(self._path(bucket)), table.schema) as writer:
                writer.write_table(table)

    def drop(self, bucket: int) -> None:
        """Give the table's memory or file back."""
        if self._folder is None:
            self._frames.pop(bucket, None)
        else:
            self._path(bucket).unlink(missing_ok=True)

    def _path(self, bucket: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._name}-{bucket}.arrow"


class Scatter:
    """Rows that come batch by batch, each for one of ``n`` buckets, which keep their order.

    Args:
        n: Number of buckets; each has an open file until ``finish``.
        folder: Where the files are; None: in memory.
        name: Of the files.
        schema: Of the rows.
    """

    def __init__(self, n: int, folder: Path | None, name: str, schema: pl.Schema) -> None:
        self._n, self._folder, self._name, self._schema = n, folder, name, schema
        self._parts: list[list[pl.DataFrame]] = [[] for _ in range(n)]
        self._writers: list[pa.RecordBatchStreamWriter] = []
        self._arrow = arrow_table(schema.to_frame()).schema
        if folder is not None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            paths = (str(self._path(k)) for k in range(n))
            self._writers = [pa.ipc.new_stream(path, self._arrow, options=options) for path in paths]

    def add(self, rows: pl.DataFrame, bucket: np.ndarray) -> None:
        """Append rows.

        Args:
            rows: Table of the schema.
            bucket: Integers (n,): of every row.
        """
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=self._n)).tolist()
        rows = rows.select(self._schema.names())[order] if self._n > 1 else rows.select(self._schema.names())
        for k, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if end == start:
                continue
            part = rows[start:end]
            if self._writers:
                self._writers[k].write_table(arrow_table(part))
            else:
                self._parts[k].append(part)

    def finish(self) -> None:
        """Close the files; the rows can be read from now on."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def __getitem__(self, bucket: int) -> pl.DataFrame:
        if self._folder is None:
            return pl.concat([self._schema.to_frame(), *self._parts[bucket]], rechunk=True)
        return _read(self._path(bucket))

    def drop(self, bucket: int) -> None:
        """Give the rows' memory or file back."""
        self._parts[bucket].clear()
        if self._folder is not None:
            self._path(bucket).unlink(missing_ok=True)

    def _path(self, bucket: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._name}-{bucket}.arrow"


def _read(path: Path) -> pl.DataFrame:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return pl.DataFrame(pl.from_arrow(stream.read_all())).rechunk()


def arrow_table(frame: pl.DataFrame) -> pa.Table:
    """As an Arrow table with types that every reader knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def numbers(n: int, dtype: Any, folder: Path | None, name: str) -> np.ndarray:
    """``n`` zeros, in memory or in a file of the folder that is mapped into it."""
    if folder is None or not n:
        return np.zeros(n, dtype=dtype)
    return np.memmap(folder / f"{name}.bin", dtype=dtype, mode="w+", shape=(n,))
