"""Make cards from a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.stylometric import MeasuredTexts
from idiolect.errors import NotFoundError
from idiolect.explain.card import ExplainConfig, UserDifferences, find_differences, gather, measurable
from idiolect.explain.layout import Card, make_card
from idiolect.explain.model_claims import read_answers
from idiolect.registry import suggest
from idiolect.store.base import Correction, ReviewReader
from idiolect.store.privacy import user_in
from idiolect.store.sql import SqlStore, said_alike
from idiolect.types import UserId

_TOGETHER = 50
"""Users whose texts are measured together."""


def explain_user(
    store: str,
    user: str,
    *,
    config: ExplainConfig | None = None,
    answers: Path | None = None,
    pseudonyms: Path | None = None,
) -> Card:
    """The card of one user of a store; with pseudonyms, the card has the pseudonym.

    Args:
        store: SQLite file or database URL.
        user: The user's id.
        config: None: the defaults.
        answers: JSON lines of an extractor's answers about the user's reviews.
        pseudonyms: Key file, if the store has pseudonyms.

    Raises:
        NotFoundError: There is no such store or user.
        ConfigError: The pseudonyms do not match the store.
        InputError: The answers cannot be read.
    """
    config = config or ExplainConfig()
    with SqlStore(store, create=False) as database:
        known = user_in(database, user, pseudonyms)
        alike = () if pseudonyms else tuple(other for other in database.alike(user) if other != known)
        if not database.profile(known):
            near = f"there is {said_alike(alike)}" if alike else suggest(user, database.users())
            raise NotFoundError(
                f"no review by user {user!r} in the store",
                hint=near if alike or near.startswith("did you mean") else "ids are those of the ingested file",
            )
        return replace(explain(database, known, config=config, answers=answers), alike=alike)


def explain(
    reader: ReviewReader,
    user: UserId,
    *,
    config: ExplainConfig | None = None,
    features: Sequence[Feature] = (),
    answers: Path | None = None,
    corrections: Sequence[Correction] | None = None,
) -> Card:
    """The card of one user.

    Args:
        reader: The visible reviews.
        user: The user's id.
        config: None: the defaults.
        features: A model's claims about the user's comparisons, validated.
        answers: A file of the model's answers.
        corrections: The user's corrections and muted claims; None: those of a live store.

    Raises:
        NotFoundError: The user has no review.
        InputError: The answers cannot be read.
    """
    config = config or ExplainConfig()
    compared = gather(reader, user, config)
    claimed = [*features, *(read_answers(answers, compared) if answers else ())]
    compared = measurable(compared, config)
    found = find_differences(compared, MeasuredTexts(compared.texts), config)
    if corrections is None:
        corrections = reader.corrections(user) if isinstance(reader, SqlStore) else ()
    return make_card(found, config, features=claimed, corrections=corrections)


def user_differences(reader: ReviewReader, user: UserId, config: ExplainConfig | None = None) -> UserDifferences:
    """The measured differences of one user on every measure, claimed or not.

    Raises:
        NotFoundError: The user has no review.
    """
    config = config or ExplainConfig()
    compared = measurable(gather(reader, user, config), config)
    return find_differences(compared, MeasuredTexts(compared.texts), config)


def find_all_differences(
    reader: ReviewReader, users: Iterable[UserId], config: ExplainConfig | None = None
) -> Iterator[UserDifferences]:
    """The measured differences of many users, in order; texts of fifty users are measured together.

    Raises:
        NotFoundError: A user has no review.
    """
    config = config or ExplainConfig()
    waiting = list(users)
    for start in range(0, len(waiting), _TOGETHER):
        compared = [measurable(gather(reader, user, config), config) for user in waiting[start : start + _TOGETHER]]
        texts = MeasuredTexts(text for one in compared for text in one.texts)
        yield from (find_differences(one, texts, config) for one in compared)
