"""The stylometric extractor, and measurements that check claims of a language model.

One comparison (``gap``): the user's text against peers' texts of the same item, with a Student's t interval over the
peers. The standard deviation includes the user's text, because a trait that no peer shows has none otherwise; so at
least four peers are needed for a significant difference.

All comparisons of a user (``extract_measured``): a baseline without a language model. It uses only punctuation,
closed-class words and layout, and reports the differences that pass a permutation test, corrected for all measures.
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
from idiolect.difference.stylometry import MEASURES, N_MEASURES, Measure, within_item_sd
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.known import known_measures
from idiolect.difference.stylometry.permutation import find_significant, permutation_test
from idiolect.difference.stylometry.style_difference import LEVEL, half_width
from idiolect.errors import InputError

CHECKS: Mapping[str, str | None] = MappingProxyType(
    {"length": "semantics/info-density", "repetition": None, "sentence_variety": None}
)
"""Measures that check another attribute than their own, or none.

"Packs in more information" means length as often as density, so both check it. Repetition makes a vocabulary neither
richer nor simpler, and varied sentence lengths make no sentence longer.
"""
_CHECKING = tuple(
    (place, attribute)
    for place, of in enumerate(MEASURES)
    if (attribute := CHECKS.get(of.name, of.attribute)) is not None
)
"""Indices of the measures that check an attribute, with that attribute."""


class Gap(NamedTuple):
    """One text against peers' texts on every measure, in the measures' units."""

    difference: np.ndarray
    """float64 (..., n_measures): own value minus the peers' mean; 0 without peers."""
    reach: np.ndarray
    """float64 (..., n_measures): half width of the interval; infinite below two peers."""
    sd: np.ndarray
    """float64 (..., n_measures): standard deviation of all the texts; 0 below two."""


class MeasuredTexts:
    """Texts with their measures; every distinct text is measured once.

    Args:
        texts: English, as their users wrote them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        self._values = known_measures(list(self._rows))

    def __getitem__(self, texts: Sequence[str]) -> np.ndarray:
        """float64 (len(texts), n_measures)."""
        return self._values[[self._rows[text] for text in texts]].reshape(len(texts), N_MEASURES)


def gap(own: np.ndarray, others: np.ndarray, *, level: float = LEVEL) -> Gap:
    """A text's values against peers' values, or those of many texts, each against as many peers.

    Args:
        own: float64 (..., n_measures): values of the user's text.
        others: float64 (..., n, n_measures): values of the peers' texts.
        level: Coverage of the interval of each measure.
    """
    n = others.shape[-2]
    if n == 0:
        nothing = np.zeros(own.shape)
        return Gap(nothing, np.full(own.shape, np.inf), nothing)
    sd = np.concatenate([own[..., None, :], others], axis=-2).std(axis=-2, ddof=1)
    width = float(half_width(np.array(n), level))
    reach = width * sd / np.sqrt(n) if n > 1 else np.full(own.shape, np.inf)
    return Gap(own - others.mean(axis=-2), reach, sd)


def measure_comparisons(
    comparisons: Sequence[Comparison], *, level: float = LEVEL, attributes: Collection[str | None] | None = None
) -> list[tuple[Measured, ...]]:
    """The measurements of every comparison, one per measure that checks an attribute.

    Below two peers there is no interval, so nothing is measured. Texts that are not English are left out (see
    ``in_english``).

    Args:
        comparisons: The texts; with all peers of the item if they are known, because few peers show little.
        level: Coverage of the intervals.
        attributes: Attributes to measure; None: all.
    """
    checking = [(k, attribute) for k, attribute in _CHECKING if attributes is None or attribute in attributes]
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
            found[place] = tuple(measured_on(attribute, difference[k], reach[k]) for k, attribute in checking)
    return found


def in_english(comparisons: Sequence[Comparison]) -> list[Comparison | None]:
    """The comparisons without peers' texts that are not English; None if the user's own text is not."""
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
"""The ``comparison`` of a feature that was measured over all of a user's comparisons."""

FDR_LEVEL = 0.2
"""False discovery rate. In sandbox worlds with eight items 96 % of the significant differences on measures of true
traits have the true sign; if users do not differ, one user in eight has a significant difference."""

MIN_EFFECT = 0.2
"""Smallest effect reported, in standard deviations of reviews of one item; Cohen calls 0.2 small."""

_DRAWS = 4000

_ATTRIBUTES = {**CHECKS, "information": None}
"""Measures that claim another attribute than their own, or none: few words say little, but small words say no less."""


def extract_measured(
    comparisons: Sequence[Comparison],
    texts: MeasuredTexts,
    *,
    categories: Collection[Category] = CATEGORIES,
) -> list[Feature]:
    """Significant differences of a user over all comparisons, and the comparisons that show them.

    Pooled features have the comparison ``POOLED`` and come last, the strongest first. They come from a permutation
    test: the user's texts against random texts of the same items (``stylometry.permutation``). One text against a few
    peers is too little for a test, so features of single comparisons only repeat significant pooled ones.

    Args:
        comparisons: Comparisons of one user; those without peers are ignored.
        texts: Holds all of these texts.
        categories: Categories of the differences.
    """
    counted = [one for one in comparisons if one.peers]
    if not counted:
        return []
    own, peers = texts[[one.target for one in counted]], [texts[one.peers] for one in counted]
    items = np.repeat(np.arange(len(peers)), [len(values) for values in peers])
    sd = within_item_sd(np.vstack([own, *peers]), np.concatenate([np.arange(len(own)), items]))
    found = _significant_measures(own, peers, sd, categories)
    apart = own - np.stack([values.mean(axis=0) for values in peers])
    return [
        *(feature for one, row in zip(counted, apart, strict=True) for feature in _shown(found, one, row, sd)),
        *(_feature(one_measure, POOLED, f"over {len(own)} items") for one_measure in found),
    ]


class Norms:
    """Average style over all items, the reference for a history without peers.

    A difference to it confounds the user with the user's items, as every profile from history does.

    Args:
        texts: Reviews of many users; those that are not English are left out.

    Raises:
        InputError: Fewer than two are in English.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(texts))
        kept = [text for text, english in zip(distinct, are_english(distinct), strict=True) if english]
        if len(kept) < 2:
            raise InputError(f"{len(kept)} texts say nothing of how people write", hint="give some hundred")
        self.values = MeasuredTexts(kept)[kept]
        self.sd = within_item_sd(self.values, np.zeros(len(kept), dtype=np.int64))

    def differences(self, own: Sequence[str], *, categories: Collection[Category] = CATEGORIES) -> list[Feature]:
        """A user's significant differences to the average, the strongest first; empty if there are too few texts.

        Texts that are not English are left out.
        """
        own = [text for text, english in zip(own, are_english(own, [0] * len(own)), strict=True) if english]
        values = MeasuredTexts(own)[own]
        found = _significant_measures(values, [self.values] * len(own), self.sd, categories)
        return [_feature(one_measure, POOLED, f"over {len(own)} past reviews") for one_measure in found]


class _SignificantMeasure(NamedTuple):
    """A measure on which a user differs significantly."""

    place: int
    """In ``MEASURES``."""
    key: Key | None
    measured: Measured
    effect: float
    """In standard deviations."""


def _significant_measures(
    own: np.ndarray,
    peers: Sequence[np.ndarray],
    sd: np.ndarray,
    categories: Collection[Category],
) -> list[_SignificantMeasure]:
    """Significant differences of at least ``MIN_EFFECT``, strongest first, one direction per attribute."""
    null = permutation_test(own, peers, np.random.default_rng(0), draws=_DRAWS)
    tested = find_significant(null, sd, fdr_level=FDR_LEVEL)
    found: dict[Key | int, _SignificantMeasure] = {}
    for place in map(int, np.argsort(-np.abs(tested.effect), kind="stable")):
        of, effect = MEASURES[place], float(tested.effect[place])
        if not tested.significant[place] or abs(effect) < MIN_EFFECT or of.category not in categories:
            continue
        key = _key(of, effect)
        if key is not None and any(isinstance(other, Key) and key.excludes(other) for other in found):
            continue  # a stronger measure of the attribute shows the opposite
        low, high = (float(end[place] * sd[place]) for end in (tested.low, tested.high))
        attribute = key.attribute if key else of.name
        measured = Measured(attribute=attribute, difference=float(null.observed[place]), low=low, high=high)
        found.setdefault(key or place, _SignificantMeasure(place, key, measured, effect))
    return list(found.values())


def _shown(found: Iterable[_SignificantMeasure], one: Comparison, apart: np.ndarray, sd: np.ndarray) -> list[Feature]:
    """The measures of ``found`` that one comparison shows: more than one standard deviation to the same side."""
    return [
        _feature(
            one_measure._replace(
                measured=measured_on(one_measure.measured.attribute, apart[place], sd[place]),
                effect=float(apart[place] / sd[place]),
            ),
            one.id,
            f"against {len(one.peers)} others",
        )
        for one_measure in found
        if np.sign(one_measure.effect) * apart[place := one_measure.place] > sd[place]
    ]


def _feature(one_measure: _SignificantMeasure, comparison: str, over: str) -> Feature:
    of, key = MEASURES[one_measure.place], one_measure.key
    return Feature(
        name=of.name,
        definition=f"measured, {of.unit}",
        description=f"{LEAD} {of.more if one_measure.effect > 0 else of.less}.",
        category=of.category,
        attribute=key.attribute if key else None,
        direction=key.direction if key else None,
        stated=key is not None,
        comparison=comparison,
        measured=one_measure.measured,
        status="kept",
        detail=f"{one_measure.effect:+.2f} SD {over}",
    )


def _key(of: Measure, difference: float) -> Key | None:
    attribute = _ATTRIBUTES.get(of.name, of.attribute)
    return None if attribute is None else by_sign(attribute, 1 if difference > 0 else -1)
