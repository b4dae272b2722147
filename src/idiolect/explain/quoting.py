"""Sentences of a user as evidence of a measured difference."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import polars as pl

from idiolect.difference.stylometry import NAMES
from idiolect.difference.stylometry.known import known_measures
from idiolect.difference.stylometry.measures import plain, split
from idiolect.difference.stylometry.patterns import LIST_LINE
from idiolect.explain.card import Claim
from idiolect.types import ItemId, Review, ReviewId

LONGEST = 240
"""Longest quote, in characters; longer sentences are not quoted, because a cut could remove the evidence."""
LEAST_WORDS = 4
"""Shorter sentences are quoted last: one mark in two words is a high rate but weak evidence."""

_WHOLE = frozenset({"length", "sentence_variety", "word_variety", "repetition", "paragraphs"})
"""Measures that no single sentence shows."""
_LOW_SHOWS = frozenset({"sentence_length", "word_length", "information", "tone", "british_spelling"})
"""Measures whose low values a sentence can show; for other measures it would show an absence."""
_OF_LISTS = frozenset({"list_lines"})
"""Measures that list items show; others are quoted from sentences."""
_JUDGED_BY = {"verdict_first": "judging_words"}
"""The measure that a sentence is judged by, for measures of whole texts."""
_WEAK = {
    "past_tense": re.compile(
        r"\b(?:(?:can|could|may|might|must|should|will|would)(?:n't| not)|put|let|read)\b", re.IGNORECASE
    ),
    "summing_up": re.compile(r"(?<=\w )(?:overall|combined|altogether|put together)\b(?! ?[,.:;!?-])", re.IGNORECASE),
}
"""Words that are counted and prove nothing alone: "wouldn't doubt" is no past, "the overall sound" no summary."""
_IN_QUOTES = re.compile(r"^[^\"'(\[].*[!?]['\")\]]+$", re.DOTALL)
"""An end mark that may belong to a title or another's words: As a result 'Come Get It!'"""
_GLUED = re.compile(r"[^\W\d_]{2}[.,;:!?&/\")\]]+[^\W\d_]{2}|(?<!\bM)[^\W\d_A-Z][A-Z]|[A-Z]{2}[a-z]{2}")
"""Words without a space between, or with an inner capital (but McCartney)."""
_OF_WORDS = frozenset({"word_length", "latinate_words", "information"})
"""Measures that glued and misspelt words raise."""
_OF_ENDS = frozenset({"sentence_length", "joints"})
"""Measures that a missing space after a sentence raises."""
_LETTERS = re.compile(r"[^\W\d_]+")
_LONG, _LONGEST_WORD = 8, 25
"""Letters from which a word must stand in another text too, and letters that no word has."""
_LEAST_LONG = {"word_length": 3}
"""Words of ``_LONG`` letters, titles apart, in a sentence that shows long words."""
_QUOTED = re.compile(r"\"[^\"]*\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuote:
    """A quote of the user's own words."""

    text: str
    review: ReviewId
    item: ItemId


class Sentences:
    """The sentences of a user's reviews, measured once; each is quoted at most once.

    Args:
        reviews: The user's own reviews.
        others: Others' texts about the same items, which show what words there are; none of them is quoted.
    """

    def __init__(self, reviews: Sequence[Review], others: Sequence[str]) -> None:
        self._reviews = reviews
        texts = plain([review.text for review in reviews])
        self._all = [*texts, *others]
        frame, lines = _sentences(texts), [" ".join(text.split()) for text in texts]
        literal = [sentence in lines[row] for row, sentence in frame.select("row", "sentence").iter_rows()]
        frame = frame.filter(pl.Series(literal, dtype=pl.Boolean))
        self._texts: list[str] = frame["sentence"].to_list()
        self._rows = frame["row"].to_numpy()
        self._first, self._last = frame["first"].to_numpy(), frame["last"].to_numpy()
        self._words = np.array([len(text.split()) for text in self._texts], dtype=np.int64)
        # An odd quotation mark: a quotation is cut, or the mark is a slip that would look like one of the card's.
        self._quotable = np.array([len(one) <= LONGEST and one.count('"') % 2 == 0 for one in self._texts], dtype=bool)
        self._listed = np.array([re.match(LIST_LINE, text) is not None for text in self._texts], dtype=bool)
        self._values = known_measures(self._texts)
        self._quoted: set[str] = set()

    def showing(self, claim: Claim, k: int) -> tuple[UserQuote, ...]:
        """At most ``k`` sentences that show a claim and were not returned before, best first, one per review."""
        name = claim.measure.name
        if name in _WHOLE or (claim.direction == "less" and name not in _LOW_SHOWS | _JUDGED_BY.keys()):
            return ()
        values = self._strong_values(_JUDGED_BY.get(name, name))
        fits = self._quotable & self._place(claim) & self._shows(claim, values) & self._clean(claim)
        fits &= np.full(len(fits), name in _OF_LISTS) | ~self._listed
        towards = values if name in _JUDGED_BY else claim.sign * values
        order = np.lexsort((self._words, -towards, self._words < LEAST_WORDS))
        chosen: list[int] = []
        rows: set[int] = set()
        for place in map(int, order[fits[order]]):
            if len(chosen) == k:
                break
            if self._rows[place] not in rows and self._texts[place] not in self._quoted:
                chosen.append(place)
                rows.add(int(self._rows[place]))
                self._quoted.add(self._texts[place])
        return tuple(map(self._evidence, chosen))

    def _strong_values(self, name: str) -> np.ndarray:
        """float64 (n,): the sentences' values on a measure, without words that prove nothing."""
        texts = self._texts
        if name in _WEAK:
            texts = [_WEAK[name].sub("", text) for text in texts]
        values = (self._values if texts is self._texts else known_measures(texts))[:, NAMES.index(name)]
        if name in ("exclamations", "questions"):
            return np.where([_IN_QUOTES.match(text) is not None for text in texts], 0.0, values)
        return values

    def _clean(self, claim: Claim) -> np.ndarray:
        """Bool (n,): sentences without slips that raise the measure by themselves."""
        name = claim.measure.name
        if claim.direction == "less" or name not in _OF_WORDS | _OF_ENDS:
            return np.ones(len(self._texts), dtype=bool)
        plain = np.array([_GLUED.search(text) is None for text in self._texts], dtype=bool)
        if name in _OF_WORDS:
            least = _LEAST_LONG.get(name, 0)
            plain &= np.array([len(_long(_QUOTED.sub(" ", text))) >= least for text in self._texts], dtype=bool)
            plain &= np.array([not self._odd(text) for text in self._texts], dtype=bool)
        return plain

    def _odd(self, text: str) -> bool:
        """Whether a long word stands nowhere else, as glued and misspelt words do; names may."""
        return any(word.lower() not in self._shared for word in _long(text) if word[0].islower() or text.find(word) < 2)

    @cached_property
    def _shared(self) -> set[str]:
        """Long words of two texts at least, in lower case."""
        found = Counter(chain.from_iterable({word.lower() for word in _long(one)} for one in self._all))
        return {word for word, n in found.items() if n > 1 and len(word) <= _LONGEST_WORD}

    def _place(self, claim: Claim) -> np.ndarray:
        """Bool (n,): sentences whose position can show the claim."""
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

    def _evidence(self, place: int) -> UserQuote:
        review = self._reviews[self._rows[place]]
        return UserQuote(text=self._texts[place], review=review.id, item=review.item)


def _long(text: str) -> list[str]:
    return [word for word in _LETTERS.findall(text) if len(word) >= _LONG]


def _sentences(texts: Sequence[str]) -> pl.DataFrame:
    """``row``, ``sentence`` and whether it is the text's ``first`` or ``last``."""
    return (
        pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        .with_row_index("row")
        .select("row", split(pl.col("text")).alias("sentence"))
        .explode("sentence", empty_as_null=True, keep_nulls=True)
        .with_columns(pl.col("sentence").str.strip_chars())
        .filter(pl.col("sentence").str.contains(r"[\p{L}\p{N}]"))
        .with_columns(
            first=pl.col("row") != pl.col("row").shift(1).fill_null(len(texts)),
            last=pl.col("row") != pl.col("row").shift(-1).fill_null(len(texts)),
        )
    )
