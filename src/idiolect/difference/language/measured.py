"""What stylometry says of one comparison: how far the user's text lies from the others', and how sure that is.

The interval is over the others who wrote about the same item: Student's t for the mean of their values, their spread
taken with the user's text among them. A trait that nobody else shows has no spread of its own; counted so, at least
four others are needed before anything is sure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from idiolect.difference.language.feature import Comparison, Measured
from idiolect.difference.stylometry import MEASURES, N_MEASURES, measure
from idiolect.difference.stylometry.departure import LEVEL
from idiolect.difference.stylometry.student import half_width

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

    Below two others there is no interval, so nothing is measured.

    Args:
        comparisons: The texts; with all the others who wrote about the item where they are known, for few tell little.
        level: Coverage of the intervals.
        attributes: Those that are asked about; None: every one.
    """
    speaking = [(k, attribute) for k, attribute in _SPEAKING if attributes is None or attribute in attributes]
    texts = MeasuredTexts(text for one in comparisons for text in (one.target, *one.peers))
    found: list[tuple[Measured, ...]] = [()] * len(comparisons)
    for n in sorted({len(one.peers) for one in comparisons} - {0, 1}):
        places = [place for place, one in enumerate(comparisons) if len(one.peers) == n]
        own = texts[[comparisons[place].target for place in places]]
        others = texts[[peer for place in places for peer in comparisons[place].peers]]
        gaps = gap(own, others.reshape(len(places), n, N_MEASURES), level=level)
        for place, difference, reach in zip(places, gaps.difference.tolist(), gaps.reach.tolist(), strict=True):
            found[place] = tuple(measured_on(attribute, difference[k], reach[k]) for k, attribute in speaking)
    return found


def measured_on(attribute: str, difference: float, reach: float) -> Measured:
    """A record of a difference and its interval."""
    low, high = float(difference - reach), float(difference + reach)
    return Measured(attribute=attribute, difference=float(difference), low=low, high=high)
