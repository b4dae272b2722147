"""Cells of a row to a review or an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

from idiolect.corpus import fields
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

T_co = TypeVar("T_co", covariant=True)
Cells = Mapping[str, Any]


class Build(Protocol[T_co]):
    """Makes a record of a row."""

    def __call__(self, cells: Cells, place: int) -> T_co:
        """The record of ``cells``, the row at ``place`` (from 0).

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

    def __call__(self, cells: Cells, place: int) -> Review:
        """See ``Build``."""
        found = {field: cells.get(column) for field, column in self.columns.items()}
        category = fields.parse_category(found.get("category")) or self.category
        user = fields.parse_id(found.get("user"), "user")
        item = _prefixed(fields.parse_id(found.get("item"), "item"), category)
        text = fields.parse_required(found.get("text"), "text")
        title = fields.parse_text(found.get("title"), "title")
        rating = fields.parse_rating(found.get("rating"))
        timestamp = fields.parse_timestamp(found.get("timestamp"))
        own_id = fields.parse_optional_id(found.get("review_id"), "review_id")
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
            order=fields.parse_order(found.get("order"), place),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBuilder:
    """Makes an ``Item`` of a row."""

    columns: Mapping[str, str]
    category: str = ""
    by_row: bool = False
    """Whether item ids are prefixed by the row's own category (the user named its column)."""

    def __call__(self, cells: Cells, place: int) -> Item:
        """See ``Build``; ``place`` plays no part."""
        found = {field: cells.get(column) for field, column in self.columns.items()}
        own_category = fields.parse_category(found.get("category"))
        prefix = (own_category if self.by_row else "") or self.category
        return Item(
            id=ItemId(_prefixed(fields.parse_id(found.get("item"), "item"), prefix)),
            title=fields.parse_text(found.get("title"), "title"),
            description=fields.parse_description(found.get("description")),
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


def _prefixed(item: str, category: str) -> str:
    return f"{category}/{item}" if category else item
