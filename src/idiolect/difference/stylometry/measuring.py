"""Texts to numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import polars as pl

from idiolect.difference.stylometry.base import Measure, Unit
from idiolect.difference.stylometry.counts import count
from idiolect.difference.stylometry.table import MEASURES, N_MEASURES
from idiolect.errors import InputError

_CHUNK = 1 << 15
"""Texts worked on at once."""

_PER: Mapping[Unit, tuple[float, str]] = {
    "per 100 words": (100.0, "words"),
    "% of words": (100.0, "words"),
    "letters per word": (1.0, "words"),
    "% of sentences": (100.0, "sentences"),
    "words per sentence": (1.0, "sentences"),
    "per sentence": (1.0, "sentences"),
}
"""Factor and denominator; a count in any other unit stands as it is."""


def measure(texts: Sequence[str]) -> np.ndarray:
    """Every measure of every text.

    All values are finite. A text without a letter or digit has 0 everywhere; beyond that a measure depends on its own
    text alone, so texts may be measured in any portions.

    Args:
        texts: English, as their users wrote them: line breaks, capitals and marks count.

    Returns:
        float64 (len(texts), n_measures), columns in the order of ``MEASURES``.

    Raises:
        InputError: A single text was given for a list.
    """
    if isinstance(texts, str):
        raise InputError("measure takes a list of texts, not one text", hint="put the text into a list")
    values = np.zeros((len(texts), N_MEASURES))
    for start in range(0, len(texts), _CHUNK):
        chunk = count(texts[start : start + _CHUNK])
        values[start : start + len(chunk)] = chunk.select(*_values()).to_numpy()
    return values


@cache
def _values() -> tuple[pl.Expr, ...]:
    return tuple(map(_value, MEASURES))


def _value(of: Measure) -> pl.Expr:
    factor, denominator = _PER.get(of.unit, (1.0, ""))
    value = pl.col(of.name) * factor
    value = value / pl.col(denominator).clip(1.0) if denominator else value
    # Marks alone are no text; a rate of them per word would have no meaning.
    return pl.when(pl.col("words") > 0).then(value).otherwise(0.0).alias(of.name)
