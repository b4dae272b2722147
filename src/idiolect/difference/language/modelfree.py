"""Differences without any model: what stylometry is sure of, as the records that an extractor would write.

A baseline that is honest about itself: it knows nothing but marks, closed-class words and layout, and it names a
difference only where the interval leaves 0 out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from statistics import NormalDist

import numpy as np

from idiolect.difference.language.feature import Comparison, Feature
from idiolect.difference.language.measured import MeasuredTexts, gap, measured_on
from idiolect.difference.language.taxonomy import CATEGORIES, Category, Key, by_sign
from idiolect.difference.language.verbalise import LEAD
from idiolect.difference.stylometry import MEASURES, Departures, Measure, Pairs, spread
from idiolect.difference.stylometry.student import half_width
from idiolect.errors import InputError

POOLED = ""
"""Comparison of a feature that was measured over all of a user's comparisons together."""

EXTRACTION_LEVEL = 0.9
"""Coverage of the intervals. In sandbox worlds, with eight items, twice as much is found as at 0.95, and 93 % of it has
the planted sign instead of 95 %."""

_ATTRIBUTES = {"length": "semantics/info-density", "information": None, "repetition": None}
"""Measures that claim another attribute than their own: few words say little, but small words say no less."""


def extract_measured(
    comparisons: Sequence[Comparison],
    texts: MeasuredTexts,
    *,
    categories: Collection[Category] = CATEGORIES,
    level: float = EXTRACTION_LEVEL,
) -> list[Feature]:
    """Where a user surely departs from others: in each comparison, then over all of them, the strongest first.

    What is found over all of them has the comparison ``POOLED``; its intervals are over items (see
    ``stylometry.compare``), so it needs two, and it is far surer than any single comparison.

    Args:
        comparisons: One user's, each with others' texts about the same item; without any it does not count.
        texts: Holds all of these texts.
        categories: Of what is looked for.
        level: Coverage of the intervals.
    """
    counted = [one for one in comparisons if one.peers]
    found = [feature for one in counted for feature in _single(one, texts, categories, level)]
    return [*found, *_pooled(counted, texts, categories, level)] if counted else []


class Norms:
    """How people write on the whole, whatever it is about: what a history alone can be compared with.

    The difference to it is the user's and their items' together, which is what a profile from history confounds.

    Args:
        texts: Reviews of many users.

    Raises:
        InputError: There are fewer than two.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        crowd = list(dict.fromkeys(texts))
        if len(crowd) < 2:
            raise InputError(f"{len(crowd)} texts say nothing of how people write", hint="give some hundred")
        values = MeasuredTexts(crowd)[crowd]
        self.mean = values.mean(axis=0)
        self.spread = spread(values, np.zeros(len(values), dtype=np.int64))

    def departures(
        self, own: Sequence[str], *, categories: Collection[Category] = CATEGORIES, level: float = EXTRACTION_LEVEL
    ) -> list[Feature]:
        """Where a user's texts surely depart from the norm, the strongest first; none below two texts."""
        values = MeasuredTexts(own)[own]
        return _departed(values - self.mean, self.spread, f"{len(own)} past reviews", categories, level)


def _single(
    comparison: Comparison, texts: MeasuredTexts, categories: Collection[Category], level: float
) -> list[Feature]:
    found = gap(texts[[comparison.target]][0], texts[comparison.peers], level=level)
    strength = np.divide(found.difference, found.spread, out=np.zeros_like(found.spread), where=found.spread > 0)
    detail = f"against {len(comparison.peers)} others"
    # One text without a thing that texts rarely have tells nothing, however sure the others' mean is.
    reach = np.maximum(found.reach, found.spread)
    return _features(found.difference, reach, strength, comparison.id, detail, categories)


def _pooled(
    comparisons: Sequence[Comparison], texts: MeasuredTexts, categories: Collection[Category], level: float
) -> list[Feature]:
    own = texts[[one.target for one in comparisons]]
    peers = [texts[one.peers] for one in comparisons]
    items = np.repeat(np.arange(len(peers)), [len(values) for values in peers])
    spreads = spread(np.vstack([own, *peers]), np.concatenate([np.arange(len(own)), items]))
    difference = own - np.stack([values.mean(axis=0) for values in peers])
    return _departed(difference, spreads, f"{len(own)} items", categories, level)


def _departed(
    difference: np.ndarray, spreads: np.ndarray, over: str, categories: Collection[Category], level: float
) -> list[Feature]:
    """Features of one user's differences (n, n_measures), one row an item."""
    n = np.arange(len(difference))
    pairs = Pairs(users=np.zeros_like(n), items=n, difference=difference, n_peers=np.ones_like(n))
    found = Departures.of(pairs, np.zeros(1, dtype=np.int64), spreads)
    # Who never does a thing varies in nothing, and whoever does it rarely will not have done it in eight texts either:
    # what counts as luck is at least what it would be for anybody.
    luck = spreads / np.sqrt(max(len(difference), 1)) * NormalDist().inv_cdf((1 + level) / 2)
    reach = np.maximum(found.standard_error[0] * half_width(found.n_items, level)[0], luck)
    return _features(found.difference[0], reach, found.effects()[0], POOLED, f"over {over}", categories)


def _features(
    difference: np.ndarray,
    reach: np.ndarray,
    strength: np.ndarray,
    comparison: str,
    detail: str,
    categories: Collection[Category],
) -> list[Feature]:
    """A feature for every measure that is surely apart, the strongest first, each attribute in one direction, once."""
    order = np.argsort(-np.abs(strength), kind="stable")
    sure = [
        int(k) for k in order if strength[k] and abs(difference[k]) > reach[k] and MEASURES[k].category in categories
    ]
    found: dict[Key | str, Feature] = {}
    for k in sure:
        key = _key(MEASURES[k], difference[k])
        if key is not None and any(isinstance(other, Key) and key.excludes(other) for other in found):
            continue  # the stronger measure of the attribute has said the opposite
        evidence = f"{strength[k]:+.2f} spreads {detail}"
        one = _feature(MEASURES[k], key, float(difference[k]), float(reach[k]), comparison, evidence)
        found.setdefault(key or MEASURES[k].name, one)
    return list(found.values())


def _feature(of: Measure, key: Key | None, difference: float, reach: float, comparison: str, detail: str) -> Feature:
    return Feature(
        name=of.name,
        definition=f"measured, {of.unit}",
        description=f"{LEAD} {of.more if difference > 0 else of.less}.",
        category=of.category,
        attribute=key.attribute if key else None,
        direction=key.direction if key else None,
        stated=key is not None,
        comparison=comparison,
        measured=measured_on(key.attribute if key else of.name, difference, reach),
        status="kept",
        detail=detail,
    )


def _key(of: Measure, difference: float) -> Key | None:
    attribute = _ATTRIBUTES.get(of.name, of.attribute)
    return None if attribute is None else by_sign(attribute, 1 if difference > 0 else -1)
