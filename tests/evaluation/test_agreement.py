from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from idiolect.errors import InputError
from idiolect.evaluation.agreement import MISSING, alpha, alpha_interval, coincidences
from idiolect.evaluation.significance import Resamples

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
OBSERVED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def table(text: str) -> np.ndarray:
    rows = [[MISSING if one == "." else int(one) - 1 for one in line.split()] for line in text.split("\n") if line]
    return np.array(rows).T


def test_alpha_is_krippendorffs_own_figure():
    assert alpha(table(OBSERVED), 5) == pytest.approx(0.743, abs=5e-4)


def test_two_observers_of_two_categories_are_krippendorffs_own_figure():
    # The same paper, section A: ten units.
    assert alpha(table("1 2 1 1 1 1 1 1 2 1\n2 2 2 1 1 2 1 1 1 1"), 2) == pytest.approx(0.095, abs=5e-4)


def test_full_agreement_is_1_and_guessing_is_0():
    rng = np.random.default_rng(0)
    same = rng.integers(3, size=(50, 1)).repeat(4, axis=1)
    assert alpha(same, 3) == 1
    assert alpha(rng.integers(3, size=(4000, 3)), 3) == pytest.approx(0, abs=0.03)


def test_where_all_say_the_same_there_is_no_alpha():
    assert np.isnan(alpha(np.zeros((5, 2), dtype=int), 2))
    assert np.isnan(alpha(np.full((5, 2), MISSING), 2))


ratings = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(2, 4)), elements=st.integers(-1, 2))


@given(ratings, st.randoms(use_true_random=False))
def test_neither_raters_nor_categories_have_an_order(given_, random):
    value = alpha(given_, 3)
    raters, names = list(range(given_.shape[1])), [0, 1, 2]
    random.shuffle(raters)
    random.shuffle(names)
    renamed = np.where(given_ >= 0, np.array(names)[given_], MISSING)[:, raters]
    assert alpha(renamed, 3) == pytest.approx(value, nan_ok=True)
    assert np.isnan(value) or value <= 1 + 1e-9


@given(ratings)
def test_a_unit_with_one_rating_changes_nothing(given_):
    lonely = np.full((1, given_.shape[1]), MISSING)
    lonely[0, 0] = 1
    assert alpha(np.vstack([given_, lonely]), 3) == pytest.approx(alpha(given_, 3), nan_ok=True)


def test_the_interval_holds_alpha_and_narrows_with_more_units():
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=(400, 1))
    said = np.where(rng.random((400, 3)) < 0.85, truth, 1 - truth)
    wide, narrow = (alpha_interval(said[:n], 2, Resamples(n, np.random.default_rng(2))) for n in (40, 400))
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low
    assert narrow.low < (2 * 0.85 - 1) ** 2 < narrow.high


def test_an_undefined_interval_is_not_a_number():
    found = alpha_interval(np.zeros((5, 2), dtype=int), 2, Resamples(5, np.random.default_rng(0)))
    assert np.isnan(found).all()


def test_what_is_no_category_is_refused():
    with pytest.raises(InputError, match="categories from 0 to 1"):
        coincidences(np.array([[0, 2]]), 2)
