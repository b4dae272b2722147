"""What is claimed of several users in a few words, within a limit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idiolect.explain.card import ExplainConfig, MeasuredTexts, find_differences, gather, measurable
from idiolect.explain.wording import phrase
from idiolect.store.base import ReviewReader
from idiolect.types import UserId


@dataclass(frozen=True, slots=True)
class BriefClaim:
    """A measured claim without its figures."""

    measure: str
    phrase: str


def brief_claims(
    reader: ReviewReader, users: Sequence[UserId], config: ExplainConfig, *, most_texts: int
) -> dict[UserId, tuple[BriefClaim, ...]]:
    """The claims of each user, the strongest first; none for a user of whom nothing is claimed.

    Args:
        reader: The visible reviews.
        users: Ids of users with reviews.
        config: Significance and size of a claim.
        most_texts: Distinct texts that are measured for all of them; what several users need is measured once.
            Users who would need more are left out.

    Raises:
        NotFoundError: A user has no review.
    """
    found: dict[UserId, tuple[BriefClaim, ...]] = {}
    measured: set[str] = set()
    for user in users:
        compared = measurable(gather(reader, user, config), config)
        needed = measured.union(compared.texts)
        if len(needed) > most_texts:
            continue
        measured = needed
        claims = find_differences(compared, MeasuredTexts(compared.texts), config).claims
        found[user] = tuple(BriefClaim(one.measure.name, phrase(one.measure, one.direction, one.own)) for one in claims)
    return found
