"""One cell of a file to one checked value; what cannot be used raises ``UnusableRow``.

Cells come from JSON, CSV, Parquet or Python literals, so each parser takes any object.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

from idiolect.corpus.rejects import UnusableRow

MILLISECONDS_ABOVE = 1e11
"""Timestamps beyond this (as seconds the year 5138) are milliseconds, beyond a thousand times this microseconds, and
beyond a million times this nanoseconds (all from 1973 on)."""

LATEST = 4_102_444_800
"""Seconds at which the year 2100 begins; nobody has written anything later."""

RATINGS = (0.0, 100.0)
"""The least and the greatest rating of any scale in use."""

MAX_TEXT = 1_000_000
"""Characters of a text at most (two thick novels); what is longer is not a text that somebody wrote about an item."""

MAX_ID = 1000
"""Characters of an id at most."""

PLACEHOLDER = "Product Description"
"""A heading that Amazon 2023 leaves as the first element of a description."""

_INT64 = 2**63


def parse_text(value: Any, field: str) -> str:
    """A string, ``""`` for null; without NUL bytes (databases cut there) or lone surrogates (not UTF-8)."""
    if value is None:
        return ""
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
    """A string that is not blank, kept as it stands."""
    text = parse_text(value, field)
    if not text or text.isspace():
        raise UnusableRow(f"missing {field}")
    return text


def parse_id(value: Any, field: str) -> str:
    """A string that is not blank; an integer counts as one."""
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return str(value)
    text = parse_required(value, field)
    if len(text) > MAX_ID:
        raise UnusableRow(f"{field} over {MAX_ID:,} characters")
    return text


def parse_optional_id(value: Any, field: str) -> str:
    """As ``parse_id``; ``""`` where there is none."""
    return "" if _is_blank(value) else parse_id(value, field)


def parse_rating(value: Any) -> float | None:
    """A number within ``RATINGS``, or None where there is none."""
    if _is_blank(value):
        return None
    number = _number(value, "rating")
    if number is None:
        raise UnusableRow("bad rating")
    if not RATINGS[0] <= number <= RATINGS[1]:
        raise UnusableRow("rating out of range")
    return number


def parse_timestamp(value: Any) -> int | None:
    """Seconds since the epoch, below ``LATEST``.

    Args:
        value: Seconds, milliseconds, microseconds or nanoseconds, told apart by their size; or an ISO 8601 date, UTC
            where it names no zone.
    """
    if _is_blank(value):
        return None
    number = None if isinstance(value, date) else _number(value, "timestamp")
    seconds = _iso_seconds(value) if number is None else _in_seconds(number)
    if seconds is None:
        raise UnusableRow("bad timestamp")
    if seconds < 0:
        raise UnusableRow("timestamp before 1970")
    if seconds >= LATEST:
        raise UnusableRow("timestamp after 2099")
    return math.floor(seconds)


def parse_order(value: Any, place: int) -> int:
    """The row's own order field (a 64-bit integer), else its place in its file."""
    if _is_blank(value):
        return place
    number = _number(value, "order")
    if number is None or number != math.floor(number):
        raise UnusableRow("bad order")
    # Digits are read as such, for a float holds only 53 bits.
    order = int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdigit() else int(number)
    order = value if isinstance(value, int) else order
    if not -_INT64 <= order < _INT64:
        raise UnusableRow("bad order")
    return order


def parse_description(value: Any) -> str:
    """A string, or strings joined by spaces without Amazon's placeholder heading."""
    if not isinstance(value, list):
        return parse_text(value, "description")
    parts = value[1:] if value and value[0] == PLACEHOLDER else value
    if not all(isinstance(part, str) for part in parts):
        raise UnusableRow("wrong type: description")
    return parse_text(" ".join(parts), "description")


def parse_category(value: Any) -> str:
    """A string, or the first one of (nested) lists of strings: the most general category."""
    while isinstance(value, list):
        value = value[0] if value else ""
    return parse_text(value, "category")


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(value: Any, field: str) -> float | None:
    """``value`` as a finite float, None where it is a string or number that is none."""
    if isinstance(value, (bool, list, dict, bytes)):
        raise UnusableRow(f"wrong type: {field}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _in_seconds(number: float) -> float:
    for _ in range(3):
        if number <= MILLISECONDS_ABOVE:
            break
        number /= 1000
    return number


def _iso_seconds(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(value).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
