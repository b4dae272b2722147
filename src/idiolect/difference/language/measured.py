"""What stylometry says of one comparison: how far the user's text lies from the others', and how sure that is.

The interval is over the others who wrote about the same item: Student's t for the mean of their values, their spread
taken with the user's text among them. A trait that nobody else shows has no spread of its own; counted so, at least
four others are needed before anything is sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


class Gap(NamedTuple):
    """One text against the others on every measure, in the measures' units."""

    difference: np.ndarray
    """float64 (n_measures,): own minus the others' mean; 0 without others."""
    reach: np.ndarray
    """float64 (n_measures,): how far the interval goes to either side; infinite below two others."""
    spread: np.ndarray
    """float64 (n_measures,): standard deviation of all the texts; 0 below two."""


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
    """One text's values (n_measures,) against the others' (n, n_measures).

    Args:
        own: Of the user's text.
        others: Of the others'.
        level: Coverage of the intervals, one measure at a time.
    """
    n = len(others)
    if n == 0:
        nothing = np.zeros(len(own))
        return Gap(nothing, np.full(len(own), np.inf), nothing)
    spread = np.vstack([own, others]).std(axis=0, ddof=1)
    width = float(half_width(np.array(n), level))
    reach = width * spread / np.sqrt(n) if n > 1 else np.full(len(own), np.inf)
    return Gap(own - others.mean(axis=0), reach, spread)


def measure_comparisons(comparisons: Sequence[Comparison], *, level: float = LEVEL) -> list[tuple[Measured, ...]]:
    """What is measured on the texts of every comparison, an entry a measure that speaks of an attribute.

    Below two others there is no interval, so nothing is measured.

    Args:
        comparisons: The texts; with all the others who wrote about the item where they are known, for few tell little.
        level: Coverage of the intervals.
    """
    texts = MeasuredTexts(text for one in comparisons for text in (one.target, *one.peers))
    return [_measured(gap(texts[[one.target]][0], texts[one.peers], level=level)) for one in comparisons]


def _measured(found: Gap) -> tuple[Measured, ...]:
    return tuple(
        measured_on(attribute, difference, reach)
        for of, difference, reach in zip(MEASURES, found.difference, found.reach, strict=True)
        if (attribute := CHECKS.get(of.name, of.attribute)) is not None and np.isfinite(reach)
    )


def measured_on(attribute: str, difference: float, reach: float) -> Measured:
    """A record of a difference and its interval."""
    low, high = float(difference - reach), float(difference + reach)
    return Measured(attribute=attribute, difference=float(difference), low=low, high=high)
