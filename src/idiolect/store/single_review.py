"""Add a single review, written now, together with its vector."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path

from idiolect.data.records import digest_id
from idiolect.data.rejects import UnusableRow
from idiolect.data.times import LATEST, parse_timestamp
from idiolect.data.values import clean_id, parse_rating
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.store.privacy import Pseudonyms, check_names
from idiolect.store.schema import refusal
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId

_MOST = 100
"""The highest rating of any common scale."""
_SHOWN = 40
"""Characters of what is no rating in a message."""


def add_review(
    store: str,
    *,
    user: str,
    item: str,
    text: str,
    rating: float | str | None = None,
    title: str = "",
    timestamp: int | str | date | None = None,
    id: str | None = None,
    encoder: str = "minilm",
    pseudonyms: Path | None = None,
) -> Review:
    """Add one review written now; vector and item sum are stored in the same transaction.

    With an ``id``, a review that was added before is left unchanged; without one every call adds another review,
    because its time differs.

    Splits made before are then out of date: see ``split_store``. With ``pseudonyms``, the file of a key (created if
    absent), the user's id is hashed first.

    Raises:
        ConfigError: The text is empty, or the store has only vectors of other encoders, or uses another id scheme.
        InputError: The store refuses the review; a store that does not exist is then not created.
    """
    when, rating = _moment(timestamp), read_rating(rating)
    check_said(rating, when)
    _check_texts(user=user, item=item, text=text, title=title)
    user, item = clean_id(user), clean_id(item)
    if not text.strip():
        raise ConfigError("the review has no text", hint="pass text=")
    hashed = Pseudonyms.open(pseudonyms) if pseudonyms else None
    author = hashed(user) if hashed else UserId(user)
    review = new_review(author, ItemId(item), text, rating=rating, title=title, timestamp=when, id=id)
    # Everything that can fail comes before the first write, so that no review is stored without its vector.
    if reason := refusal(review):
        raise InputError(f"the review cannot be stored: {reason}", hint="change it and try again")
    return _store(store, review, _encoder(encoder), hashed, dated=when is not None)


def _encoder(spec: str) -> Encoder:
    # A folder may change; what the package ships does not.
    return _shipped_encoder(spec) if spec in ("minilm", "style", "style+minilm") else load_encoder(spec)


@lru_cache(maxsize=1)
def _shipped_encoder(spec: str) -> Encoder:
    """Kept in memory: an application adds one review after the other, and loading takes longer than encoding."""
    return load_encoder(spec)


def new_review(
    user: UserId, item: ItemId, text: str, *, rating: float | None, title: str, timestamp: int | None, id: str | None
) -> Review:
    """A review; without a timestamp it is written now, without an id the id is a digest of everything else."""
    moment = int(time.time()) if timestamp is None else timestamp
    made = id or digest_id(user, item, moment, title, text, rating)
    return Review(id=ReviewId(made), user=user, item=item, text=text, rating=rating, title=title, timestamp=moment)


def read_rating(rating: float | str | None) -> float | None:
    """A rating as files of reviews may have it: a number, or a text such as ``4/5``; None if there is none.

    Raises:
        InputError: The text is no rating.

    Example:
        >>> read_rating("4/5"), read_rating("★★★☆☆"), read_rating(4.5)
        (4.0, 3.0, 4.5)
    """
    if not isinstance(rating, str):
        return rating
    try:
        return parse_rating(rating)
    except UnusableRow:
        raise InputError(f"{rating[:_SHOWN]!r} is no rating", hint="such as 4, 4.5 or 4/5") from None


def check_said(rating: float | None, timestamp: int | None = None) -> None:
    """Check rating and time for plausibility, as the checks of files do."""
    hint = "ratings are 0 to 100, timestamps seconds since 1970"
    for name, value, kinds in (("rating", rating, Real), ("timestamp", timestamp, Integral)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"the {name} is a {type(value).__name__}, not a number", hint=hint)
    if rating is not None and not 0 <= rating <= _MOST:
        raise InputError("rating out of range", hint=hint)
    if timestamp is not None and not 0 <= timestamp < LATEST:
        raise InputError("timestamp out of range", hint=hint)


def _check_texts(**values: str) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise InputError(f"the {name} is a {type(value).__name__}, not a text", hint=f"pass {name}= as a string")


def _moment(timestamp: int | str | date | None) -> int | None:
    """Seconds since 1970; dates and dates in words are read as in files."""
    if not isinstance(timestamp, str | date):
        return timestamp
    try:
        return parse_timestamp(timestamp)
    except UnusableRow as error:
        hint = "pass seconds since 1970, a date, or one as ISO 8601"
        raise InputError(f"the timestamp cannot be read: {timestamp!r}", hint=hint) from error


def _store(store: str, review: Review, encoder: Encoder, hashed: Pseudonyms | None, *, dated: bool) -> Review:
    """Store review and vector in one transaction; return the stored review if only an unset time differs."""
    vector = encoder.encode([review.text])
    with SqlStore(store) as database:
        check_names(database, hashed, take=True)
        held = database.encoders()
        if held and encoder.name not in held:
            raise ConfigError(f"the store holds vectors of {', '.join(held)}", hint="name their encoder with encoder=")
        known = _known(database, review.id)
        if known is not None and not dated:
            review = replace(review, timestamp=known.timestamp)
        report = database.add([], [review], {encoder.name: vector})
        if report.refused:
            raise InputError(f"the review cannot be stored: {report.refused[0][1]}", hint="change it and try again")
    return review


def _known(database: SqlStore, id: ReviewId) -> Review | None:
    try:
        return database.reviews([id])[0]
    except NotFoundError:
        return None
