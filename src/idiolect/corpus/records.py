"""Cells of a row to a review or an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

from idiolect.corpus import fields
from idiolect.corpus.columns import cell_of
from idiolect.corpus.rejects import UnusableRow
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Cells = Mapping[str, Any]
OnLost = Callable[[str, str], None]
"""Called with a field and the reason why the record has none, though the row has a cell for it."""


class Build(Protocol[T_co]):
    """Makes a record of a row."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> T_co:
        """The record of ``cells``, the row at ``place`` (from 0).

        An optional field that cannot be read costs itself alone, and ``lost`` is told.

        Raises:
            UnusableRow: With the reason.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewBuilder:
    """Makes a ``Review`` of a row."""

    columns: Mapping[str, str]
    category: str = ""
    pseudonym: Callable[[str], str] | None = None
    """What a user's id is turned into, before anything is made of it."""
    floats: frozenset[str] = frozenset()
    """Fields whose ids are integers that a table wrote as floats (``"1001.0"``)."""
    clock: bool = False
    """Whether timestamps are the ticks of some clock: see ``Ticks``."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Review:
        """See ``Build``."""
        found = _cells(cells, self.columns, self.floats)
        category = fields.parse_category(found.get("category")) or self.category
        user = fields.parse_id(found.get("user"), "user")
        item = _prefixed(fields.parse_id(found.get("item"), "item"), category)
        text = fields.parse_required(found.get("text"), "text")
        optional = _Optional(found, lost)
        title = optional("title", fields.parse_title, "")
        rating = optional("rating", fields.parse_rating, None)
        timestamp = optional("timestamp", lambda cell: fields.parse_timestamp(cell, clock=self.clock), None)
        own_id = optional("review_id", lambda cell: fields.parse_optional_id(cell, "review_id"), "")
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
            order=optional("order", lambda cell: fields.parse_order(cell, place), place),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBuilder:
    """Makes an ``Item`` of a row."""

    columns: Mapping[str, str]
    category: str = ""
    by_row: bool = False
    """Whether item ids are prefixed by the row's own category (the user named its column)."""
    floats: frozenset[str] = frozenset()
    """As of ``ReviewBuilder``."""

    def __call__(self, cells: Cells, place: int, lost: OnLost) -> Item:
        """See ``Build``; ``place`` plays no part."""
        found = _cells(cells, self.columns, self.floats)
        optional = _Optional(found, lost)
        # Where it is part of the item's id, it is not optional.
        read = fields.parse_category
        own_category = read(found.get("category")) if self.by_row else optional("category", read, "")
        prefix = (own_category if self.by_row else "") or self.category
        return Item(
            id=ItemId(_prefixed(fields.parse_id(found.get("item"), "item"), prefix)),
            title=optional("title", fields.parse_title, ""),
            description=optional("description", fields.parse_description, ""),
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


@dataclass(frozen=True, slots=True)
class _Optional:
    """Reads the fields that a record may lack."""

    found: Cells
    lost: OnLost

    def __call__(self, field: str, read: Callable[[Any], T], default: T) -> T:
        try:
            return read(self.found.get(field))
        except UnusableRow as unusable:
            self.lost(field, unusable.reason)
            return default


def _cells(cells: Cells, columns: Mapping[str, str], floats: frozenset[str]) -> dict[str, Any]:
    """The cells by field."""
    found = {field: cell_of(cells, column) for field, column in columns.items()}
    for field in floats:
        found[field] = fields.without_fraction(found.get(field))
    return found


def _prefixed(item: str, category: str) -> str:
    return f"{category}/{item}" if category else item
