from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from idiolect.metrics.rouge import Rouge, longest_common_subsequence, unigram_matches

WORDS = st.lists(st.sampled_from(["the", "The", "a", "bar", "bars", "9/10", "café", "--", "don't"]), max_size=80)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_equals_rouge_score(prediction: list[str], reference: list[str]) -> None:
    ours, theirs = " ".join(prediction), " ".join(reference)
    # Of a reference without letters or digits rouge_score finds no token; here its characters are tokens.
    assume(not theirs or any(character.isalnum() for character in theirs))
    expected = RougeScorer(["rouge1", "rougeL"], use_stemmer=False).score(theirs, ours)
    for kind in ("rouge1", "rougeL"):
        assert Rouge(kind).segments([ours], [theirs])[0, 0] == pytest.approx(expected[kind].fmeasure, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "length"),
    [("", "abc", 0), ("abc", "abc", 3), ("abc", "cba", 1), ("xaybzc", "abc", 3), ("aab", "abb", 2)],
)
def test_longest_common_subsequence_of_known_sequences(a: str, b: str, length: int) -> None:
    assert longest_common_subsequence(list(a), list(b)) == length
    assert longest_common_subsequence(list(b), list(a)) == length


def test_long_texts_cross_machine_words_without_loss() -> None:
    a = [str(number) for number in range(1000)]
    assert longest_common_subsequence(a, a[::2]) == 500


def test_a_repeated_word_matches_no_more_often_than_both_have_it() -> None:
    assert unigram_matches(["a", "a", "a", "b"], ["a", "a", "c"]) == 2
