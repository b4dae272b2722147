"""Cells of a row to a checked review or item, and which column holds which field.

Cells come from JSON, CSV, Parquet or Python literals, so each parser takes any object and raises ``UnusableRow``.
Whether the row or only the field is lost is decided where the record is made.
"""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from numbers import Integral
from typing import Any, Protocol, TypeVar
from uuid import UUID

from idiolect.data.rejects import UnusableRow
from idiolect.data.times import FIRST_SECOND, LATEST, exact_number, parse_timestamp
from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

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


__all__ = [
    "clean_id",
    "is_float_id",
    "parse_category",
    "parse_description",
    "parse_id",
    "parse_optional_id",
    "parse_order",
    "parse_rating",
    "parse_required",
    "parse_text",
    "parse_timestamp",
    "parse_title",
    "without_fraction",
]

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
_NO_ID = _NOTHING_SAID | {"None", "none", "NONE", "null", "Null", "NULL", "<NA>", "NaT"}
_AROUND_IDS = "\ufeff\u200b"
"""Marks that look like nothing and that ``str.strip`` leaves: byte order mark, zero width space."""

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
        if text and len(text) <= MAX_ID and "+" not in text and text not in _NO_ID:
            return text
    if not isinstance(value, str):
        if _is_nan(value):
            raise UnusableRow(f"missing {field}")
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, (float, Decimal, Integral)):
            return _number_id(value, field)
    text = clean_id(parse_text(value, field))
    if not text or text in _NO_ID:
        raise UnusableRow(f"missing {field}")
    if "+" in text and _ROUNDED_ID.fullmatch(text):
        raise UnusableRow(f"{field} lost digits as a float")
    return _not_too_long(text, field)


def is_float_id(value: Any) -> bool | None:
    """Whether a cell holds an integer that a table wrote as a float (``"1001.0"``); None if it holds nothing."""
    if isinstance(value, str) and len(value) <= MAX_ID:
        text = value.strip()
        return None if not text or text in _NO_ID else FLOAT_ID.fullmatch(text) is not None
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


_review_id = partial(parse_optional_id, field="review_id")


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


Aliases = Mapping[str, tuple[str, ...]]

REVIEW_ALIASES: Aliases = {
    "user": ("user_id", "user", "reviewerID", "author_id", "author", "username", "user_name"),
    "item": ("item_id", "item", "parent_asin", "asin", "product_id", "business_id", "pid"),
    "text": ("text", "reviewText", "review", "review_body", "review_content", "body", "content"),
    "rating": ("rating", "overall", "stars", "score", "review_rating", "star_rating", "review_score"),
    "title": ("review_title", "title", "summary", "review_summary", "review_headline", "headline"),
    "timestamp": (
        "timestamp",
        "unixReviewTime",
        "time",
        "date",
        "created_at",
        "reviewTime",
        "review_date",
        "datetime",
        "created",
        "created_utc",
    ),
    "review_id": ("review_id",),
    "order": ("order",),
    "category": (),
}
"""Column names of each field of a review, best first. The category prefixes item ids, so it must be named."""

NONE = "-"
"""Named as a field's column: the file's usual one is something else, and the field stays empty."""

ITEM_ALIASES: Aliases = {
    "item": ("item_id", "item", "parent_asin", "asin", "product_id", "business_id", "pid", "id"),
    "title": ("title", "name", "item_title", "product_title", "item_name", "product_name"),
    "description": ("description",),
    "category": ("main_category", "category", "categories"),
}
"""Column names of each field of an item, best first."""

_OF_REVIEW = re.compile(r"reviews?[./](.+)", re.IGNORECASE | re.DOTALL)
"""Prefixes of columns of the review, in files where others may be of the item."""
_OF_DAMAGED_ROW = re.compile(r"[{}\[\]\"'\\,\x00-\x1f\x7f]")
"""In a name: what stands between names where rows bring their own, so that a damaged row may have put it there."""
_NESTED = 3
"""Levels of objects in objects whose members are columns, as ``outer.inner``."""
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Columns:
    """The fields of a file's columns."""

    of: Mapping[str, str]
    """The column of every field that has one, or may get one further down."""
    absent: tuple[str, ...] = ()
    """Fields that have none as far as the file was looked at."""
    unused: tuple[str, ...] = ()
    """Columns that are no field's."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for files with the same columns."""
        return tuple(self.of.items()), self.absent, self.unused

    def text(self, expected: Iterable[str]) -> str:
        """For people, on one line.

        Args:
            expected: Fields that are named if they have no column.
        """
        parts = [" ".join(f"{field}={name}" for field, name in self.of.items() if field not in self.absent)]
        absent = [field for field in expected if field not in self.of or field in self.absent]
        parts += [f"no {', '.join(absent)}"] if absent else []
        more = f" and {len(self.unused) - _MOST_SHOWN} more" if len(self.unused) > _MOST_SHOWN else ""
        parts += [f"not used: {', '.join(self.unused[:_MOST_SHOWN])}{more}"] if self.unused else []
        return "; ".join(parts)


def fold(name: str) -> str:
    """A column's name as names are compared: without case, blanks and punctuation.

    Example:
        >>> fold("User ID") == fold("user_id") == fold("userId")
        True
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def column_names(cells: Mapping[Any, Any], depth: int = _NESTED) -> Iterator[str]:
    """The columns of a row: its keys, and ``outer.inner`` for the members of an object."""
    for key, cell in cells.items():
        if not isinstance(key, str):  # of a Python literal; no cell can be found by it
            continue
        yield key
        if depth > 1 and isinstance(cell, dict):
            yield from (f"{key}.{inner}" for inner in column_names(cell, depth - 1))


def cell_of(cells: Mapping[str, Any], column: str) -> Any:
    """The cell in a column, a member of an object if the column is called ``outer.inner``; None if there is none."""
    if column in cells or "." not in column:
        return cells.get(column)
    outer, _, inner = column.partition(".")
    found = cells.get(outer)
    return cell_of(found, inner) if isinstance(found, dict) else None


def check_names(names: Collection[str], where: str) -> None:
    """Refuse a table in which two columns have the same name.

    Raises:
        InputError: With the name; columns without a name are no matter.
    """
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise InputError(f"{where} has two columns called {name!r}", hint="rename one of them in the file")
        seen.add(name)


def resolve_columns(
    aliases: Aliases, named: Mapping[str, str], present: Collection[str], *, required: Collection[str], where: str
) -> Columns:
    """The column of every field that has one.

    Names are compared without case and punctuation. Of a file that has columns such as ``review/text`` or
    ``reviews.title`` these come first, because others may be of the item.

    Args:
        aliases: Names each field goes by.
        named: Columns the user named, by field; they win over aliases. ``"-"`` says that the field has none.
        present: Columns of the file; empty if none could be read, then every field has its first alias.
        required: Fields that must have a column.
        where: The file, for messages.

    Raises:
        ConfigError: A field that does not exist is named.
        InputError: A named column does not exist, a required field has none, or two columns of one name may be meant.
    """
    for name in named:
        if name not in aliases:
            raise ConfigError(f"columns: unknown field {name!r}", hint=suggest(name, aliases))
    known = _Known(present, where)
    found: dict[str, str] = {}
    absent: list[str] = []
    for field, names in aliases.items():
        if named.get(field) == NONE and field not in required:
            continue
        column = known.named(field, named[field]) if field in named else known.usual(field, names)
        if column is not None:
            found[field] = column
        elif field in required and present:
            raise InputError(
                f"{where} has no column for {field!r} (it has {', '.join(known.top())})",
                hint=f"name it: {field}='NAME'",
            )
        elif names:
            absent.append(field)
            if field != "order":  # where no column is known to hold it, the place does
                found[field] = names[0]  # it may first appear below the rows that were looked at
    taken = {column.partition(".")[0] for column in found.values()} | set(found.values())
    return Columns(found, tuple(absent), tuple(name for name in known.top() if name not in taken))


class _Known:
    """The columns of a file by what they may be called."""

    def __init__(self, present: Collection[str], where: str) -> None:
        self._present, self._where = present, where
        self._top = [name for name in present if not any(outer in present for outer in _outer(name))]
        top = set(self._top)
        self._of_review: dict[str, list[str]] = {}
        self._folded: dict[str, list[str]] = {}
        for name in present:
            own = _OF_REVIEW.fullmatch(name.strip())
            if own:
                self._of_review.setdefault(fold(own[1]), []).append(name)
            if name in top:
                self._folded.setdefault(fold(name), []).append(name)

    def top(self) -> list[str]:
        """The columns, without the members of those that hold objects."""
        return sorted(self._top)

    def named(self, field: str, column: str) -> str:
        """The column that the user means."""
        if column in self._present or not self._present:
            return column
        meant = self._folded.get(fold(column), [])
        if not meant:
            raise InputError(f"{self._where} has no column {column!r}", hint=suggest(column, self._present))
        return self._one(field, meant)

    def usual(self, field: str, names: tuple[str, ...]) -> str | None:
        """The column with one of the names, the best first; None if there is none."""
        for called in (self._of_review, self._folded):
            for name in names:
                if meant := called.get(fold(name)):
                    return self._one(field, meant)
        return None

    def _one(self, field: str, meant: list[str]) -> str:
        """The only one of ``meant``, or the only one that no damaged row may have brought."""
        meant = [name for name in meant if not _OF_DAMAGED_ROW.search(name)] or meant
        if len(meant) > 1:
            raise InputError(
                f"{self._where} has several columns that may hold {field!r}: {', '.join(map(repr, meant))}",
                hint=f"name one: {field}={meant[0]!r}",
            )
        return meant[0]


def _outer(name: str) -> Iterator[str]:
    """The columns whose members a column may be: ``a.b`` and ``a`` for ``a.b.c``."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Cells = Mapping[str, Any]
OnLost = Callable[[str, str], None]
"""Called with a field and the reason why it is missing although the row has a cell for it."""


class Build(Protocol[T_co]):
    """Converts a row to a record."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> T_co:
        """The record of ``cells``, the row at ``place`` (from 0).

        An optional field that cannot be read is dropped alone and reported to ``lost``.

        Raises:
            UnusableRow: With the reason.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewBuilder:
    """Converts a row to a ``Review``."""

    columns: Mapping[str, str]
    category: str = ""
    pseudonym: Callable[[str], str] | None = None
    """What a user's id is turned into, before anything is made of it."""
    floats: frozenset[str] = frozenset()
    """Fields whose ids are integers that a table wrote as floats (``"1001.0"``)."""
    clock: bool = False
    """Whether timestamps are the ticks of some clock: see ``Ticks``."""
    users_of_category: bool = False
    """Whether users' ids are prefixed by the category as items' are: who writes in two counts as two users."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Review:
        """See ``Build``."""
        return self._plain(cells, place) or self._any(cells, place, lost)

    def _plain(self, cells: Cells, place: int) -> Review | None:
        """The review of a row whose cells are what most are: ASCII texts, plain numbers, an id; else None.

        It is the one that ``_any`` gives, in a third of the time.
        """
        of = self.columns
        if self.pseudonym or self.users_of_category or self.floats or "category" in of or "order" in of:
            return None
        try:
            user, item, text, id = cells[of["user"]], cells[of["item"]], cells[of["text"]], cells[of["review_id"]]
            title = cells[of["title"]] if "title" in of else ""
            rating = cells[of["rating"]] if "rating" in of else None
            timestamp = cells[of["timestamp"]] if "timestamp" in of else None
        except KeyError:
            return None
        if not (type(user) is type(item) is type(text) is type(id) is type(title) is str):
            return None
        said = f"{text}{title}"
        named = f"{user}{item}{id}"
        if not said.isascii() or not named.isascii() or "\0" in said or "\0" in named or "+" in named:
            return None
        user, item, id = user.strip(), item.strip(), id.strip()
        if len(said) > MAX_TEXT or len(named) > MAX_ID or not _NO_ID.isdisjoint((user, item, id, text, title)):
            return None
        if not user or not item or not id or not text or text.isspace():
            return None
        if not (rating is None or (type(rating) is float and math.isfinite(rating))):
            return None
        if not (timestamp is None or (type(timestamp) is int and FIRST_SECOND <= timestamp < LATEST)):
            return None
        return Review(
            id=ReviewId(id),
            user=UserId(user),
            item=ItemId(_prefixed(item, self.category)),
            text=text,
            rating=rating if rating is None else rating + 0.0,
            title=title,
            timestamp=timestamp,
            order=place,
        )

    def _any(self, cells: Cells, place: int, lost: OnLost) -> Review:
        found = _cells(cells, self.columns, self.floats)
        category = (
            self.category if found.get("category") is None else parse_category(found["category"]) or self.category
        )
        user = parse_id(found.get("user"), "user")
        if self.users_of_category:
            user = _prefixed(user, category)
        item = _prefixed(parse_id(found.get("item"), "item"), category)
        text = parse_required(found.get("text"), "text")
        optional = partial(_optional, found, lost)
        title = optional("title", parse_title, "")
        rating = optional("rating", parse_rating, None)
        read_time = partial(parse_timestamp, clock=True) if self.clock else parse_timestamp
        timestamp = optional("timestamp", read_time, None)
        own_id = optional("review_id", _review_id, "")
        if self.pseudonym:  # a review's id may be made of its user's
            own_id = self.pseudonym(own_id) if user in own_id else own_id
            user = self.pseudonym(user)
        return Review(
            id=ReviewId(own_id or digest_id(user, item, timestamp, title, text, rating)),
            user=UserId(user),
            item=ItemId(item),
            text=text,
            rating=rating,
            title=title,
            timestamp=timestamp,
            order=optional("order", lambda cell: parse_order(cell, place), place),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBuilder:
    """Converts a row to an ``Item``."""

    columns: Mapping[str, str]
    category: str = ""
    by_row: bool = False
    """Whether item ids are prefixed by the row's own category (the user named its column)."""
    floats: frozenset[str] = frozenset()
    """See ``ReviewBuilder``."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Item:
        """See ``Build``; ``place`` plays no part."""
        found = _cells(cells, self.columns, self.floats)
        optional = partial(_optional, found, lost)
        # Where it is part of the item's id, it is not optional.
        read = parse_category
        own_category = read(found.get("category")) if self.by_row else optional("category", read, "")
        prefix = (own_category if self.by_row else "") or self.category
        return Item(
            id=ItemId(_prefixed(parse_id(found.get("item"), "item"), prefix)),
            title=optional("title", parse_title, ""),
            description=optional("description", parse_description, ""),
            category=prefix or own_category,
        )


def digest_id(user: str, item: str, timestamp: int | None, title: str, text: str, rating: float | None) -> str:
    """A review id made of what the review is, so that reading a file again gives the same ids.

    Returns:
        32 hex digits: blake2b of the fields joined by NUL, which none of them holds.
    """
    said = "0.0" if str(rating) == "-0.0" else str(rating)
    parts = (user, item, str(timestamp), title, text, said)
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _optional(found: Cells, lost: OnLost, field: str, read: Callable[[Any], T], default: T) -> T:
    """A field that a record may lack; a cell that is None gives the default without being read."""
    cell = found.get(field)
    if cell is None:
        return default
    try:
        return read(cell)
    except UnusableRow as unusable:
        lost(field, unusable.reason)
        return default


def _cells(cells: Cells, columns: Mapping[str, str], floats: frozenset[str]) -> dict[str, Any]:
    """The cells by field."""
    found = {field: cells[column] if column in cells else cell_of(cells, column) for field, column in columns.items()}
    for field in floats:
        found[field] = without_fraction(found.get(field))
    return found


def _prefixed(item: str, category: str) -> str:
    return f"{category}/{item}" if category else item
