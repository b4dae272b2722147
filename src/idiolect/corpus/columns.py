"""Which column of a file holds which field."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest

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
"""Names each field of a review goes by, best first. The category prefixes item ids, so it is taken only when named."""

NONE = "-"
"""Named as a field's column: the file's usual one is something else, and the field stays empty."""

ITEM_ALIASES: Aliases = {
    "item": ("item_id", "item", "parent_asin", "asin", "product_id", "business_id", "pid", "id"),
    "title": ("title", "name", "item_title", "product_title", "item_name", "product_name"),
    "description": ("description",),
    "category": ("main_category", "category", "categories"),
}
"""Names each field of an item goes by, best first."""

_OF_REVIEW = re.compile(r"reviews?[./](.+)", re.IGNORECASE | re.DOTALL)
"""Columns that say themselves that they are of the review, where others may be of the item."""
_NESTED = 3
"""Levels of objects in objects whose members are columns, as ``outer.inner``."""
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are taken for."""

    of: Mapping[str, str]
    """The column of every field that has one, or may get one further down."""
    absent: tuple[str, ...] = ()
    """Fields that have none as far as the file was looked at."""
    unused: tuple[str, ...] = ()
    """Columns that are no field's."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for files whose columns are alike."""
        return tuple(self.of.items()), self.absent, self.unused

    def text(self, told: Iterable[str]) -> str:
        """For people, on one line.

        Args:
            told: Fields that are named if they have no column.
        """
        parts = [" ".join(f"{field}={name}" for field, name in self.of.items() if field not in self.absent)]
        absent = [field for field in told if field not in self.of or field in self.absent]
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
        present: Columns of the file; empty where none could be read, then every field has its first alias.
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
                hint=f"name it: --column {field}=NAME, or columns={{{field!r}: 'NAME'}}",
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
        """The column that goes by one of the names, the best first; None if there is none."""
        for called in (self._of_review, self._folded):
            for name in names:
                if meant := called.get(fold(name)):
                    return self._one(field, meant)
        return None

    def _one(self, field: str, meant: list[str]) -> str:
        if len(meant) > 1:
            raise InputError(
                f"{self._where} has several columns that may hold {field!r}: {', '.join(map(repr, meant))}",
                hint=f"name one: --column {field}={meant[0]}",
            )
        return meant[0]


def _outer(name: str) -> Iterator[str]:
    """The columns whose members a column may be: ``a.b`` and ``a`` for ``a.b.c``."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
