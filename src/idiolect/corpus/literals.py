"""Lists and mappings that a table without such types wrote as strings."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterator
from typing import Any

_MAX_CHARS = 100_000
"""Characters of such a string at most: its syntax tree takes hundreds of bytes for each."""
_MAX_DEPTH = 5

_STARTS = ("[", "{", "(", "u'", 'u"', "array(")
_STRING = re.compile(r"""u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_BETWEEN = re.compile(r"[\s,]*")
_ARRAY = re.compile(r"\barray\(|,\s*dtype=\w+\)")


def unwritten(value: Any) -> Any:
    """The list, mapping or string that ``value`` writes, as JSON, as Python or as numpy shows it; else ``value``.

    Example:
        >>> unwritten("[u'Tea', 'Green']"), unwritten("['Tea' 'Green']"), unwritten("[Sic] a title")
        (['Tea', 'Green'], ['Tea', 'Green'], '[Sic] a title')
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith(_STARTS) or len(text) > _MAX_CHARS or "\0" in text:
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    # Python would read the strings of an array, which no comma parts, as one.
    strings = _array_of_strings(text)
    if strings is not None:
        return strings
    found = _literal(text)
    if found is None and "array(" in text:
        found = _literal(_ARRAY.sub(lambda match: "(" if match[0].endswith("(") else ")", text))
    return value if found is None else found


def flattened(value: Any) -> list[str] | None:
    """The scalars in nested lists, in their order, those of a mapping after their key; None if it is nested too deep.

    Null and numbers that are none are left out.
    """
    try:
        return list(_scalars(value, _MAX_DEPTH))
    except ValueError:
        return None


def _scalars(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        if not depth:
            raise ValueError("nested too deep")
        if isinstance(value, dict):
            for key, inner in value.items():
                yield f"{key}: {' '.join(_scalars(inner, depth - 1))}"
        else:
            for inner in value:
                yield from _scalars(inner, depth - 1)
    elif value is not None and not (isinstance(value, float) and math.isnan(value)):
        yield value if isinstance(value, str) else str(value)


def _array_of_strings(text: str) -> list[str] | None:
    """The strings of ``['a' 'b']``, over lines too; None if it is anything else, a list of Python for instance."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    found: list[str] = []
    place, end = 1, len(text) - 1
    while (place := _BETWEEN.match(text, place, end).end()) < end:  # type: ignore[union-attr]
        match = _STRING.match(text, place, end)
        if match is None:
            return None
        found.append(match[0])
        place = match.end()
    return _literal(f"[{','.join(found)}]") if found else None


def _literal(text: str) -> Any:
    """None for what is no literal."""
    with warnings.catch_warnings():  # of escapes such as "\\/", which Python reads but frowns upon
        warnings.simplefilter("ignore")
        try:
            found = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, (str, list, tuple, dict)) else None
