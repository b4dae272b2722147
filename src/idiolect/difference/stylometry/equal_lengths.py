"""Variety and repetition of words over equal numbers of words: a moving window in place of a whole text.

Guiraud's R and the share of repeated words grow with a text's length: those of the halves of a text are lower than
those of the text. Where texts of different lengths are compared, their values are those of a window of a fixed number
of words, averaged over all places (moving-average type-token ratio: Covington and McFall 2010). The 51 measures
themselves, and with them the vectors of the ``style`` encoder, are those of whole texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import polars as pl

from idiolect.difference.stylometry.measures import MEASURES, NAMES, Measure, plain
from idiolect.difference.stylometry.patterns import LONG_WORD, WORD

WORDS, LONG_WORDS = 50, 20
"""Words and long words of a window: about as much text, and less than most reviews have."""

EQUAL: Mapping[str, Measure] = MappingProxyType(
    {
        "word_variety": replace(MEASURES[NAMES.index("word_variety")], unit="% different of 50 words"),
        "repetition": replace(MEASURES[NAMES.index("repetition")], unit="% repeated of 20 long words"),
    }
)
"""The measures as compared at equal lengths, in the order of the columns of ``equal_lengths``."""
COMPARED: tuple[Measure, ...] = tuple(EQUAL.get(of.name, of) for of in MEASURES)
"""All measures as texts of different lengths are compared by, in the order of ``MEASURES``."""
PLACES = tuple(map(NAMES.index, EQUAL))
"""Their places in ``MEASURES``."""


def equal_lengths(texts: Sequence[str]) -> np.ndarray:
    """Variety and repetition of words in windows of equal numbers of words.

    Args:
        texts: English, unchanged.

    Returns:
        float64 (len(texts), 2): mean over all windows of 50 words of the share of different words, and over all windows
        of 20 long words of the share of repeated ones, both in %. NaN where a text is shorter than a window.

    Example:
        >>> equal_lengths(["piano " * 60, "too short"]).tolist()
        [[2.0, 95.0], [nan, nan]]
    """
    lower = pl.Series(plain(texts), dtype=pl.String).str.to_lowercase().str.replace_all(r"\s+", " ")
    every, long = (lower.str.extract_all(pattern).to_list() for pattern in (WORD, LONG_WORD))
    variety = [100 * moving_ratio(words, WORDS) for words in every]
    repeated = [100 - 100 * moving_ratio(words, LONG_WORDS) for words in long]
    return np.stack([variety, repeated], axis=1) if variety else np.zeros((0, len(EQUAL)))


def moving_ratio(words: Sequence[str], window: int) -> float:
    """Moving-average type-token ratio: mean share of different words in every run of ``window`` words; NaN if none.

    Linear in the number of words: a word counts in the windows that hold it but not the same word before it.

    Example:
        >>> moving_ratio(["a", "b", "a", "a"], 2)  # 1, 1 and 0.5
        0.8333333333333334
    """
    windows = len(words) - window + 1
    if windows < 1:
        return float("nan")
    last: dict[str, int] = {}
    different = 0
    for place, word in enumerate(words):
        first = last.get(word, -1) + 1  # the first window that counts this word
        if first <= place - window:
            first = place - window + 1
        end = place if place < windows else windows - 1
        if end >= first:
            different += end - first + 1
        last[word] = place
    return different / (windows * window)
