"""Container formats: which one a file is of, and the reader of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from idiolect.data.columnar import ARROW_FILE, arrow_rows, parquet_rows
from idiolect.data.files import OtherContentError, open_bytes, plain_name, readable, shown
from idiolect.data.records import Row
from idiolect.data.text_rows import array_rows, csv_rows, json_rows, literal_rows

Container = Literal["jsonl", "literal", "json", "csv", "parquet", "arrow"]

ROWS: dict[Container, Callable[[Path], Iterator[Row]]] = {
    "jsonl": json_rows,
    "literal": literal_rows,
    "json": array_rows,
    "csv": csv_rows,
    "parquet": parquet_rows,
    "arrow": arrow_rows,
}

_SUFFIXES: dict[str, Container] = {
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
    return _SUFFIXES.get(Path(plain_name(path)).suffix)
