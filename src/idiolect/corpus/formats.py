"""The formats a corpus may come in, and how one is told from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from idiolect.corpus.rows import Row, csv_rows, json_rows, literal_rows, parquet_rows
from idiolect.corpus.source import open_bytes, plain_suffix, readable
from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest

Format = Literal["jsonl", "csv", "parquet", "amazon2014", "amazon2023"]

ROWS: dict[Format, Callable[[Path], Iterator[Row]]] = {
    "jsonl": json_rows,
    "csv": csv_rows,
    "parquet": parquet_rows,
    "amazon2014": literal_rows,
    "amazon2023": json_rows,
}

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_HEAD_ROWS = 100


def resolve_format(path: Path, wanted: str) -> Format:
    """The format called ``wanted``, or what ``path`` looks like where that is ``"auto"``.

    Raises:
        ConfigError: No format is called ``wanted``.
        InputError: The file cannot be read or looks like none of the formats.
    """
    if wanted == "auto":
        return _detect(path)
    for known in get_args(Format):
        if wanted == known:
            return known
    raise ConfigError(f"unknown format {wanted!r}", hint=suggest(wanted, ["auto", *get_args(Format)]))


def _detect(path: Path) -> Format:
    with readable(path), open_bytes(path) as file:
        start = file.read(4)
    if not start:
        raise InputError(f"{str(path)!r} is empty", hint="check where it came from")
    if start == b"PAR1":
        return "parquet"
    by_name = _SUFFIXES.get(plain_suffix(path))
    if by_name in ("csv", "parquet"):
        return by_name
    for row in islice(literal_rows(path), _HEAD_ROWS):
        if isinstance(row.cells, dict):
            return _dialect(row.cells, row.raw)
    if by_name is None:
        raise InputError(f"cannot tell the format of {str(path)!r}", hint=f"name it: {', '.join(get_args(Format))}")
    return by_name


def _dialect(cells: dict[str, Any], raw: object) -> Format:
    if "parent_asin" in cells:
        return "amazon2023"
    literal = isinstance(raw, bytes) and raw.lstrip().startswith(b"{'")
    return "amazon2014" if literal or "reviewerID" in cells else "jsonl"
