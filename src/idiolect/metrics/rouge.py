"""ROUGE-1 and ROUGE-L as rouge_score computes them, with a fast longest common subsequence.

Tokens and F-measure are those of rouge_score (lower-cased, runs of ``[a-z0-9]``, no stemming); if a reference is not in
Latin script, tokens are those of ``words.unicode_tokens``. rouge_score fills the table of the longest common
subsequence cell by cell in Python, which takes longer than generating the text; the bit-parallel recurrence here gives
the same length with one big-integer step per token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

import numpy as np
from rouge_score.scoring import fmeasure
from rouge_score.tokenizers import DefaultTokenizer

from idiolect.metrics import scripts
from idiolect.metrics.base import AdditiveScore, Signature, check_pairs, column
from idiolect.words import kind_of, unicode_tokens

Tokens = Literal["auto", "rouge_score", "unicode"]


class Rouge(AdditiveScore):
    """Mean F-measure of one ROUGE type (Lin 2004) over samples, 0 to 1.

    Args:
        kind: ``"rouge1"`` (unigrams) or ``"rougeL"`` (longest common subsequence of the whole text).
        tokens: ``"auto"`` (by the reference of each sample), ``"rouge_score"`` or ``"unicode"`` for all of them.
    """

    greater_is_better = True

    def __init__(self, kind: Literal["rouge1", "rougeL"], *, tokens: Tokens = "auto") -> None:
        self.name, self._tokens = kind, tokens
        self._met: set[str] = set()
        self._tokenizer = DefaultTokenizer(use_stemmer=False)
        self._matches = unigram_matches if kind == "rouge1" else longest_common_subsequence

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 1): the F-measure of each pair; 0 if either text has no token (see ``unscored``)."""
        check_pairs(predictions, references)
        return column([self._score(*pair) for pair in zip(predictions, references, strict=True)])

    def signature(self) -> Signature:
        """Type, tokens of the samples scored so far, stemming, measure, aggregation and version."""
        tokens = scripts.label("rouge_score", "unicode", self._met) if self._tokens == "auto" else self._tokens
        fields = (("metric", self.name), ("tok", tokens), ("stem", "no"), ("measure", "f"), ("aggregate", "mean"))
        return Signature((*fields, ("rouge_score", version("rouge-score"))))

    def unscored(self, references: Sequence[str]) -> np.ndarray:
        """Bool (n,): references without a token, for which a score is meaningless."""
        if self._tokens == "rouge_score":
            return np.array([not self._tokenizer.tokenize(reference) for reference in references], dtype=bool)
        return scripts.blank(references)

    def _tokenize(self, prediction: str, reference: str) -> tuple[list[str], list[str]]:
        """Both texts' tokens, of the kind that the reference needs."""
        if self._tokens != "unicode" and (self._tokens == "rouge_score" or kind_of(reference) == "latin"):
            theirs = self._tokenizer.tokenize(reference)
            if theirs or self._tokens == "rouge_score" or not reference.strip():
                self._met.add("latin")
                return self._tokenizer.tokenize(prediction), theirs
        self._met.add("unicode")
        return unicode_tokens(prediction), unicode_tokens(reference)

    def _score(self, prediction: str, reference: str) -> float:
        ours, theirs = self._tokenize(prediction, reference)
        if not ours or not theirs:
            return 0.0
        matches = self._matches(ours, theirs)
        return fmeasure(matches / len(ours), matches / len(theirs))


def rouge_1(tokens: Tokens = "auto") -> Rouge:
    """ROUGE-1 with the papers' settings."""
    return Rouge("rouge1", tokens=tokens)


def rouge_l(tokens: Tokens = "auto") -> Rouge:
    """ROUGE-L with the papers' settings."""
    return Rouge("rougeL", tokens=tokens)


def unigram_matches(a: Sequence[str], b: Sequence[str]) -> int:
    """The number of tokens that two sequences share, counted with multiplicity."""
    return (Counter(a) & Counter(b)).total()


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence (Hyyrö 2004: one addition over ``len(b)`` bits per token of ``a``)."""
    places: dict[str, int] = {}
    for position, token in enumerate(b):
        places[token] = places.get(token, 0) | 1 << position
    every = (1 << len(b)) - 1
    open_places = every  # a cleared bit is a step of the dynamic-programming row
    for token in a:
        hits = open_places & places.get(token, 0)
        open_places = ((open_places + hits) | (open_places - hits)) & every
    return len(b) - open_places.bit_count()
