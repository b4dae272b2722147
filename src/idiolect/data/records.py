"""Which column holds which field, and a row's cells to a checked review or item.

A field that a record may lack is dropped alone when its cell cannot be read; without any other, the row is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeVar

from idiolect.data.rejects import UnusableRow
from idiolect.data.times import FIRST_SECOND, LATEST, parse_timestamp
from idiolect.data.values import (
    MAX_ID,
    MAX_TEXT,
    NO_ID,
    parse_category,
    parse_description,
    parse_id,
    parse_optional_id,
    parse_order,
    parse_rating,
    parse_required,
    parse_title,
    without_fraction,
    without_kind,
    without_reply_marks,
)
from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

Aliases = Mapping[str, tuple[str, ...]]

_ITEM_IDS = ("item_id", "item", "parent_asin", "asin", "product_id", "business_id", "pid")
_THREAD_IDS = ("thread_id", "link_id")

REVIEW_ALIASES: Aliases = {
    "user": ("user_id", "user", "reviewerID", "author_id", "author", "username", "user_name", "from"),
    "item": (*_ITEM_IDS, *_THREAD_IDS, "subject"),
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
    "item": (*_ITEM_IDS, "id", *_THREAD_IDS),
    "title": ("title", "name", "item_title", "product_title", "item_name", "product_name"),
    "description": ("description", "selftext"),
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
    aliases: Aliases, named: Mapping[str, str], present: Collection[str], *, required: Collection[str], where: str,
    spelled: str = "{field}={name}",
) -> Columns:  # fmt: skip
    """The column of every field that has one.

    Names are compared without case and punctuation. Of a file that has columns such as ``review/text`` or
    ``reviews.title`` these come first, because others may be of the item.

    Args:
        aliases: Names each field goes by.
        named: Columns the user named, by field; they win over aliases. ``"-"`` says that the field has none.
        present: Columns of the file; empty if none could be read, then every field has its first alias.
        required: Fields that must have a column.
        where: The file, for messages.
        spelled: How messages spell a field's column, an argument of ``Store.add``.

    Raises:
        ConfigError: A field that does not exist is named.
        InputError: A named column does not exist, a required field has none, or two columns of one name may be meant.
    """
    for name in named:
        if name not in aliases:
            raise ConfigError(f"columns: unknown field {name!r}", hint=suggest(name, aliases))
    known = _Known(present, where, spelled)
    found: dict[str, str] = {}
    absent: list[str] = []
    missing: list[str] = []
    for field, names in aliases.items():
        if named.get(field) == NONE and field not in required:
            continue
        column = known.named(field, named[field]) if field in named else known.usual(field, names)
        if column is not None:
            found[field] = column
        elif field in required and present:
            missing.append(field)
        elif names:
            absent.append(field)
            if field != "order":  # where no column is known to hold it, the place does
                found[field] = names[0]  # it may first appear below the rows that were looked at
    if missing:
        given = ", ".join(known.spelled(field, "NAME") for field in missing)
        raise InputError(
            f"{where} has no column for {', '.join(map(repr, missing))} (it has {', '.join(known.top())})",
            hint=f"name {'it' if len(missing) == 1 else 'them'}: {given}",
        )
    taken = {column.partition(".")[0] for column in found.values()} | set(found.values())
    return Columns(found, tuple(absent), tuple(name for name in known.top() if name not in taken))


class _Known:
    """The columns of a file by what they may be called."""

    def __init__(self, present: Collection[str], where: str, spelled: str) -> None:
        self._present, self._where, self._spelled = present, where, spelled
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

    def spelled(self, field: str, column: str) -> str:
        """A field's column as an argument."""
        return self._spelled.format(field=field, name=repr(column))

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
                hint=f"name one: {self.spelled(field, meant[0])}",
            )
        return meant[0]


def _outer(name: str) -> Iterator[str]:
    """The columns whose members a column may be: ``a.b`` and ``a`` for ``a.b.c``."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


class Row(NamedTuple):
    """One row as read."""

    line: int
    """Where it begins, from 1."""
    cells: dict[str, Any] | str
    """The cells by column, or the reason why there are none."""
    raw: object
    """The raw row, as the rejects file shows it."""


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
    subjects: bool = False
    """Whether items are subjects of mails: a reply has the item of what it replies to."""
    full_names: bool = False
    """Whether items are full names of Reddit's: a comment in ``t3_8xyz1`` has the item ``8xyz1``."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Review:
        """See ``Build``."""
        return self._plain(cells, place) or self._any(cells, place, lost)

    def _plain(self, cells: Cells, place: int) -> Review | None:
        """The review of a row whose cells are what most are: ASCII texts, plain numbers, an id; else None.

        It is the one that ``_any`` gives, in a third of the time.
        """
        of = self.columns
        if self.pseudonym or self.users_of_category or self.subjects or self.full_names or self.floats:
            return None
        if "category" in of or "order" in of:
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
        if len(said) > MAX_TEXT or len(named) > MAX_ID or not NO_ID.isdisjoint((user, item, id, text, title)):
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
        about = without_reply_marks(found.get("item")) if self.subjects else found.get("item")
        about = without_kind(about) if self.full_names else about
        item = _prefixed(parse_id(about, "item"), category)
        text = parse_required(found.get("text"), "text")
        optional = partial(_optional, found, lost)
        title = optional("title", parse_title, "")
        rating = optional("rating", parse_rating, None)
        read_time = partial(parse_timestamp, clock=True) if self.clock else parse_timestamp
        timestamp = optional("timestamp", read_time, None)
        own_id = optional("review_id", partial(parse_optional_id, field="review_id"), "")
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
    full_names: bool = False
    """See ``ReviewBuilder``."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Item:
        """See ``Build``; ``place`` plays no part."""
        found = _cells(cells, self.columns, self.floats)
        optional = partial(_optional, found, lost)
        # Where it is part of the item's id, it is not optional.
        read = parse_category
        own_category = read(found.get("category")) if self.by_row else optional("category", read, "")
        prefix = (own_category if self.by_row else "") or self.category
        id = without_kind(found.get("item")) if self.full_names else found.get("item")
        return Item(
            id=ItemId(_prefixed(parse_id(id, "item"), prefix)),
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
    # Half of a surrogate pair is refused where the review is stored, with a reason.
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


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
