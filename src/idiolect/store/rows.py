"""Items and reviews as rows: what cannot be stored, what identifies a content, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from idiolect.store import tables
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

Row = dict[str, Any]

ITEM = (tables.items.c.id, tables.items.c.title, tables.items.c.description, tables.items.c.category)
REVIEW = tuple(
    tables.reviews.c[name] for name in ("id", "user", "item", "rating", "title", "text", "timestamp", "order")
)

_INT64 = range(-(2**63), 2**63)


class Refused(Exception):
    """This row cannot be stored; the message says why."""


def item_row(item: Item) -> Row:
    """The row of ``items`` that holds ``item``.

    Raises:
        Refused: No database can hold it.
    """
    texts = (item.id, item.title, item.description, item.category)
    return {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "category": item.category,
        "digest": _digest(b"item", texts),
    }


def review_row(review: Review) -> Row:
    """The row of ``reviews`` that holds ``review``.

    Raises:
        Refused: No database can hold it, or its rating is not a number.
    """
    rating = None if review.rating is None else float(review.rating)
    if not (review.user and review.item):
        raise Refused("it names no user or no item")
    if rating is not None and not math.isfinite(rating):
        raise Refused(f"its rating is {rating}")
    if review.order not in _INT64 or (review.timestamp is not None and review.timestamp not in _INT64):
        raise Refused("its timestamp or order does not fit 64 bits")
    texts = (review.id, review.user, review.item, review.title, review.text)
    return {
        "id": review.id,
        "user": review.user,
        "item": review.item,
        "rating": rating,
        "title": review.title,
        "text": review.text,
        "timestamp": review.timestamp,
        "order": review.order,
        "digest": _digest(b"review", texts, rating, review.timestamp, review.order),
    }


def refusal(review: Review) -> str:
    """Why no store takes a review; empty where one may."""
    try:
        review_row(review)
    except Refused as reason:
        return str(reason)
    return ""


def to_item(row: Sequence[Any]) -> Item:
    """An ``Item`` from the columns ``ITEM``."""
    return Item(id=ItemId(row[0]), title=row[1], description=row[2], category=row[3])


def to_review(row: Sequence[Any]) -> Review:
    """A ``Review`` from the columns ``REVIEW``."""
    return Review(
        id=ReviewId(row[0]),
        user=UserId(row[1]),
        item=ItemId(row[2]),
        rating=row[3],
        title=row[4],
        text=row[5],
        timestamp=row[6],
        order=row[7],
    )


def by_time(review: Review) -> tuple[int, int, str]:
    """The sort key of every list of reviews: time order, ties by id so that arrival does not matter."""
    return *review.moment, review.id


def _digest(kind: bytes, texts: Sequence[str], *numbers: float | int | None) -> bytes:
    # The lengths say where each text ends, so that no two rows spell the same bytes.
    joined = "".join(texts)
    head = f"{','.join(str(len(text)) for text in texts)}|{numbers!r}|"
    if not texts[0]:
        raise Refused("it has no id")
    if "\0" in joined:
        raise Refused("it holds a NUL character")
    try:
        content = (head + joined).encode()
    except UnicodeEncodeError as error:
        raise Refused("it holds half of a surrogate pair") from error
    return blake2b(content, digest_size=16, person=kind).digest()
