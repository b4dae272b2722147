"""In-memory tables as rows: pandas, polars and Arrow tables, mappings of columns, and sequences of dicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from idiolect.data.columnar import batch_cells
from idiolect.data.parts import Parts
from idiolect.data.records import Row, check_names
from idiolect.errors import InputError

_CHUNK = 4096


def is_table(data: object) -> bool:
    """Whether ``data`` is a table in memory rather than a path."""
    return not isinstance(data, (str, Path, bytes))


def table_parts(data: Any, name: str = "table") -> Parts:
    """A table in memory as a location that the readers take.

    Args:
        data: A pandas or polars DataFrame, an Arrow table, anything else with ``__arrow_c_stream__``, a mapping of
            column names to sequences of one length, or an iterable of mappings.
        name: What the list of rejected rows calls it.

    Raises:
        InputError: It is none of these, or its columns have different lengths.

    Example:
        >>> parts = table_parts([{"user": "ann", "item": "tea", "text": "Fine."}])
        >>> [row.cells for row in parts.parts[0].rows(None)]
        [{'user': 'ann', 'item': 'tea', 'text': 'Fine.'}]
    """
    if isinstance(data, Mapping):
        data = _columns(data)
    elif not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "to_dict"):
        if not isinstance(data, Iterable):
            raise InputError(
                f"{type(data).__name__} is no table", hint="pass a DataFrame, an Arrow table, dicts, or a path"
            )
        data = list(data)
        if odd := next((row for row in data if not isinstance(row, Mapping)), None):
            raise InputError(
                f"a row of the table is a {type(odd).__name__}, not a dict", hint="pass dicts with one key per column"
            )
    return Parts((TablePart(data, name),))


@dataclass(frozen=True, slots=True, eq=False)
class TablePart:
    """A table in memory."""

    data: Any
    name: str

    @property
    def path_parts(self) -> tuple[str, ...]:
        """See ``Part``."""
        return (self.name,)

    @property
    def path(self) -> Path | None:
        """None: it is no file."""
        return None

    def container(self) -> None:
        """None: a table has no bytes to look at."""
        return

    def rows(self, container: str | None) -> Iterator[Row]:
        """Its rows, read anew by each call."""
        if isinstance(self.data, list):
            for line, row in enumerate(self.data, 1):
                cells = {str(column): _plain(value) for column, value in row.items()}
                yield Row(line, cells, cells)
            return
        arrow = _arrow(self.data)
        yield from _pandas_rows(self.data) if arrow is None else _arrow_rows(arrow)


def _columns(data: Mapping[Any, Any]) -> list[dict[str, Any]]:
    names = [str(name) for name in data]
    values = [list(column) for column in data.values()]
    if len(set(map(len, values))) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in zip(names, values, strict=True))
        raise InputError(f"the table's columns have different lengths: {lengths}", hint="pass one value per row")
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _arrow(data: Any) -> Iterator[pa.RecordBatch] | None:
    """The table's record batches; None if Arrow has no type for a column (pandas' mixed ones)."""
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        check_names([str(name) for name in data.columns], "the table")
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    try:
        return iter(pa.RecordBatchReader.from_stream(data))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        if hasattr(data, "to_dict"):
            return None
        raise


def _arrow_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    line = 0
    for batch in batches:
        check_names(batch.schema.names, "the table")
        for start in range(0, batch.num_rows, _CHUNK):
            for cells in batch_cells(batch.slice(start, _CHUNK)):
                line += 1
                yield Row(line, cells, cells)


def _pandas_rows(frame: Any) -> Iterator[Row]:
    """Rows of a pandas DataFrame by its own conversion, in chunks."""
    line = 0
    for start in range(0, len(frame), _CHUNK):
        for record in frame.iloc[start : start + _CHUNK].to_dict("records"):
            line += 1
            cells = {str(column): _plain(value) for column, value in record.items()}
            yield Row(line, cells, cells)


def _plain(value: Any) -> Any:
    """A cell as the readers know it: NumPy's scalars as Python's, NaN, NaT and NA as missing."""
    if value is None or isinstance(value, (str, int, list, tuple, dict)):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):  # NumPy's doubles too
        return None if value != value else float(value)
    if isinstance(value, date):  # datetime and pandas' Timestamp are dates
        return value.isoformat()
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return _plain(value.item())
    return value.tolist() if hasattr(value, "tolist") else value
