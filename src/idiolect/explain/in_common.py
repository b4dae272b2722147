"""What two users have in common, and where they are opposite: by their own measured differences.

Similar vectors alone do not say on which measures two users are alike: a vector has length one, so that its coordinates
depend on each other. Therefore a measure is named only if it is claimed of one of the two and seen in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry import Measure
from idiolect.difference.stylometry.equal_lengths import COMPARED
from idiolect.explain.card import UserDifferences
from idiolect.explain.wording import phrase

MIN_EFFECT = 0.2
"""Of both users, for a measure to be named; as for a claim (``ExplainConfig.min_effect``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedEffect:
    """Two users' effects on one measure, in standard deviations of reviews of one item."""

    measure: Measure
    own: float
    other: float
    own_phrase: str
    other_phrase: str
    own_claimed: bool
    other_claimed: bool


def in_common(own: UserDifferences, other: UserDifferences, k: int = 3) -> tuple[PairedEffect, ...]:
    """Measures on which both differ from others in the same direction, claimed of both first, then the largest first.

    Args:
        own: A user.
        other: Another.
        k: Most measures.
    """
    return _pairs(own, other, k, lambda a, b: a * b > 0)


def opposite(own: UserDifferences, other: UserDifferences, k: int = 1) -> tuple[PairedEffect, ...]:
    """Measures on which the two differ from others in opposite directions; see ``in_common``."""
    return _pairs(own, other, k, lambda a, b: a * b < 0)


def _pairs(
    own: UserDifferences, other: UserDifferences, k: int, fits: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[PairedEffect, ...]:
    a, b = own.effect, other.effect
    least = np.minimum(np.abs(a), np.abs(b))
    seen = fits(a, b) & (own.claimed | other.claimed) & (least >= MIN_EFFECT)
    order = np.lexsort((-least, ~(own.claimed & other.claimed)))
    return tuple(_pair(own, other, int(place)) for place in order[seen[order]][:k])


def _pair(own: UserDifferences, other: UserDifferences, place: int) -> PairedEffect:
    of = COMPARED[place]

    def said(one: UserDifferences) -> str:
        return phrase(of, "more" if one.effect[place] > 0 else "less", float(one.own[place]))

    return PairedEffect(
        measure=of,
        own=float(own.effect[place]),
        other=float(other.effect[place]),
        own_phrase=said(own),
        other_phrase=said(other),
        own_claimed=bool(own.claimed[place]),
        other_claimed=bool(other.claimed[place]),
    )
