"""METEOR as nltk computes it, with every choice that changes the number in its signature."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nltk.stem.porter import PorterStemmer
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.meteor_score import single_meteor_score

from idiolect.evaluation import scripts
from idiolect.evaluation.additive import AdditiveScore, check_pairs, column
from idiolect.evaluation.base import Signature
from idiolect.evaluation.wordnet import NO_SYNONYMS, find_wordnet

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
"""Weight of precision, shape and weight of the fragmentation penalty (nltk's defaults, the papers' values)."""


class Meteor(AdditiveScore):
    """Mean METEOR (Lavie and Agarwal 2007) over samples, 0 to 1: words, then Porter stems, then WordNet synonyms.

    Tokens are nltk's word tokenizer's on the whole text, because its sentence splitter needs a download. Porter's stems
    and WordNet are English: where a reference is not in Latin script, words match exactly or not at all
    (``scripts.unicode_tokens``).

    Args:
        wordnet: A folder with WordNet's files; None: see ``wordnet.find_wordnet``.
    """

    name = "meteor"
    greater_is_better = True

    def __init__(self, wordnet: Path | None = None) -> None:
        self._tokenizer = NLTKWordTokenizer()
        self._stemmer = _CachedStemmer()
        self._synonyms = find_wordnet(wordnet)
        self._met: set[str] = set()

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 1): METEOR of each pair; 0 where nothing matches, or there is no token (see ``unscored``)."""
        check_pairs(predictions, references)
        return column([self._score(*pair) for pair in zip(predictions, references, strict=True)])

    def unscored(self, references: Sequence[str]) -> np.ndarray:
        """Bool (n,): references without a token, against which a score means nothing."""
        return scripts.blank(references)

    def signature(self) -> Signature:
        """Tokenizer, stemmer, WordNet (``none``: words and stems only), parameters and version.

        Where samples scored so far were matched by words alone, that stands beside the English way.
        """
        ways = (("NLTKWordTokenizer", "unicode"), ("porter", "none"), (self._synonyms.label, "none"))
        said = [scripts.label(usual, other, self._met) for usual, other in ways]
        matching = tuple(zip(("tok", "stem", "wordnet"), said, strict=True))
        weights = (("alpha", str(ALPHA)), ("beta", str(BETA)), ("gamma", str(GAMMA)))
        return Signature((("metric", "meteor"), *matching, *weights, ("aggregate", "mean"), ("nltk", version("nltk"))))

    def tokens(self, text: str, reference: str) -> list[str]:
        """What is matched of a text: the words that its reference's language asks for."""
        english = scripts.kind_of(reference) == "latin"
        return self._tokenizer.tokenize(text) if english else scripts.unicode_tokens(text)

    def _score(self, prediction: str, reference: str) -> float:
        kind = scripts.kind_of(reference)
        self._met.add(kind)
        english = kind == "latin"
        stemmer: Any = self._stemmer if english else _AsItIs()
        # nltk's annotation asks for its reader; it calls nothing but ``synsets``
        wordnet: Any = self._synonyms if english else NO_SYNONYMS
        return single_meteor_score(
            self.tokens(reference, reference),
            self.tokens(prediction, reference),
            stemmer=stemmer,
            wordnet=wordnet,
            alpha=ALPHA,
            beta=BETA,
            gamma=GAMMA,
        )


class _AsItIs:
    """No stemmer."""

    def stem(self, word: str) -> str:
        return word


class _CachedStemmer(PorterStemmer):
    """Porter's stemmer, each word stemmed once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = lru_cache(maxsize=1 << 17)(super().stem)
