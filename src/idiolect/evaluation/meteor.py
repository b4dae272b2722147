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

from idiolect.evaluation.additive import AdditiveScore, check_pairs, column
from idiolect.evaluation.base import Signature
from idiolect.evaluation.wordnet import find_wordnet

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
"""Weight of precision, shape and weight of the fragmentation penalty (nltk's defaults, the papers' values)."""


class Meteor(AdditiveScore):
    """Mean METEOR (Lavie and Agarwal 2007) over samples, 0 to 1: words, then Porter stems, then WordNet synonyms.

    Tokens are nltk's word tokenizer's on the whole text, for its sentence splitter needs a download.

    Args:
        wordnet: A folder with WordNet's files; None: see ``wordnet.find_wordnet``.
    """

    name = "meteor"
    greater_is_better = True

    def __init__(self, wordnet: Path | None = None) -> None:
        self._tokenizer = NLTKWordTokenizer()
        self._stemmer = _CachedStemmer()
        self._synonyms = find_wordnet(wordnet)

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 1): METEOR of each pair; 0 where nothing matches."""
        check_pairs(predictions, references)
        return column([self._score(*pair) for pair in zip(predictions, references, strict=True)])

    def signature(self) -> Signature:
        """Tokenizer, stemmer, WordNet (``none``: words and stems only), parameters and version."""
        matching = (("tok", "NLTKWordTokenizer"), ("stem", "porter"), ("wordnet", self._synonyms.label))
        weights = (("alpha", str(ALPHA)), ("beta", str(BETA)), ("gamma", str(GAMMA)))
        return Signature((("metric", "meteor"), *matching, *weights, ("aggregate", "mean"), ("nltk", version("nltk"))))

    def _score(self, prediction: str, reference: str) -> float:
        wordnet: Any = self._synonyms  # nltk's annotation asks for its reader; it calls nothing but ``synsets``
        return single_meteor_score(
            self._tokenizer.tokenize(reference),
            self._tokenizer.tokenize(prediction),
            stemmer=self._stemmer,
            wordnet=wordnet,
            alpha=ALPHA,
            beta=BETA,
            gamma=GAMMA,
        )


class _CachedStemmer(PorterStemmer):
    """Porter's stemmer, each word stemmed once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = lru_cache(maxsize=1 << 17)(super().stem)
