"""Claims of one comparison against each other: each property once, and in one direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from idiolect.difference.language.feature import Feature, Reason


class _Weight(NamedTuple):
    """How well a feature is evidenced; compares in this order."""

    confirmed: bool
    leans: bool
    """Something was measured, and on the claimed side, however unsurely."""
    quotes: int


def resolve(features: Sequence[Feature]) -> list[Feature]:
    """The features of one comparison without repetitions and contradictions, in order.

    Of several features with one key the best evidenced stays and takes over the others' quotes; of opposite directions
    the better evidenced stays, and neither where they are evidenced alike.
    """
    result = list(features)
    for places in _groups(features, lambda feature: (feature.attribute, feature.direction)):
        first, *others = sorted(places, key=lambda place: _weight(result[place]), reverse=True)
        if others:
            quotes = dict.fromkeys(quote for place in [first, *others] for quote in result[place].quotes)
            result[first] = replace(result[first], quotes=tuple(quotes))
            _drop(result, others, "duplicate")
    for places in _groups(result, lambda feature: feature.attribute):
        first, *others = sorted(places, key=lambda place: _weight(result[place]), reverse=True)
        tied = bool(others) and _weight(result[others[0]]) == _weight(result[first])
        _drop(result, [first, *others] if tied else others, "inconsistent")
    return result


def _groups(features: Iterable[Feature], of: Callable[[Feature], object]) -> list[list[int]]:
    """Places of the valid features of the taxonomy that share a property."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for place, feature in enumerate(features):
        if feature.valid and feature.key is not None:
            groups[of(feature)].append(place)
    return list(groups.values())


def _weight(feature: Feature) -> _Weight:
    leaning = feature.key.sign * feature.measured.difference > 0 if feature.key and feature.measured else False
    own = sum(quote.side == "target" for quote in feature.quotes)
    return _Weight(feature.status == "kept", leaning, own)


def _drop(features: list[Feature], places: Iterable[int], reason: Reason) -> None:
    for place in places:
        features[place] = replace(features[place], status="dropped", reason=reason)
