"""Corpus BLEU as sacrebleu computes it, from sufficient statistics of every pair."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from idiolect.evaluation.additive import AdditiveScore, check_pairs
from idiolect.evaluation.base import Signature

ORDER = 4
"""Longest n-gram."""


class Bleu(AdditiveScore):
    """Corpus BLEU (Papineni et al. 2002): one reference, case kept, 13a tokens, exponential smoothing; 0 to 100.

    Statistics of a pair: prediction length, reference length, matches of order 1-4, n-grams of order 1-4.
    """

    name = "bleu"
    greater_is_better = True

    def __init__(self) -> None:
        # The effective order changes the sentence score, which is not used, not the counts: without it sacrebleu
        # warns at every sentence.
        self._counter = BLEU(tokenize="13a", effective_order=True)

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 10): lengths, matches and n-gram totals of each pair."""
        check_pairs(predictions, references)
        rows = [self._count(*pair) for pair in zip(predictions, references, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * ORDER)

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
        """Sacrebleu's own fields and version."""
        fields = (("nrefs", "1"), ("case", "mixed"), ("eff", "no"), ("tok", "13a"), ("smooth", "exp"))
        return Signature((("metric", "bleu"), *fields, ("sacrebleu", version("sacrebleu"))))

    def _count(self, prediction: str, reference: str) -> list[int]:
        score = self._counter.sentence_score(prediction, [reference])
        return [score.sys_len, score.ref_len, *score.counts, *score.totals]
