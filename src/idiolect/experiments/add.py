"""One review added to a live store: known at once, with its vector, or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from idiolect.corpus.fields import clean_id
from idiolect.corpus.records import digest_id
from idiolect.corpus.times import LATEST
from idiolect.encoders.base import Encoder
from idiolect.encoders.table import load_encoder
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.store.pseudonym import Pseudonyms, check_names
from idiolect.store.rows import refusal
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId

_MOST = 100
"""The greatest rating of any scale in use."""


def add_review(
    store: str,
    *,
    user: str,
    item: str,
    text: str,
    rating: float | None = None,
    title: str = "",
    timestamp: int | None = None,
    id: str | None = None,
    encoder: str = "minilm",
    pseudonyms: Path | None = None,
) -> Review:
    """Add one review written now, with its vector; the item's sum follows in the same transaction as the vector.

    With an ``id`` of its own, a review that was added already, now or at another moment, is left as it is; without one
    every call adds another review, for it was written at another moment.

    The store is then another one to the splits made of it: see ``split_store``. With ``pseudonyms``, the file of a key
    that is made where there is none, the user's id is hashed before anything is made of it.

    Raises:
        ConfigError: The text is empty, or the store holds other encoders' vectors only, or names users otherwise.
        InputError: The store refuses the review; where there is no store yet, none is made.
    """
    check_said(rating, timestamp)
    user, item = clean_id(user), clean_id(item)
    if not text.strip():
        raise ConfigError("the review has no text", hint="pass --text")
    moment = int(time.time()) if timestamp is None else timestamp
    hashed = Pseudonyms.open(pseudonyms) if pseudonyms else None
    author = hashed(user) if hashed else UserId(user)
    review = Review(
        id=ReviewId(id or digest_id(author, item, moment, title, text, rating)),
        user=author,
        item=ItemId(item),
        text=text,
        rating=rating,
        title=title,
        timestamp=moment,
    )
    # Everything that can fail comes before the first write: a review without its vector would be half known.
    if reason := refusal(review):
        raise InputError(f"the review cannot be stored: {reason}", hint="change it and try again")
    return _store(store, review, load_encoder(encoder), hashed, dated=timestamp is not None)


def check_said(rating: float | None, timestamp: int | None = None) -> None:
    """Refuse what is no rating or moment, or was hardly meant: nobody checks a single review as a file is checked."""
    hint = "ratings are 0 to 100, timestamps seconds since 1970"
    if rating is not None and not 0 <= rating <= _MOST:
        raise InputError("rating out of range", hint=hint)
    if timestamp is not None and not 0 <= timestamp < LATEST:
        raise InputError("timestamp out of range", hint=hint)


def _store(store: str, review: Review, encoder: Encoder, hashed: Pseudonyms | None, *, dated: bool) -> Review:
    """Review and vector, or neither; the stored one where it differs by a moment that nobody gave."""
    vector = encoder.encode([review.text])
    with SqlStore(store) as database:
        check_names(database, hashed, take=True)
        held = database.encoders()
        if held and encoder.name not in held:
            raise ConfigError(f"the store holds vectors of {', '.join(held)}", hint="name their encoder with --encoder")
        known = _known(database, review.id)
        if known is not None and not dated:
            review = replace(review, timestamp=known.timestamp)
        report = database.add([], [review])
        if report.refused:
            raise InputError(f"the review cannot be stored: {report.refused[0][1]}", hint="change it and try again")
        database.add_vectors([review.id], vector, encoder=encoder.name)
    return review


def _known(database: SqlStore, id: ReviewId) -> Review | None:
    try:
        return database.reviews([id])[0]
    except NotFoundError:
        return None
