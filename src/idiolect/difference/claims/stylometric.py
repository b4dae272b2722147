"""The stylometric extractor, and measurements that check claims of a language model.

One comparison (``gap``): the user's text against the others' of the same item, with a Student's t interval over the
others. The standard deviation includes the user's text, because a trait that no other text shows has none otherwise;
so at least four others are needed for a significant difference.

All comparisons of a user (``extract_measured``): a baseline without a language model. It knows only punctuation,
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
from idiolect.difference.stylometry import MEASURES, N_MEASURES, Measure, measure, within_item_sd
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.permutation import find_significant, permutation_test
from idiolect.difference.stylometry.style_difference import LEVEL, half_width
from idiolect.errors import InputError

CHECKS: Mapping[str, str | None] = MappingProxyType(
    {"length": "semantics/info-density", "repetition": None, "sentence_variety": None}
)
"""Measures that check another attribute than their own.

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
    sd: np.ndarray
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
    sd = np.concatenate([own[..., None, :], others], axis=-2).std(axis=-2, ddof=1)
    width = float(half_width(np.array(n), level))
    reach = width * sd / np.sqrt(n) if n > 1 else np.full(own.shape, np.inf)
    return Gap(own - others.mean(axis=-2), reach, sd)


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
"""False discovery rate. In sandbox worlds with eight items 96 % of the findings on measures of planted traits have the
planted sign; where users are alike, one user in eight gets a finding."""

MIN_EFFECT = 0.2
"""Smallest effect reported, in standard deviations of reviews of one item; Cohen calls 0.2 small."""

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
    """Significant differences of a user over all comparisons, and each comparison that shows them.

    What is found over all of them has the comparison ``POOLED`` and stands last, the strongest first: the user's texts
    against texts drawn at random from the same items (see ``stylometry.null``). One text against a few others is too
    little to find anything in, so a comparison only shows what all of them together have found.

    Args:
        comparisons: One user's, each with others' texts about the same item; without any it does not count.
        texts: Holds all of these texts.
        categories: Of what is looked for.
        fdr_level: Highest expected share of false findings.
    """
    counted = [one for one in comparisons if one.peers]
    if not counted:
        return []
    own, peers = texts[[one.target for one in counted]], [texts[one.peers] for one in counted]
    items = np.repeat(np.arange(len(peers)), [len(values) for values in peers])
    sd = within_item_sd(np.vstack([own, *peers]), np.concatenate([np.arange(len(own)), items]))
    found = _significant_measures(own, peers, sd, categories, fdr_level)
    apart = own - np.stack([values.mean(axis=0) for values in peers])
    return [
        *(feature for one, row in zip(counted, apart, strict=True) for feature in _shown(found, one, row, sd)),
        *(_feature(measure_found, POOLED, f"over {len(own)} items") for measure_found in found),
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
        self.sd = within_item_sd(self.values, np.zeros(len(crowd), dtype=np.int64))

    def differences(
        self, own: Sequence[str], *, categories: Collection[Category] = CATEGORIES, fdr_level: float = FDR_LEVEL
    ) -> list[Feature]:
        """A user's significant differences from the norm, the strongest first; none if there are too few texts.

        Texts that are not English are left out.
        """
        own = [text for text, english in zip(own, are_english(own, [0] * len(own)), strict=True) if english]
        values = MeasuredTexts(own)[own]
        found = _significant_measures(values, [self.values] * len(own), self.sd, categories, fdr_level)
        return [_feature(measure_found, POOLED, f"over {len(own)} past reviews") for measure_found in found]


class _SignificantMeasure(NamedTuple):
    """A measure on which a user differs significantly."""

    place: int
    """In ``MEASURES``."""
    key: Key | None
    measured: Measured
    effect: float
    """In SD."""


def _significant_measures(
    own: np.ndarray,
    peers: Sequence[np.ndarray],
    sd: np.ndarray,
    categories: Collection[Category],
    fdr_level: float,
) -> list[_SignificantMeasure]:
    """Significant differences of at least ``MIN_EFFECT``, strongest first, one direction per attribute."""
    null = permutation_test(own, peers, np.random.default_rng(0), draws=_DRAWS)
    tested = find_significant(null, sd, fdr_level=fdr_level)
    found: dict[Key | int, _SignificantMeasure] = {}
    for place in map(int, np.argsort(-np.abs(tested.effect), kind="stable")):
        of, effect = MEASURES[place], float(tested.effect[place])
        if not tested.significant[place] or abs(effect) < MIN_EFFECT or of.category not in categories:
            continue
        key = _key(of, effect)
        if key is not None and any(isinstance(other, Key) and key.excludes(other) for other in found):
            continue  # the stronger measure of the attribute has said the opposite
        low, high = (float(end[place] * sd[place]) for end in (tested.low, tested.high))
        attribute = key.attribute if key else of.name
        measured = Measured(attribute=attribute, difference=float(null.observed[place]), low=low, high=high)
        found.setdefault(key or place, _SignificantMeasure(place, key, measured, effect))
    return list(found.values())


def _shown(found: Iterable[_SignificantMeasure], one: Comparison, apart: np.ndarray, sd: np.ndarray) -> list[Feature]:
    """The part of ``found`` that one comparison shows: more than one standard deviation on the same side."""
    return [
        _feature(
            measure_found._replace(
                measured=measured_on(measure_found.measured.attribute, apart[place], sd[place]),
                effect=float(apart[place] / sd[place]),
            ),
            one.id,
            f"against {len(one.peers)} others",
        )
        for measure_found in found
        if np.sign(measure_found.effect) * apart[place := measure_found.place] > sd[place]
    ]


def _feature(measure_found: _SignificantMeasure, comparison: str, over: str) -> Feature:
    of, key = MEASURES[measure_found.place], measure_found.key
    return Feature(
        name=of.name,
        definition=f"measured, {of.unit}",
        description=f"{LEAD} {of.more if measure_found.effect > 0 else of.less}.",
        category=of.category,
        attribute=key.attribute if key else None,
        direction=key.direction if key else None,
        stated=key is not None,
        comparison=comparison,
        measured=measure_found.measured,
        status="kept",
        detail=f"{measure_found.effect:+.2f} SD {over}",
    )


def _key(of: Measure, difference: float) -> Key | None:
    attribute = _ATTRIBUTES.get(of.name, of.attribute)
    return None if attribute is None else by_sign(attribute, 1 if difference > 0 else -1)
