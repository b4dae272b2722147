"""Items and reviews as rows: what cannot be stored, what identifies a content, and the way back."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from hashlib import blake2b
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from idiolect.store import tables
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

Row = dict[str, Any]

ITEM = (tables.items.c.id, tables.items.c.title, tables.items.c.description, tables.items.c.category)
REVIEW = tuple(
    tables.reviews.c[name] for name in ("id", "user", "item", "rating", "title", "text", "timestamp", "order")
)

_INT64 = 2**63
_NOT_NUMBERS = (bool, np.bool_, np.timedelta64)
"""Types that Python or NumPy count as numbers, and that are no rating, time or order."""

T = TypeVar("T", Item, Review)


class Refused(Exception):
    """This row cannot be stored; the message says why."""


def item_row(item: Item) -> Row:
    """The row of ``items`` that holds ``item``.

    Raises:
        Refused: No database can hold it.
    """
    texts = _texts(item, "id", "title", "description", "category")
    return {**texts, "digest": _digest(b"item", tuple(texts.values()))}


def review_row(review: Review) -> Row:
    """The row of ``reviews`` that holds ``review``.

    Raises:
        Refused: No database can hold it, or its rating is not a number.
    """
    texts = _texts(review, "id", "user", "item", "title", "text")
    if not (texts["user"] and texts["item"]):
        raise Refused("it names no user or no item")
    rating = _rating(review.rating)
    timestamp = None if review.timestamp is None else _whole(review.timestamp, "timestamp")
    order = _whole(review.order, "order")
    digest = _digest(b"review", tuple(texts.values()), rating, timestamp, order)
    return {**texts, "rating": rating, "timestamp": timestamp, "order": order, "digest": digest}


def tried(values: Iterable[T], to_row: Callable[[T], Row]) -> Iterable[Row | tuple[Any, str]]:
    """The row of every value, or its id and why it is refused.

    Sequences are converted at once, so that nothing is looked at while a transaction is open. Other iterables are read
    as they are used.
    """
    rows = (_try(value, to_row) for value in values)
    return list(rows) if isinstance(values, Sequence) else rows


def _try(value: T, to_row: Callable[[T], Row]) -> Row | tuple[Any, str]:
    try:
        return to_row(value)
    except Refused as reason:
        return value.id, str(reason)


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


def _texts(value: Item | Review, *names: str) -> dict[str, str]:
    """These fields as plain strings; NumPy's strings count as such."""
    texts = {}
    for name in names:
        text = getattr(value, name)
        if not isinstance(text, str):
            raise Refused(f"its {name} is a {type(text).__name__}, not a string")
        texts[name] = str(text)
    return texts


def _rating(value: object) -> float | None:
    """A finite number of any type, as a float; -0.0 is 0.0, as SQLite keeps it."""
    if value is None:
        return None
    if not isinstance(value, Real | Decimal) or isinstance(value, _NOT_NUMBERS):
        raise Refused(f"its rating is a {type(value).__name__}, not a number")
    try:
        rating = float(value)
    except (OverflowError, ValueError) as error:  # too large for a float; a signalling NaN
        raise Refused("its rating is not a finite number") from error
    if not math.isfinite(rating):
        raise Refused(f"its rating is {rating}")
    return rating + 0.0


def _whole(value: object, what: str) -> int:
    """A whole number of any type, as an int. Never ``in range``: for other types than int that counts to 2**64."""
    if isinstance(value, _NOT_NUMBERS):
        raise Refused(f"its {what} is a {type(value).__name__}, not a whole number")
    try:
        if isinstance(value, float | np.floating | Decimal) and abs(value) <= _INT64 and value == int(value):
            whole = int(value)  # pandas turns whole numbers into floats where some are missing
        else:
            whole = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise Refused(f"its {what} is a {type(value).__name__}, not a whole number") from error
    if not -_INT64 <= whole < _INT64:
        raise Refused("its timestamp or order does not fit 64 bits")
    return whole


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
