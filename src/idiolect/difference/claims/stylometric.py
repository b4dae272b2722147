"""What stylometry says of one comparison: how far the user's text lies from the others', and how sure that is.

The interval is over the others who wrote about the same item: Student's t for the mean of their values, their spread
taken with the user's text among them. A trait that nobody else shows has no spread of its own; counted so, at least
four others are needed before anything is sure.

Differences without any model: what stylometry is sure of, as the records that an extractor would write.

A baseline that is honest about itself: it knows nothing but marks, closed-class words and layout, and it names a
difference only where luck would hardly have made it, all measures taken together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from idiolect.difference.claims.feature import Comparison, Feature, Measured
from idiolect.difference.claims.taxonomy import CATEGORIES, Category, Key, by_sign
from idiolect.difference.claims.vote import LEAD
from idiolect.difference.stylometry import MEASURES, N_MEASURES, Measure, measure, spread
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.permutation import judge, permutation_test
from idiolect.difference.stylometry.style_difference import LEVEL, half_width
from idiolect.errors import InputError

CHECKS: Mapping[str, str | None] = MappingProxyType(
    {"length": "semantics/info-density", "repetition": None, "sentence_variety": None}
)
"""Measures that are held against another attribute than their own.

People who say that somebody packs in more information mean length as often as density, so both speak of it. Returning
to a few words makes a vocabulary neither richer nor simpler, and mixing long sentences with short ones none of them
longer.
"""
_SPEAKING = tuple(
    (place, attribute)
    for place, of in enumerate(MEASURES)
    if (attribute := CHECKS.get(of.name, of.attribute)) is not None
)
"""Places of the measures that speak of an attribute, with that attribute."""


class Gap(NamedTuple):
    """One text against the others on every measure, in the measures' units."""

    difference: np.ndarray
    """float64 (..., n_measures): own minus the others' mean; 0 without others."""
    reach: np.ndarray
    """float64 (..., n_measures): how far the interval goes to either side; infinite below two others."""
    spread: np.ndarray
    """float64 (..., n_measures): standard deviation of all the texts; 0 below two."""


class MeasuredTexts:
    """Texts with their measures, each distinct one read once.

    Args:
        texts: English, as their users wrote them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        self._values = measure(list(self._rows))

    def __getitem__(self, texts: Sequence[str]) -> np.ndarray:
        """float64 (len(texts), n_measures)."""
        return self._values[[self._rows[text] for text in texts]].reshape(len(texts), N_MEASURES)


def gap(own: np.ndarray, others: np.ndarray, *, level: float = LEVEL) -> Gap:
    """A text's values against the others', or those of many texts at once, each against as many others.

    Args:
        own: float64 (..., n_measures), of the user's text.
        others: float64 (..., n, n_measures), of the others'.
        level: Coverage of the intervals, one measure at a time.
    """
    n = others.shape[-2]
    if n == 0:
        nothing = np.zeros(own.shape)
        return Gap(nothing, np.full(own.shape, np.inf), nothing)
    spread = np.concatenate([own[..., None, :], others], axis=-2).std(axis=-2, ddof=1)
    width = float(half_width(np.array(n), level))
    reach = width * spread / np.sqrt(n) if n > 1 else np.full(own.shape, np.inf)
    return Gap(own - others.mean(axis=-2), reach, spread)


def measure_comparisons(
    comparisons: Sequence[Comparison], *, level: float = LEVEL, attributes: Collection[str | None] | None = None
) -> list[tuple[Measured, ...]]:
    """What is measured on the texts of every comparison, an entry a measure that speaks of an attribute.

    Below two others there is no interval, so nothing is measured. Texts that are not English are left out (see
    ``in_english``).

    Args:
        comparisons: The texts; with all the others who wrote about the item where they are known, for few tell little.
        level: Coverage of the intervals.
        attributes: Those that are asked about; None: every one.
    """
    speaking = [(k, attribute) for k, attribute in _SPEAKING if attributes is None or attribute in attributes]
    english = in_english(comparisons)
    wanted = {place: one for place, one in enumerate(english) if one is not None}
    texts = MeasuredTexts(text for one in wanted.values() for text in (one.target, *one.peers))
    found: list[tuple[Measured, ...]] = [()] * len(comparisons)
    for n in sorted({len(one.peers) for one in wanted.values()} - {0, 1}):
        places = [place for place, one in wanted.items() if len(one.peers) == n]
        own = texts[[wanted[place].target for place in places]]
        others = texts[[peer for place in places for peer in wanted[place].peers]]
        gaps = gap(own, others.reshape(len(places), n, N_MEASURES), level=level)
        for place, difference, reach in zip(places, gaps.difference.tolist(), gaps.reach.tolist(), strict=True):
            found[place] = tuple(measured_on(attribute, difference[k], reach[k]) for k, attribute in speaking)
    return found


def in_english(comparisons: Sequence[Comparison], english: Mapping[str, bool] | None = None) -> list[Comparison | None]:
    """The comparisons without those of the others' texts that are not English; None where the user's own is not.

    Args:
        comparisons: The texts.
        english: By text whether it is; None: told from these texts alone.
    """
    if english is None:
        texts = list(dict.fromkeys(text for one in comparisons for text in (one.target, *one.peers)))
        english = dict(zip(texts, are_english(texts).tolist(), strict=True))
    return [
        replace(one, peers=tuple(peer for peer in one.peers if english[peer])) if english[one.target] else None
        for one in comparisons
    ]


def measured_on(attribute: str, difference: float, reach: float) -> Measured:
    """A record of a difference and its interval."""
    low, high = float(difference - reach), float(difference + reach)
    return Measured(attribute=attribute, difference=float(difference), low=low, high=high)


POOLED = ""
"""Comparison of a feature that was measured over all of a user's comparisons together."""

FDR_LEVEL = 0.2
"""Expected share of what is found that is luck, at most. In sandbox worlds, with eight items, of what is found on
measures of planted traits 96 % has the planted sign, and where users are alike one user in eight is told apart."""

MIN_EFFECT = 0.2
"""Smallest difference worth a word, in spreads of reviews of one item; Cohen calls 0.2 small."""

_DRAWS = 4000

_ATTRIBUTES = {**CHECKS, "information": None}
"""Measures that claim another attribute than their own: few words say little, but small words say no less."""


def extract_measured(
    comparisons: Sequence[Comparison],
    texts: MeasuredTexts,
    *,
    categories: Collection[Category] = CATEGORIES,
    fdr_level: float = FDR_LEVEL,
) -> list[Feature]:
    """Where a user surely departs from others, over all comparisons, and each comparison that shows it.

    What is found over all of them has the comparison ``POOLED`` and stands last, the strongest first: the user's texts
    against texts drawn at random from the same items (see ``stylometry.luck``). One text against a few others is too
    little to find anything in, so a comparison only shows what all of them together have found.

    Args:
        comparisons: One user's, each with others' texts about the same item; without any it does not count.
        texts: Holds all of these texts.
        categories: Of what is looked for.
        fdr_level: Expected share of what is found that is luck, at most.
    """
    counted = [one for one in comparisons if one.peers]
    if not counted:
        return []
    own, peers = texts[[one.target for one in counted]], [texts[one.peers] for one in counted]
    items = np.repeat(np.arange(len(peers)), [len(values) for values in peers])
    spreads = spread(np.vstack([own, *peers]), np.concatenate([np.arange(len(own)), items]))
    found = _departed(own, peers, spreads, categories, fdr_level)
    apart = own - np.stack([values.mean(axis=0) for values in peers])
    return [
        *(feature for one, row in zip(counted, apart, strict=True) for feature in _shown(found, one, row, spreads)),
        *(_feature(departed, POOLED, f"over {len(own)} items") for departed in found),
    ]


class Norms:
    """How people write on the whole, whatever it is about: what a history alone can be compared with.

    The difference to it is the user's and their items' together, which is what a profile from history confounds.

    Args:
        texts: Reviews of many users; those that are not English are left out.

    Raises:
        InputError: There are fewer than two in English.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(texts))
        crowd = [text for text, english in zip(distinct, are_english(distinct), strict=True) if english]
        if len(crowd) < 2:
            raise InputError(f"{len(crowd)} texts say nothing of how people write", hint="give some hundred")
        self.values = MeasuredTexts(crowd)[crowd]
        self.spread = spread(self.values, np.zeros(len(crowd), dtype=np.int64))

    def departures(
        self, own: Sequence[str], *, categories: Collection[Category] = CATEGORIES, fdr_level: float = FDR_LEVEL
    ) -> list[Feature]:
        """Where a user's texts surely depart from the norm, the strongest first; none where there are too few.

        Texts that are not English are left out.
        """
        own = [text for text, english in zip(own, are_english(own, [0] * len(own)), strict=True) if english]
        values = MeasuredTexts(own)[own]
        found = _departed(values, [self.values] * len(own), self.spread, categories, fdr_level)
        return [_feature(departed, POOLED, f"over {len(own)} past reviews") for departed in found]


class _Departed(NamedTuple):
    """A measure on which a user surely departs."""

    place: int
    """In ``MEASURES``."""
    key: Key | None
    measured: Measured
    effect: float
    """In spreads."""


def _departed(
    own: np.ndarray,
    peers: Sequence[np.ndarray],
    spreads: np.ndarray,
    categories: Collection[Category],
    fdr_level: float,
) -> list[_Departed]:
    """What is neither luck nor small, the strongest first, each attribute in one direction, once."""
    luck = permutation_test(own, peers, np.random.default_rng(0), draws=_DRAWS)
    judged = judge(luck, spreads, fdr_level=fdr_level)
    found: dict[Key | int, _Departed] = {}
    for place in map(int, np.argsort(-np.abs(judged.effect), kind="stable")):
        of, effect = MEASURES[place], float(judged.effect[place])
        if not judged.sure[place] or abs(effect) < MIN_EFFECT or of.category not in categories:
            continue
        key = _key(of, effect)
        if key is not None and any(isinstance(other, Key) and key.excludes(other) for other in found):
            continue  # the stronger measure of the attribute has said the opposite
        low, high = (float(end[place] * spreads[place]) for end in (judged.low, judged.high))
        attribute = key.attribute if key else of.name
        measured = Measured(attribute=attribute, difference=float(luck.observed[place]), low=low, high=high)
        found.setdefault(key or place, _Departed(place, key, measured, effect))
    return list(found.values())


def _shown(found: Iterable[_Departed], one: Comparison, apart: np.ndarray, spreads: np.ndarray) -> list[Feature]:
    """What of ``found`` one comparison shows: the user's text lies more than a spread on the same side."""
    return [
        _feature(
            departed._replace(
                measured=measured_on(departed.measured.attribute, apart[place], spreads[place]),
                effect=float(apart[place] / spreads[place]),
            ),
            one.id,
            f"against {len(one.peers)} others",
        )
        for departed in found
        if np.sign(departed.effect) * apart[place := departed.place] > spreads[place]
    ]


def _feature(departed: _Departed, comparison: str, over: str) -> Feature:
    of, key = MEASURES[departed.place], departed.key
    return Feature(
        name=of.name,
        definition=f"measured, {of.unit}",
        description=f"{LEAD} {of.more if departed.effect > 0 else of.less}.",
        category=of.category,
        attribute=key.attribute if key else None,
        direction=key.direction if key else None,
        stated=key is not None,
        comparison=comparison,
        measured=departed.measured,
        status="kept",
        detail=f"{departed.effect:+.2f} spreads {over}",
    )


def _key(of: Measure, difference: float) -> Key | None:
    attribute = _ATTRIBUTES.get(of.name, of.attribute)
    return None if attribute is None else by_sign(attribute, 1 if difference > 0 else -1)
