"""Sentences of the user's own in which a claimed difference shows, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from idiolect.difference.stylometry import NAMES, measure
from idiolect.difference.stylometry.patterns import LIST_LINE
from idiolect.difference.stylometry.sentences import split
from idiolect.experiments.explain.claims import Claim
from idiolect.types import ItemId, Review, ReviewId

LONGEST = 240
"""Characters of a quote at most; a longer sentence is not quoted, for a cut could take away what it shows."""
LEAST_WORDS = 4
"""Shorter sentences are quoted last: one mark in two words is a high rate and shows little."""

_WHOLE = frozenset({"length", "sentence_variety", "word_variety", "repetition", "paragraphs"})
"""Shown by no single sentence."""
_LOW_SHOWS = frozenset({"sentence_length", "word_length", "information", "tone", "british_spelling"})
"""Measures whose low end can be quoted; of the others a sentence cannot show what is not there."""
_OF_LISTS = frozenset({"list_lines"})
"""What shows in points of a list; anything else is quoted from sentences."""
_JUDGED_BY = {"verdict_first": "judging_words"}
"""What shows in a sentence where the measure is of a whole text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Words of the user's own."""

    text: str
    review: ReviewId
    item: ItemId


class Sentences:
    """The sentences of a user's reviews, measured once.

    Args:
        reviews: The user's own.
    """

    def __init__(self, reviews: Sequence[Review]) -> None:
        self._reviews = reviews
        frame = _sentences([review.text for review in reviews])
        literal = [
            sentence in reviews[row].text
            for row, sentence in zip(frame["row"].to_list(), frame["sentence"].to_list(), strict=True)
        ]
        frame = frame.filter(pl.Series(literal, dtype=pl.Boolean))
        self._texts: list[str] = frame["sentence"].to_list()
        self._rows = frame["row"].to_numpy()
        self._first, self._last = frame["first"].to_numpy(), frame["last"].to_numpy()
        self._words = np.array([len(text.split()) for text in self._texts], dtype=np.int64)
        self._quotable = np.array([len(text) <= LONGEST for text in self._texts], dtype=bool)
        self._listed = np.array([re.match(LIST_LINE, text) is not None for text in self._texts], dtype=bool)
        self._values = measure(self._texts)

    def showing(self, claim: Claim, k: int) -> tuple[Evidence, ...]:
        """At most ``k`` sentences that show a claim, best first, of as many reviews; none where none can."""
        name = claim.measure.name
        if name in _WHOLE or (claim.direction == "less" and name not in _LOW_SHOWS | _JUDGED_BY.keys()):
            return ()
        values = self._values[:, NAMES.index(_JUDGED_BY.get(name, name))]
        fits = self._quotable & self._place(claim) & self._shows(claim, values)
        fits &= np.full(len(fits), name in _OF_LISTS) | ~self._listed
        towards = values if name in _JUDGED_BY else claim.sign * values
        order = np.lexsort((self._words, -towards, self._words < LEAST_WORDS))
        best: dict[int, int] = {}
        for place in order:
            if fits[place] and len(best) < k:
                best.setdefault(int(self._rows[place]), int(place))
        return tuple(self._evidence(place) for place in best.values())

    def _place(self, claim: Claim) -> np.ndarray:
        """Where in a text the claim can show."""
        if claim.measure.name == "verdict_first":
            return self._first if claim.direction == "more" else self._last
        return self._last if claim.measure.name == "sign_offs" else np.ones(len(self._texts), dtype=bool)

    @staticmethod
    def _shows(claim: Claim, values: np.ndarray) -> np.ndarray:
        if claim.measure.name in _JUDGED_BY:
            return values > 0
        beyond = claim.sign * (values - claim.others) > 0
        if claim.direction == "more" or claim.measure.name in ("tone", "british_spelling"):
            return beyond & (claim.sign * values > 0)
        return beyond

    def _evidence(self, place: int) -> Evidence:
        review = self._reviews[self._rows[place]]
        return Evidence(text=self._texts[place], review=review.id, item=review.item)


def _sentences(texts: Sequence[str]) -> pl.DataFrame:
    """``row``, ``sentence`` and whether it is the text's ``first`` or ``last``."""
    lines = pl.col("text").str.replace_all(r"(?i)<br\s*/?>", "\n")
    return (
        pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        .with_row_index("row")
        .select("row", split(lines).alias("sentence"))
        .explode("sentence", empty_as_null=True, keep_nulls=True)
        .with_columns(pl.col("sentence").str.strip_chars())
        .filter(pl.col("sentence").str.contains(r"[\p{L}\p{N}]"))
        .with_columns(
            first=pl.col("row") != pl.col("row").shift(1).fill_null(len(texts)),
            last=pl.col("row") != pl.col("row").shift(-1).fill_null(len(texts)),
        )
    )
