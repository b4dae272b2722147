from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from idiolect.metrics.bleu import Bleu

TEXT = st.lists(st.sampled_from(["the", "a", "cat", "sat", "on", "mat.", "Don't", "$9.50"]), max_size=25).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_equals_corpus_bleu_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [p for p, _ in pairs], [r for _, r in pairs]
    metric = Bleu()
    expected = BLEU(tokenize="13a").corpus_score(predictions, [references]).score
    assert metric.aggregate(metric.segments(predictions, references)) == pytest.approx(expected, abs=1e-9)


def test_bleu_of_a_subset_is_exact_from_its_rows() -> None:
    predictions = ["the cat sat on the mat", "a dog ran in the park today", "it was fine"]
    references = ["the cat sat on a mat", "the dog ran in the park", "it was not fine"]
    metric = Bleu()
    stats = metric.segments(predictions, references)
    expected = BLEU(tokenize="13a").corpus_score(predictions[1:], [references[1:]]).score
    assert metric.aggregate(stats[1:]) == pytest.approx(expected, abs=1e-9)


def test_corpus_bleu_is_not_the_mean_of_sentence_scores() -> None:
    metric = Bleu()
    stats = metric.segments(["a b c d e", "x"], ["a b c d e", "y z w v u"])
    alone = [metric.aggregate(row[None]) for row in stats]
    assert metric.aggregate(stats) != pytest.approx(np.mean(alone))
