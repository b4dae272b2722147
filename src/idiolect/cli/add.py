"""``idiolect add``."""

from __future__ import annotations

from idiolect.cli.options import Json, KeyFile, StorePath, show
from idiolect.experiments.add import add_review


def add(
    *,
    user: str,
    item: str,
    text: str,
    store: StorePath = "idiolect.db",
    rating: float | None = None,
    title: str = "",
    timestamp: int | None = None,
    id: str | None = None,
    encoder: str = "minilm",
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Add one review to a store, vector and sums included: the next text written for the user knows it.

    Splits made of the store before are then refused, for they are of another state of it; adapters fitted on them go
    on writing. To measure again, split and fit again; to measure and serve from one corpus, keep a copy of the file for
    each.

    Args:
        user: Who wrote it.
        item: What about; a new item is made of its id alone.
        text: What they wrote.
        store: SQLite file (made where absent) or database URL.
        rating: How they rated it.
        title: Its title.
        timestamp: When, in seconds since the epoch; now where not given.
        id: The review's own, so that adding it again changes nothing; made of what it says and when where not given.
        encoder: Whose vectors the store holds.
        pseudonyms: File of the key, where the store knows users by pseudonyms; made for a new store.
        json: Print one JSON object.
    """
    review = add_review(
        store, user=user, item=item, text=text, rating=rating, title=title, timestamp=timestamp, id=id,
        encoder=encoder, pseudonyms=pseudonyms,
    )  # fmt: skip
    show({"review": review.id, "user": user, "item": item}, f"added review {review.id}", as_json=json)
