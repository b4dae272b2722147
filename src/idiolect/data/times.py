"""Cells to seconds since the epoch; an ambiguous value raises ``UnusableRow``.

Numbers are distinguished by their size and dates by their format. The ranges do not overlap, so that every value has
one reading: see ``parse_timestamp``.
"""

from __future__ import annotations

import math
import re
from calendar import month_abbr, month_name
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import Any

from idiolect.data.rejects import UnusableRow

FIRST_SECOND = 100_000_000
"""Seconds (March 1973) from which on a number is a moment in seconds; smaller ones are years, dates, days or bad."""

MILLISECONDS_ABOVE = 10**11
"""Timestamps beyond this (as seconds the year 5138) are milliseconds, beyond a thousand times this microseconds, and
beyond a million times this nanoseconds (all from 1973 on)."""

LATEST = 4_102_444_800
"""Seconds at which the year 2100 begins; later times are rejected."""

BAD, EARLY, LATE = "bad timestamp", "timestamp before 1970", "timestamp after 2099"
AMBIGUOUS = "timestamp with day or month first"

_YEARS = range(1900, 2100)
_FOURTEEN_DIGITS = range(19 * 10**12, 21 * 10**12)
"""As milliseconds these are after 2099, as microseconds before 1973."""
_SPREADSHEET_DAYS = (Fraction(20_000), Fraction(73_051))
"""Days since 1899-12-30 (the zero of Excel and its kin) of 1954-10-03 and of 2100-01-01."""
_SPREADSHEET_ZERO = datetime(1899, 12, 30, tzinfo=UTC)
_MAX_CHARS = 100
"""Characters of a date at most, so that no text costs the patterns more than that."""

_MAX_EXPONENT = 1000
_BEYOND = 10**20
"""No unit makes a number of this size a moment before 2100."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

_MONTHS = {
    name.casefold(): number
    for names in (month_name, month_abbr)
    for number, name in enumerate(names)
    if number
} | {"sept": 9}  # fmt: skip
_ZONES = {"z": 0, "utc": 0, "gmt": 0, "ut": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
          "pst": -8, "pdt": -7}  # fmt: skip
"""Hours east of Greenwich of the zones that RFC 2822 names."""

_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH = r"(?P<name>[a-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4})"
_CLOCK = (
    r"(?:(?:\s+|,\s*|t|\s+at\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?)?"
    r"(?:\s*(?P<zone>z|[+-]\d{2}:?\d{2}|(?<=\s)[a-z]{2,3})(?:\s+utc)?(?:\s*\([a-z ]+\))?)?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_SHAPES = tuple(
    re.compile(shape, re.ASCII)
    for shape in (
        rf"{_YEAR}(?P<to>[-/.])(?P<month>\d{{1,2}})(?:(?P=to){_DAY})?{_CLOCK}",  # 2018-11-10, 2018/11, 2018.11.10
        rf"{_WEEKDAY}{_MONTH}\s+{_DAY},?\s+{_YEAR}{_CLOCK}",  # November 10, 2018
        rf"{_WEEKDAY}{_DAY}[\s.-]+{_MONTH}[\s,-]+{_YEAR}{_CLOCK}",  # 10 November 2018, and RFC 2822
        rf"{_MONTH},?\s+{_YEAR}",  # November 2018
        rf"{_YEAR}[\s-]+{_MONTH}(?:[\s-]+{_DAY})?{_CLOCK}",  # 2018 Nov 10
        rf"(?P<month>\d{{1,2}})\s+{_DAY},\s*{_YEAR}{_CLOCK}",  # 11 10, 2018: reviewTime of Amazon
        rf"{_DAY}\.(?P<month>\d{{1,2}})\.{_YEAR}{_CLOCK}",  # 10.11.2018: with dots the day comes first everywhere
        # Sat Nov 10 14:03:00 +0000 2018
        rf"{_WEEKDAY}{_MONTH}\s+{_DAY}\s+(?P<hour>\d{{2}}):(?P<minute>\d{{2}}):(?P<second>\d{{2}})"
        rf"(?:\s+(?P<zone>[+-]\d{{4}}|[a-z]{{3}}))?\s+{_YEAR}",
    )
)
_EITHER_FIRST = re.compile(r"\d{1,2}([/-])\d{1,2}\1(\d{2}|\d{4})\b.*", re.ASCII | re.DOTALL)


def parse_timestamp(value: Any, *, clock: bool = False) -> int | None:
    """Seconds since the epoch, below ``LATEST``; None if there is nothing.

    Args:
        value: A date or a moment (UTC if it names no zone), a number, or either as a string.

            - 1900 to 2099: a year. Six digits: year and month. Eight: year, month and day. Fourteen: with the time.
            - 20,000 up to 73,050, with or without a fraction: days of a spreadsheet.
            - From ``FIRST_SECOND`` on: seconds, milliseconds, microseconds or nanoseconds, distinguished by their size.
            - A string may be ISO 8601, RFC 2822, or one of ``"2018-11"``, ``"2018/11/10 9:05"``,
              ``"November 10, 2018"``, ``"10 Nov 2018"``, ``"11 10, 2018"``, ``"10.11.2018"``.

        clock: Whether numbers below ``FIRST_SECOND`` are seconds all the same: the ticks of some clock, of use for
            their order alone (see ``Ticks``).

    Raises:
        UnusableRow: It is none of these (0 too: it stands for an unknown time), may be read in two ways, or is not
            within 1970 to 2099.

    Example:
        >>> parse_timestamp("November 10, 2018") == parse_timestamp(20181110) == parse_timestamp("2018-11-10")
        True
    """
    if type(value) is int and FIRST_SECOND <= value < LATEST:  # seconds, as nearly always
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, date):
        return _checked(_of_date(value))
    number = exact_number(value, "timestamp")
    if clock and number is not None and 0 <= number < FIRST_SECOND:
        return math.floor(number)
    return _checked(_of_number(number) if number is not None else _of_text(value))


class Ticks:
    """Tells whether the numbers in a column are mere ticks: 1, 2, 3 or 1000, 1060, 1120.

    They are if there is no date and no greater number among them, and most of them cannot be read in any other way.
    """

    def __init__(self) -> None:
        self._ticks = self._read = self._others = 0

    def note(self, value: Any) -> None:
        """One cell of the column."""
        if value is None or not isinstance(value, (str, float, Decimal, date, Integral)):
            return
        if isinstance(value, str) and len(value) > _MAX_CHARS:
            return
        number = None if isinstance(value, (bool, date)) else exact_number(value, "timestamp")
        small = number is not None and 0 <= number < FIRST_SECOND
        try:
            seconds = parse_timestamp(value)
        except UnusableRow as unusable:
            self._ticks += small and unusable.reason == BAD
        else:
            self._read += small
            self._others += seconds is not None and not small

    @property
    def found(self) -> bool:
        """Whether they are, for the values so far."""
        return self._ticks > self._read and not self._others


def exact_number(value: Any, field: str) -> int | Fraction | None:
    """``value`` as the number it is or spells, without the rounding of a float; None if it is no finite number.

    Raises:
        UnusableRow: It is not even a string.
    """
    if type(value) is int:  # nearly always, and asking an abstract class is slow
        return value
    if isinstance(value, bool) or not isinstance(value, (str, float, Decimal, Integral)):
        raise UnusableRow(f"wrong type: {field}")
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MAX_CHARS or not _NUMBER.fullmatch(text):
            return None
        return int(text) if text.isdigit() else _whole(Fraction(text))
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else Fraction(value)
    if isinstance(value, Integral):
        return int(value)
    if not value.is_finite():
        return None
    # A decimal number may have an exponent that no fraction of integers has room for.
    return _whole(Fraction(value)) if abs(value.adjusted()) < _MAX_EXPONENT else None


def _whole(number: Fraction) -> int | Fraction:
    """An integer as such: looking for a fraction in a range would go through the range."""
    return int(number) if number.denominator == 1 else number


def _checked(seconds: int | Fraction | float) -> int:
    if seconds < 0:
        raise UnusableRow(EARLY)
    if seconds >= LATEST:
        raise UnusableRow(LATE)
    return math.floor(seconds)


def _of_number(number: int | Fraction) -> int | Fraction | float:
    if number < 0 or number >= _BEYOND:
        return number
    if isinstance(number, int) and (number < FIRST_SECOND or number in _FOURTEEN_DIGITS):
        found = _of_digits(str(number))
        if found is not None:
            return found
    if _SPREADSHEET_DAYS[0] <= number < _SPREADSHEET_DAYS[1]:
        # A spreadsheet holds seconds as fractions of a day, which are never exact.
        return _of_date(_SPREADSHEET_ZERO + timedelta(seconds=round(number * 86_400)))
    if number < FIRST_SECOND:
        raise UnusableRow(BAD)
    for _ in range(3):
        if number <= MILLISECONDS_ABOVE:
            break
        number //= 1000
    return number


def _of_digits(digits: str) -> float | None:
    """Of a year, YYYYMM, YYYYMMDD or YYYYMMDDhhmmss; None if it is none of these."""
    shape = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    if shape is None or int(digits[:4]) not in _YEARS:
        return None
    try:
        return _of_date(datetime.strptime(digits, shape))
    except ValueError:
        return None


def _of_date(value: date) -> float:
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise UnusableRow(BAD) from error


def _of_text(value: Any) -> float:
    text = str(value).strip()
    if len(text) > _MAX_CHARS:
        raise UnusableRow(BAD)
    for read in (_iso, _shaped):
        found = read(text)
        if found is not None:
            return _of_date(found)
    raise UnusableRow(AMBIGUOUS if _EITHER_FIRST.fullmatch(text) else BAD)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _shaped(text: str) -> datetime | None:
    folded = re.sub(r"(\d{4})年(\d{1,2})月(?:(\d{1,2})日)?", _with_hyphens, text).casefold()
    for shape in _SHAPES:
        match = shape.fullmatch(folded)
        if match:
            try:
                return _moment(match.groupdict().get)
            except (KeyError, ValueError, OverflowError):
                return None
    return None


def _with_hyphens(match: re.Match[str]) -> str:
    return "-".join(part for part in match.groups() if part)


def _moment(part: Callable[[str], str | None]) -> datetime:
    """Of the named parts of a date.

    Raises:
        KeyError: No month or zone is called so.
        ValueError: There is no such day or time.
    """
    name = part("name")
    month = _MONTHS[name] if name else int(part("month") or 1)
    hour = int(part("hour") or 0)
    if half := part("half"):
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} {half}m")
        hour = hour % 12 + (12 if half == "p" else 0)
    time = (hour, int(part("minute") or 0), int(part("second") or 0))
    return datetime(int(part("year") or 0), month, int(part("day") or 1), *time, tzinfo=_zone(part("zone")))


def _zone(name: str | None) -> timezone:
    if not name:
        return UTC
    if name[0] not in "+-":
        return timezone(timedelta(hours=_ZONES[name]))
    digits = name[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if name[0] == "-" else offset)
