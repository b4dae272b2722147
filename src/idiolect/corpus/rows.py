"""Files of lines to rows: a mapping of column names to cells, or the reason why the row is none."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.corpus.lines import TOO_LONG, bounded_lines, is_too_long
from idiolect.corpus.source import open_bytes, readable

_MAX_LITERAL = 4 * 2**20
"""Characters of a Python literal at most: its syntax tree takes hundreds of bytes for each."""


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
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # the last four are ast's refusals
        return "Python literal, not JSON" if line.lstrip().startswith(b"{'") else "not JSON"
    return value if isinstance(value, dict) else "not an object"


def _json_or_literal(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return _literal(line)


def _literal(line: str) -> Any:
    line = line.strip()
    if not line.startswith("{") or len(line) > _MAX_LITERAL:
        raise ValueError("no dictionary")
    with warnings.catch_warnings():  # of escapes such as "\\/", which Python reads but frowns upon
        warnings.simplefilter("ignore")
        return ast.literal_eval(line)
