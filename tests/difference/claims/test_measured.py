from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.claims.feature import Comparison
from idiolect.difference.claims.stylometric import CHECKS, MeasuredTexts, gap, measure_comparisons
from idiolect.difference.claims.taxonomy import ATTRIBUTES
from idiolect.difference.stylometry import NAMES, measure

LOUD, CALM = "It works! I love it! Get one!", "It works. The lid is tight. It was cheap."


def test_texts_are_measured_once_and_found_again():
    texts = MeasuredTexts([LOUD, CALM, LOUD])
    np.testing.assert_array_equal(texts[[CALM, LOUD]], measure([CALM, LOUD]))
    assert texts[[]].shape == (0, len(NAMES))


def test_the_interval_is_students_over_the_others():
    own, others = np.array([3.0]), np.array([[1.0], [2.0], [0.0], [1.0]])
    found = gap(own, others)
    assert found.difference[0] == 2
    assert found.reach[0] == pytest.approx(3.182 * np.std([3, 1, 2, 0, 1], ddof=1) / 2, rel=5e-3)


@pytest.mark.parametrize(("n", "sure"), [(0, False), (1, False), (2, False), (3, False), (4, True), (9, True)])
def test_what_nobody_else_does_is_sure_from_four_others_on(n, sure):
    found = gap(np.array([1.0]), np.zeros((n, 1)))
    assert (found.difference[0] > found.reach[0]) == sure


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9), st.floats(-100, 100))
def test_everything_is_finite_with_two_others(others, own):
    found = gap(np.array([own]), np.array(others)[:, None])
    assert np.isfinite(np.concatenate(found)).all()


def test_only_measures_of_an_attribute_speak_and_length_speaks_of_information():
    (found,) = measure_comparisons([Comparison(id="r", target=LOUD, peers=(CALM,) * 5)])
    assert {one.attribute for one in found} <= set(ATTRIBUTES)
    exclamations = next(one for one in found if one.attribute == "writing/exclamations")
    assert exclamations.low > 0
    assert sum(one.attribute == "semantics/info-density" for one in found) == 2
    assert set(CHECKS) <= set(NAMES)
    vocabulary = [one for one in found if one.attribute == "writing/vocabulary"]
    assert len(vocabulary) == 3, "word length, elevated words and variety, but not repetition"
    assert measure_comparisons([]) == []
    assert measure_comparisons([Comparison(id="r", target=LOUD, peers=(CALM,))]) == [()]


def test_comparisons_with_any_numbers_of_others_are_measured_together_as_each_alone():
    sizes = (5, 2, 0, 5, 1, 3)
    texts = [f"{LOUD} {'Really! ' * k}{CALM}" for k in range(6)]
    compared = [Comparison(id=str(k), target=texts[k], peers=tuple(texts[:n])) for k, n in enumerate(sizes)]
    assert measure_comparisons(compared) == [measure_comparisons([one])[0] for one in compared]
    assert [bool(one) for one in measure_comparisons(compared)] == [n > 1 for n in sizes]


def test_only_what_is_asked_about_is_reported():
    compared = [Comparison(id="r", target=LOUD, peers=(CALM,) * 4)]
    (everything,) = measure_comparisons(compared)
    asked = {"writing/exclamations", None, "nowhere/at-all"}
    assert measure_comparisons(compared, attributes=asked) == [
        tuple(one for one in everything if one.attribute == "writing/exclamations")
    ]
    assert measure_comparisons(compared, attributes=()) == [()]
