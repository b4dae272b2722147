"""The roles that published sets give to their reviews: what is trained, validated and tested on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from idiolect.data.formats import TARGET
from idiolect.data.parts import Part, Parts
from idiolect.data.readers import open_reviews
from idiolect.data.rejects import UnusableRow
from idiolect.errors import InputError
from idiolect.types import ReviewId

PublishedRole = Literal["train", "validation", "test"]
_ROLE_WORDS: Mapping[str, PublishedRole] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
"""What published sets call their splits."""


def role_of(part: Part) -> PublishedRole | None:
    """The role of a part's targets, by its name (``Books/val-0.parquet``, ``dev_questions.json``); None: unknown."""
    for name in reversed(part.path_parts[-2:]):
        for word in re.split(r"[^a-z]+", name.lower()):
            if word in _ROLE_WORDS:
                return _ROLE_WORDS[word]
    return None


MemberRole = Literal["profile", "train", "validation", "test"]
"""Roles of a review, in the order in which a later role replaces an earlier one."""
_RANK: Mapping[MemberRole, int] = {"profile": 0, "train": 1, "validation": 2, "test": 3}


def published_roles(
    where: Path | str | Parts, *, category: str = "", pseudonym: Callable[[str], str] | None = None
) -> dict[ReviewId, MemberRole]:
    """The role of every review in a published data set that says what is trained, validated and tested on.

    The target of a row in a part called ``train``, ``val`` (``dev``) or ``test`` has that role; what only stands in
    profiles is profile. A review that is the target of two roles has the later one.

    Args:
        where: DPL-main, LongLaMP or LaMP, as ``open_reviews`` takes it.
        category: As when the set was ingested.
        pseudonym: As when the set was ingested.

    Raises:
        InputError: It cannot be read, or says of no review what it is for.
    """
    roles: dict[ReviewId, MemberRole] = {}
    file = open_reviews(where, category=category, pseudonym=pseudonym)
    for part in file.parts:
        role = role_of(part.part)
        if part.unnest is None or role is None:
            continue
        for place, row in enumerate(part.rows()):
            with suppress(UnusableRow):
                found = part.record(row, place).id
                own: MemberRole = role if isinstance(row.cells, dict) and row.cells.get(TARGET) else "profile"
                roles[found] = max(own, roles.get(found, own), key=_RANK.__getitem__)
    if all(role == "profile" for role in roles.values()):
        raise InputError(
            f"{str(where)!r} does not say which reviews are train, validation and test targets",
            hint="name DPL-main, LongLaMP or LaMP with files called train, val (dev) and test",
        )
    return roles
