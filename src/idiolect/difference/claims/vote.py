"""A user's comparisons against each other: a direction holds where enough of them agree (DRP's analysis script).

The rule is the script's: accepted if its side leads by ``min_support`` comparisons, or has that many while the opposite
has at most one. What is voted on are explicit directions that exclude each other, and support is a key's own.

Features in one sentence by template: compared with others, this user does A, B and C.

Only phrases of the taxonomy and of the measures are used, never a word that a model or a user wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import KEYS, Key
from idiolect.difference.stylometry import MEASURES

MIN_SUPPORT = 2
"""As in the authors' script: a difference is one that recurs."""

EXCLUDES = np.array([[key.excludes(other) for other in KEYS] for key in KEYS])
"""bool (n_keys, n_keys), symmetric: which keys cannot both hold."""

_PLACE = {key: place for place, key in enumerate(KEYS)}


class Tally(NamedTuple):
    """How the comparisons of every user voted."""

    support: np.ndarray
    """int64 (n_users, n_keys): comparisons that claim the key, and no direction that it excludes."""
    opposition: np.ndarray
    """int64 (n_users, n_keys): comparisons that claim an excluded direction."""
    accepted: np.ndarray
    """bool (n_users, n_keys)."""


def tally(claimed: np.ndarray, users: np.ndarray, n_users: int, *, min_support: int = MIN_SUPPORT) -> Tally:
    """Vote for all users at once.

    Args:
        claimed: bool (n_comparisons, n_keys) in the order of ``taxonomy.KEYS``. A comparison that claims two directions
            of one attribute counts for neither.
        users: int (n_comparisons,): the user of each, 0 to ``n_users`` - 1.
        n_users: How many users there are.
        min_support: Comparisons that are enough, at least 1.
    """
    votes = claimed & ~(claimed @ EXCLUDES)
    support = np.zeros((n_users, claimed.shape[1]), dtype=np.int64)
    np.add.at(support, users, votes)
    opposition = support @ EXCLUDES.astype(np.int64)
    enough = (support - opposition >= min_support) | ((support >= min_support) & (opposition <= 1))
    return Tally(support, opposition, enough & (support > opposition))


def vote(features: Sequence[Feature], *, min_support: int = MIN_SUPPORT) -> list[Feature]:
    """One user's features over all comparisons, in order, with support counted and the losers dropped.

    Features outside the taxonomy have no direction to vote on: those of one name support each other, and none is
    dropped.

    Args:
        features: Validated features; those already dropped do not vote and stay as they are.
        min_support: Comparisons that are enough; 1 drops only what the user's other comparisons contradict.
    """
    result = _tally_of(features, min_support)
    named = Counter(name for _, name in {(f.comparison, _name(f)) for f in features if f.valid and f.key is None})
    return [_voted(feature, result, named) if feature.valid else feature for feature in features]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A user's difference from others, with everything that speaks for it."""

    key: Key
    support: int
    """Comparisons that claim it."""
    opposition: int
    """Comparisons that claim the opposite."""
    confirmed: int
    """Comparisons in which it was measured to be so."""
    features: tuple[Feature, ...]


def differences(features: Sequence[Feature], *, min_support: int = MIN_SUPPORT) -> list[Difference]:
    """A user's accepted differences, the best supported first: lead in the vote, then confirmations.

    Args:
        features: Validated features of all the user's comparisons, voted on or not.
        min_support: As for ``vote``.
    """
    result = _tally_of(features, min_support)
    found = [_difference(KEYS[place], result, features) for place in np.flatnonzero(result.accepted[0])]
    return sorted(found, key=lambda one: (one.opposition - one.support, -one.confirmed))


def _tally_of(features: Iterable[Feature], min_support: int) -> Tally:
    voters = [(feature.comparison, feature.key) for feature in features if _votes(feature)]
    rows = {comparison: row for row, comparison in enumerate(dict.fromkeys(comparison for comparison, _ in voters))}
    claimed = np.zeros((len(rows), len(KEYS)), dtype=bool)
    for comparison, key in voters:
        if key is not None:
            claimed[rows[comparison], _PLACE[key]] = True
    return tally(claimed, np.zeros(len(rows), dtype=np.int64), 1, min_support=min_support)


def _votes(feature: Feature) -> bool:
    """What an earlier vote dropped votes again, so that voting twice changes nothing."""
    return feature.valid or feature.reason in ("unsupported", "outvoted")


def _voted(feature: Feature, result: Tally, named: Counter[str]) -> Feature:
    if feature.key is None:
        support = named[_name(feature)]
        return feature if feature.support == support else replace(feature, support=support)
    place = _PLACE[feature.key]
    support = int(result.support[0, place])
    feature = feature if feature.support == support else replace(feature, support=support)
    if result.accepted[0, place]:
        return feature
    return replace(feature, status="dropped", reason="outvoted" if result.opposition[0, place] else "unsupported")


def _difference(key: Key, result: Tally, features: Sequence[Feature]) -> Difference:
    place = _PLACE[key]
    own = tuple(feature for feature in features if feature.valid and feature.key == key)
    return Difference(
        key=key,
        support=int(result.support[0, place]),
        opposition=int(result.opposition[0, place]),
        confirmed=len({feature.comparison for feature in own if feature.status == "kept"}),
        features=own,
    )


def _name(feature: Feature) -> str:
    return " ".join(feature.name.lower().split())


LEAD = "Compared with others, this user"
NOT_DISTINGUISHABLE = f"{LEAD} is not distinguishable on these items."
"""What is said where nothing was found."""
UNKNOWN = "How this user differs from others on these items is not known."
"""What is said where nobody could look: no answer about the comparisons could be had or read."""

_MEASURES = {measure.name: measure for measure in MEASURES}


def verbalise(features: Sequence[Feature], *, k: int = 8, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """One user's valid features as a sentence.

    What was measured over all comparisons comes first, in its order; then what single comparisons claim, the best
    supported first, unless its attribute was already spoken of. What was measured in one of several comparisons is left
    out, for all of them together have the better word on it.

    Args:
        features: Of all the user's comparisons.
        k: Phrases at most.
        nothing: What is said where there is nothing to say.
    """
    valid = [feature for feature in features if feature.valid]
    pooled = [feature for feature in valid if not feature.comparison]
    spoken = {feature.attribute for feature in pooled if feature.attribute}
    claimed = [one.features[0] for one in differences(_single(valid), min_support=1) if one.key.attribute not in spoken]
    said = dict.fromkeys(one for feature in [*pooled, *claimed] if (one := phrase(feature)))
    return sentence(said, k=k, nothing=nothing)


def _single(valid: Sequence[Feature]) -> list[Feature]:
    single = [feature for feature in valid if feature.comparison]
    several = len({feature.comparison for feature in single}) > 1
    return [feature for feature in single if not (several and feature.measured and feature.name in _MEASURES)]


def sentence(phrases: Iterable[str], *, k: int = 8, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """The first ``k`` phrases that finish "Compared with others, this user" as one sentence; else ``nothing``."""
    chosen = list(phrases)[:k]
    return f"{LEAD} {'; '.join(chosen)}." if chosen else nothing


def phrase(feature: Feature) -> str | None:
    """What finishes the sentence: the measure's own words where it was measured, else its key's; None without both."""
    of = _MEASURES.get(feature.name) if feature.measured else None
    if of is not None and feature.measured is not None:
        return of.more if feature.measured.difference > 0 else of.less
    return feature.key.phrase if feature.key else None
