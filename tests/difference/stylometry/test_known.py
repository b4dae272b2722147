"""Texts are measured once, and a text that was measured before has the same values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.stylometry import measure
from idiolect.difference.stylometry.english import are_english, detect
from idiolect.difference.stylometry.known import KnownValues, clear, known_languages, known_measures

TEXTS = ["The soup was good!", "Die Suppe war nicht gut.", "", "I had it twice. Never again..."]


def lengths(calls):
    def compute(texts):
        calls.append(list(texts))
        return np.array([[len(text)] for text in texts], dtype=float).reshape(-1, 1)

    return compute


@given(st.lists(st.lists(st.text("ab", max_size=3), max_size=6), max_size=6), st.integers(1, 12))
def test_values_are_those_of_the_function_in_any_order_of_calls(calls, most):
    known, made = KnownValues(lengths([]), np.zeros((0, 1)), most), lengths([])
    for texts in calls:
        assert known(texts).tolist() == made(texts).tolist()
        assert known(texts).shape == (len(texts), 1)


def test_a_text_is_computed_once_until_it_is_old_or_forgotten():
    calls = []
    known = KnownValues(lengths(calls), np.zeros((0, 1)), 4)
    known(["a", "b"])
    known(["b", "c"])
    assert calls == [["a", "b"], ["c"]]
    known(["d", "e"])  # the oldest, a, goes
    known(["b", "a"])
    assert calls[-1] == ["a"]
    known.clear()
    known(["b"])
    assert calls[-1] == ["b"]
    known(["v", "w", "x"])  # too many to keep
    known(["v"])
    assert calls[-1] == ["v"]


def test_measures_and_languages_are_those_without_memory():
    texts = TEXTS
    for _ in range(2):
        assert np.array_equal(known_measures(texts[::-1]), measure(texts[::-1]))
        assert np.array_equal(known_languages(texts), detect(texts))
        assert np.array_equal(are_english(texts, evidence=known_languages(texts)), are_english(texts))
    clear()
    assert np.array_equal(known_measures(texts), measure(texts))
