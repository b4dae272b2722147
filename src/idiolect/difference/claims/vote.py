"""Vote over a user's comparisons (DRP's analysis script), and accepted differences as one sentence by template.

A direction is accepted if it leads the opposite by ``min_support`` comparisons, or has that many while the opposite has
at most one. Unlike in the script, votes are for explicit directions that exclude each other. The sentence uses only
phrases of the taxonomy and of the measures, never a word that a model or a user wrote.
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
"""As in the authors' script: a difference must recur."""

EXCLUDES = np.array([[key.excludes(other) for other in KEYS] for key in KEYS])
"""bool (n_keys, n_keys), symmetric: which keys cannot both hold."""

_PLACE = {key: place for place, key in enumerate(KEYS)}


class Tally(NamedTuple):
    """Votes of every user's comparisons."""

    support: np.ndarray
    """int64 (n_users, n_keys): comparisons that claim the key and no direction that it excludes."""
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
        n_users: Number of users.
        min_support: Comparisons needed, at least 1.
    """
    votes = claimed & ~(claimed @ EXCLUDES)
    support = np.zeros((n_users, claimed.shape[1]), dtype=np.int64)
    np.add.at(support, users, votes)
    opposition = support @ EXCLUDES.astype(np.int64)
    enough = (support - opposition >= min_support) | ((support >= min_support) & (opposition <= 1))
    return Tally(support, opposition, enough & (support > opposition))


def vote(features: Sequence[Feature], *, min_support: int = MIN_SUPPORT) -> list[Feature]:
    """Count the support of one user's features and drop those that are not accepted.

    Features outside the taxonomy have no direction: those of one name support each other, and none is dropped.

    Args:
        features: Validated features of all comparisons; dropped ones do not vote and stay unchanged.
        min_support: Comparisons needed; 1 drops only features that other comparisons contradict.

    Returns:
        The features in the same order.
    """
    result = _tally_of(features, min_support)
    named = Counter(name for _, name in {(f.comparison, _name(f)) for f in features if f.valid and f.key is None})
    return [_voted(feature, result, named) if feature.valid else feature for feature in features]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An accepted difference of a user, with its evidence."""

    key: Key
    support: int
    """Comparisons that claim it."""
    opposition: int
    """Comparisons that claim the opposite."""
    confirmed: int
    """Comparisons in which measurement confirms it."""
    features: tuple[Feature, ...]


def differences(features: Sequence[Feature], *, min_support: int = MIN_SUPPORT) -> list[Difference]:
    """A user's accepted differences, sorted by lead in the vote, then by confirmations.

    Args:
        features: Validated features of all comparisons, before or after ``vote``.
        min_support: See ``vote``.
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
    """Whether a feature votes; those that an earlier vote dropped do, so that voting is idempotent."""
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
"""The sentence if there is no difference."""
PHRASES = 8
"""Most phrases of a profile by template: about as many as the summarizer's short paragraph names."""
UNKNOWN = "How this user differs from others on these items is not known."
"""The sentence if the comparisons have no readable answer."""

_MEASURES = {measure.name: measure for measure in MEASURES}


def verbalise(features: Sequence[Feature], *, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """One user's valid features as a sentence.

    Pooled measurements come first, in their order; then claims of single comparisons, the best supported first, unless
    a pooled measurement has the same attribute. Measurements of one of several comparisons are left out, because the
    pooled ones are better.

    Args:
        features: Features of all comparisons.
        nothing: The sentence if there are no phrases.
    """
    valid = [feature for feature in features if feature.valid]
    pooled = [feature for feature in valid if not feature.comparison]
    spoken = {feature.attribute for feature in pooled if feature.attribute}
    claimed = [one.features[0] for one in differences(_single(valid), min_support=1) if one.key.attribute not in spoken]
    said = dict.fromkeys(one for feature in [*pooled, *claimed] if (one := phrase(feature)))
    return sentence(said, nothing=nothing)


def _single(valid: Sequence[Feature]) -> list[Feature]:
    single = [feature for feature in valid if feature.comparison]
    several = len({feature.comparison for feature in single}) > 1
    return [feature for feature in single if not (several and feature.measured and feature.name in _MEASURES)]


def sentence(phrases: Iterable[str], *, k: int = PHRASES, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """The first ``k`` phrases that finish "Compared with others, this user" as one sentence; else ``nothing``."""
    chosen = list(phrases)[:k]
    return f"{LEAD} {'; '.join(chosen)}." if chosen else nothing


def phrase(feature: Feature) -> str | None:
    """The end of the sentence: the measure's phrase if it was measured, else the key's phrase; None without both."""
    of = _MEASURES.get(feature.name) if feature.measured else None
    if of is not None and feature.measured is not None:
        return of.more if feature.measured.difference > 0 else of.less
    return feature.key.phrase if feature.key else None
