"""Corpus BLEU and chrF as sacrebleu computes them, from sufficient statistics of every pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.metrics import scripts
from idiolect.metrics.base import AdditiveScore, Signature, check_pairs
from idiolect.registry import suggest
from idiolect.words import Kind, kind_of

ORDER = 4
"""Longest n-gram of BLEU, in tokens."""
CHARACTERS, BETA = 6, 2
"""Longest n-gram of chrF, in characters, and how many times more recall counts than precision."""

_TOKENIZERS: dict[Kind, str] = {"latin": "13a", "spaced": "intl", "chinese": "zh", "unspaced": "char"}
_PACKAGES = {"ja-mecab": "pip install 'sacrebleu[ja]'", "ko-mecab": "pip install 'sacrebleu[ko]'"}


class Bleu(AdditiveScore):
    """Corpus BLEU (Papineni et al. 2002): one reference, case kept, exponential smoothing; 0 to 100.

    Statistics of a pair: prediction length, reference length, matches of order 1-4, n-grams of order 1-4.

    Args:
        tokenize: A tokenizer of sacrebleu (``13a``, ``intl``, ``zh``, ``char``, ``ja-mecab``) for all samples.
            ``auto``: by each reference's script 13a for Latin, zh for Chinese, char for other scripts without blanks
            between words, and intl for all others.

    Raises:
        ConfigError: sacrebleu has no such tokenizer.
        MissingDependencyError: The tokenizer's package is not installed.
    """

    name = "bleu"
    greater_is_better = True

    def __init__(self, tokenize: str = "auto") -> None:
        self._tokenize = tokenize
        self._counters: dict[str, BLEU] = {} if tokenize == "auto" else {tokenize: _counter(tokenize)}

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 10): lengths, matches and n-gram totals of each pair."""
        check_pairs(predictions, references)
        rows = [self._count(*pair) for pair in zip(predictions, references, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * ORDER)

    def unscored(self, references: Sequence[str]) -> np.ndarray:
        """Bool (n,): references without a token, for which a score is meaningless."""
        return scripts.blank(references)

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """BLEU of each row of summed statistics: float64 (n_sets, 10) to (n_sets,); the counts do not matter."""
        ours, theirs, matches, ngrams = totals[:, 0], totals[:, 1], totals[:, 2 : 2 + ORDER], totals[:, 2 + ORDER :]
        defined = (ngrams > 0).all(axis=1) & (matches > 0).any(axis=1)
        unmatched = matches == 0
        # The k-th order without a match counts 1 / 2^k matches ("exp", method 3 of Chen and Cherry 2014).
        smoothed = np.where(unmatched, 0.5 ** unmatched.cumsum(axis=1), matches)
        precision = np.log(smoothed / np.maximum(ngrams, 1)).mean(axis=1)
        brevity = np.minimum(0.0, 1 - theirs / np.maximum(ours, 1))
        return np.where(defined, 100 * np.exp(brevity + precision), 0.0)

    def signature(self) -> Signature:
        """The fields and version of sacrebleu; the tokenizers are those of the samples scored so far."""
        tokens = "+".join(sorted(self._counters)) or "13a"
        fields = (("nrefs", "1"), ("case", "mixed"), ("eff", "no"), ("tok", tokens), ("smooth", "exp"))
        return Signature((("metric", "bleu"), *fields, ("sacrebleu", version("sacrebleu"))))

    def _count(self, prediction: str, reference: str) -> list[int]:
        tokenize = _TOKENIZERS[kind_of(reference)] if self._tokenize == "auto" else self._tokenize
        if tokenize not in self._counters:
            self._counters[tokenize] = _counter(tokenize)
        score = self._counters[tokenize].sentence_score(prediction, [reference])
        return [score.sys_len, score.ref_len, *score.counts, *score.totals]


class ChrF(AdditiveScore):
    """Corpus chrF2 (Popović 2015): n-grams of 1 to 6 characters without blanks; 0 to 100. It needs no words.

    Statistics of a pair: for each order n-grams of the prediction, of the reference, and matches.
    """

    name = "chrf"
    greater_is_better = True

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 18): n-gram counts of each pair."""
        check_pairs(predictions, references)
        rows = [_count_characters(*pair) for pair in zip(predictions, references, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(-1, 3 * CHARACTERS)

    def unscored(self, references: Sequence[str]) -> np.ndarray:
        """Bool (n,): references without a character, for which a score is meaningless."""
        return scripts.blank(references)

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The chrF of each row of summed statistics: float64 (n_sets, 18) to (n_sets,); the counts do not matter."""
        ours, theirs, matches = (totals[:, start::3] for start in range(3))
        used = (ours > 0) & (theirs > 0)
        orders = np.maximum(used.sum(axis=1), 1)
        precision = np.where(used, matches / np.maximum(ours, 1), 0).sum(axis=1) / orders
        recall = np.where(used, matches / np.maximum(theirs, 1), 0).sum(axis=1) / orders
        weighted = BETA**2 * precision + recall
        return 100 * (1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1)

    def signature(self) -> Signature:
        """The fields and version of sacrebleu."""
        fields = (
            ("nrefs", "1"),
            ("case", "mixed"),
            ("eff", "yes"),
            ("nc", str(CHARACTERS)),
            ("nw", "0"),
            ("space", "no"),
        )
        return Signature((("metric", "chrf"), *fields, ("sacrebleu", version("sacrebleu"))))


def _count_characters(prediction: str, reference: str) -> list[int]:
    ours, theirs = "".join(prediction.split()), "".join(reference.split())
    row: list[int] = []
    for n in range(1, CHARACTERS + 1):
        left, right = (Counter(text[k : k + n] for k in range(len(text) - n + 1)) for text in (ours, theirs))
        row += [left.total() if right else 0, right.total(), (left & right).total()]
    return row


def _counter(tokenize: str) -> BLEU:
    if tokenize not in BLEU.TOKENIZERS:
        raise ConfigError(f"unknown tokenizer {tokenize!r}", hint=suggest(tokenize, BLEU.TOKENIZERS))
    try:
        # The effective order changes only sentence scores, which are not used; without it sacrebleu warns at every
        # sentence.
        return BLEU(tokenize=tokenize, effective_order=True)
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            f"sacrebleu's tokenizer {tokenize!r} is not installed",
            hint=_PACKAGES.get(tokenize, "see sacrebleu's manual"),
        ) from error
