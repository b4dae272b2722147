"""Cells of a row to values: text, id, rating, category, description, place in the file.

Cells come from JSON, CSV, Parquet or Python literals, so each parser takes any object and raises ``UnusableRow``.
Whether the row or only the field is lost is decided where the record is made (``records``).
"""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import Any
from uuid import UUID

from idiolect.data.rejects import UnusableRow
from idiolect.data.times import exact_number

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
    """None if it is not a literal."""
    with warnings.catch_warnings():  # of escapes such as "\\/", which Python reads but frowns upon
        warnings.simplefilter("ignore")
        try:
            found = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, (str, list, tuple, dict)) else None


MAX_TEXT = 1_000_000
"""Most characters of a text (two thick novels); longer cells are not reviews."""

MAX_ID = 1000
"""Characters of an id at most."""

PLACEHOLDER = "Product Description"
"""A heading that Amazon 2023 leaves as the first element of a description."""

FLOAT_ID = re.compile(r"-?(0|[1-9]\d*)\.0", re.ASCII)
"""How an integer is written that a table held as a float, because an id of its column was missing."""

_INT64 = 2**63
_EXACT = 2**53
"""From here on floats cannot represent all integers."""
_ROUNDED_ID = re.compile(r"\d(\.\d+)?[eE]\+\d+", re.ASCII)
"""How a table writes an id that it held as a float and that is too large for one."""
_NOTHING_SAID = frozenset({"nan", "NaN", "NAN"})
"""Strings that a missing float is written as."""
NO_ID = _NOTHING_SAID | {"None", "none", "NONE", "null", "Null", "NULL", "<NA>", "NaT"}
_AROUND_IDS = "\ufeff\u200b"
"""Marks that look like nothing and that ``str.strip`` leaves: byte order mark, zero width space."""

_REPLY = re.compile(
    r"(?:\s*+(?:re|fwd?|aw|wg|antw|sv)\s*+(?:\[\d+\]|\(\d+\))?\s*+[:\uff1a])++",  # possessive: long blanks stay cheap
    re.IGNORECASE,
)
"""Marks of replies and forwards as English, German, Dutch and Scandinavian programs write them, also counted."""
_SCORE = re.compile(
    r"(?P<score>[+-]?\d+(?:[.,]\d{1,2})?)\s*(?:/\s*\d+(?:[.,]\d+)?|(?:out\s+)?of\s+\d+(?:[.,]\d+)?)?"
    r"\s*(?:stars?|points?|★|⭐️?|%)?(?:\s+rating)?",
    re.ASCII | re.IGNORECASE,
)
_STARS = re.compile(r"(?P<full>[★⭐🌟\ufe0f]*)(?P<half>½?)[☆✩\ufe0f]*")
_MAX_RATING = 100
"""Characters of a rating at most."""


def parse_text(value: Any, field: str) -> str:
    """A string, ``""`` for null; without NUL bytes (databases cut there) or lone surrogates (not UTF-8)."""
    if _is_plain(value):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, str):
        raise UnusableRow(f"wrong type: {field}")
    if len(value) > MAX_TEXT:
        raise UnusableRow(f"{field} over {MAX_TEXT:,} characters")
    if "\0" in value:
        raise UnusableRow("NUL byte")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnusableRow("not UTF-8") from None
    return value


def parse_required(value: Any, field: str) -> str:
    """A non-empty string, unchanged; ``nan``, as a number or a string, counts as empty."""
    text = value if _is_plain(value) else "" if _is_nan(value) else parse_text(value, field)
    if not text or text.isspace() or text in _NOTHING_SAID:
        raise UnusableRow(f"missing {field}")
    return text


def parse_title(value: Any) -> str:
    """A string, or the only one of a list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = parse_text(value, "title")
    if text in _NOTHING_SAID:
        raise UnusableRow("bad title")
    return text


def clean_id(value: str) -> str:
    """An id as it is stored: without blanks around it, composed characters in one way (NFC).

    Example:
        >>> clean_id(" Jose\u0301 ") == "José"
        True
    """
    value = value.strip()
    if value.isascii():
        return value
    # Normalizing lets no blank appear, but a mark may hide one.
    return unicodedata.normalize("NFC", value.strip(_AROUND_IDS).strip())


def parse_id(value: Any, field: str) -> str:
    """An id in its one spelling, whatever the file is: see ``clean_id``.

    Args:
        value: A string; an integer of any size; or a float or decimal number that is an integer, which is what a table
            makes of a column of integers if one is missing.
        field: For the reason.

    Raises:
        UnusableRow: It is missing (blank, ``nan``, ``None``, ``null``), no id, too long, or a number that has lost
            digits: from 2**53 on a float represents several integers.
    """
    if _is_plain(value):
        text = value.strip()
        if text and len(text) <= MAX_ID and "+" not in text and text not in NO_ID:
            return text
    if not isinstance(value, str):
        if _is_nan(value):
            raise UnusableRow(f"missing {field}")
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, (float, Decimal, Integral)):
            return _number_id(value, field)
    text = clean_id(parse_text(value, field))
    if not text or text in NO_ID:
        raise UnusableRow(f"missing {field}")
    if "+" in text and _ROUNDED_ID.fullmatch(text):
        raise UnusableRow(f"{field} lost digits as a float")
    return _not_too_long(text, field)


def is_float_id(value: Any) -> bool | None:
    """Whether a cell holds an integer that a table wrote as a float (``"1001.0"``); None if it holds nothing."""
    if isinstance(value, str) and len(value) <= MAX_ID:
        text = value.strip()
        return None if not text or text in NO_ID else FLOAT_ID.fullmatch(text) is not None
    return None if value is None or _is_nan(value) else False


def without_fraction(value: Any) -> Any:
    """``"1001"`` for ``"1001.0"``; anything else as it is."""
    return value.strip()[:-2] if isinstance(value, str) and FLOAT_ID.fullmatch(value.strip()) else value


def parse_optional_id(value: Any, field: str) -> str:
    """As ``parse_id``; ``""`` if there is none."""
    try:
        return parse_id(value, field)
    except UnusableRow as unusable:
        if unusable.reason == f"missing {field}":
            return ""
        raise


def without_reply_marks(value: Any) -> Any:
    """A mail's subject without the marks of replies and forwards before it, and with single blanks; others unchanged.

    Example:
        >>> without_reply_marks("RE: Re[2]: Fwd:  Tea: which?")
        'Tea: which?'
    """
    if not isinstance(value, str):
        return value
    marks = _REPLY.match(value)
    return " ".join(value[marks.end() if marks else 0 :].split())


_FULLNAME = re.compile(r"\s*t[1-6]_(?=[0-9a-z]+\s*\Z)")


def without_kind(value: Any) -> Any:
    """A full name of Reddit's without the mark of its kind: the id of the post itself; others unchanged.

    Example:
        >>> without_kind("t3_8xyz1"), without_kind("t1_abc"), without_kind("t3_Ann's tea")
        ('8xyz1', 'abc', "t3_Ann's tea")
    """
    return _FULLNAME.sub("", value) if isinstance(value, str) else value


def parse_rating(value: Any) -> float | None:
    """A finite number, or None if there is none.

    Args:
        value: A number; or a string such as ``"4"``, ``"4,5"``, ``"3/5"`` (read as 3), ``"4.0 out of 5 stars"`` or
            ``"★★★★☆"``.
    """
    if type(value) is float and math.isfinite(value):
        return value + 0.0
    if _is_blank(value):
        return None
    number = exact_number(value, "rating")
    if number is None and isinstance(value, str):
        number = _spelled_rating(value.strip())
    try:
        rating = math.inf if number is None else float(number)
    except OverflowError:
        rating = math.inf
    if not math.isfinite(rating):
        raise UnusableRow("bad rating")
    return rating + 0.0  # -0.0 is 0.0


def parse_order(value: Any, place: int) -> int:
    """The row's own order field (a 64-bit integer), else its place in its file."""
    if _is_blank(value):
        return place
    order = exact_number(value, "order")
    if order is None or order.denominator != 1 or not -_INT64 <= order < _INT64:
        raise UnusableRow("bad order")
    return int(order)


def parse_description(value: Any) -> str:
    """A string, or the strings of a list joined by spaces without Amazon's placeholder heading.

    Lists and mappings may also be written as such in a string, as tables do that hold no lists.
    """
    found = unwritten(value)
    if isinstance(found, (list, tuple)):
        found = found[1:] if found and found[0] == PLACEHOLDER else found
    elif not isinstance(found, dict):
        return "" if _is_nan(found) else parse_text(found, "description")
    parts = flattened(found)
    if parts is None:
        raise UnusableRow("wrong type: description")
    return parse_text(" ".join(parts), "description")


def parse_category(value: Any) -> str:
    """A string, or the first one of (nested) lists of strings or of a mapping: the most general category."""
    value = unwritten(value)
    while isinstance(value, (list, tuple, dict)):
        value = next(iter(value), "")
    return "" if _is_nan(value) else parse_text(value, "category")


def _is_plain(value: Any) -> bool:
    """Whether a cell is what most are: an ASCII string of which nothing else needs to be checked."""
    return type(value) is str and value.isascii() and len(value) <= MAX_TEXT and "\0" not in value


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_nan(value: Any) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value)


def _decoded(value: bytes) -> str:
    """The text of a table's column of bytes; bytes that are no UTF-8 become lone surrogates, as elsewhere."""
    return value.decode("utf-8", "surrogateescape")


def _number_id(value: Any, field: str) -> str:
    if isinstance(value, bool):
        raise UnusableRow(f"wrong type: {field}")
    number = exact_number(value, field)
    if number is None or number.denominator != 1:
        raise UnusableRow(f"wrong type: {field}")
    if isinstance(value, float) and abs(value) >= _EXACT:
        raise UnusableRow(f"{field} lost digits as a float")
    if abs(number) >= 10**MAX_ID:
        raise UnusableRow(f"{field} over {MAX_ID:,} characters")
    return str(int(number))


def _not_too_long(text: str, field: str) -> str:
    if len(text) > MAX_ID:
        raise UnusableRow(f"{field} over {MAX_ID:,} characters")
    return text


def _spelled_rating(text: str) -> Fraction | None:
    if len(text) > _MAX_RATING:
        return None
    if match := _SCORE.fullmatch(text):
        return Fraction(match["score"].replace(",", "."))
    if match := _STARS.fullmatch(text):
        return len(match["full"].replace("\ufe0f", "")) + Fraction(len(match["half"]), 2)
    return None
