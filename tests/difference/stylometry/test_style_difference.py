from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.stylometry import (
    MEASURES,
    N_MEASURES,
    NAMES,
    StyleDifference,
    compare,
    measure,
    style_differences,
    within_item_sd,
)
from idiolect.errors import InputError

LOUD = ["What a piano! I love it!", "So loud! So long!", "Hear the hall! It rings!", "More of it! Now!"]
CALM = [["The piano is old. It is fine.", "A piano. It plays."], ["It is loud. It is long! So be it."]]
CALM += [["The hall is large.", "The hall rings. It is old."], ["There is more. I am glad."]]


def on(name: str, found: tuple[StyleDifference, ...]) -> StyleDifference:
    return found[NAMES.index(name)]


def test_one_who_exclaims_more_than_others_on_every_item_is_found_out() -> None:
    found = compare(LOUD, CALM)
    assert [f.measure for f in found] == list(MEASURES)
    exclamations = on("exclamations", found)
    assert exclamations.n_items == 4
    assert exclamations.difference == pytest.approx(100 - np.mean([0, 100 / 3, 0, 0]))
    assert 0 < exclamations.low < exclamations.effect < exclamations.high
    assert (exclamations.direction, exclamations.phrase) == ("more", "ends sentences with exclamation marks")


def test_swapping_the_sides_swaps_the_direction() -> None:
    calm, loud = [texts[0] for texts in CALM], [[text] for text in LOUD]
    exclamations = on("exclamations", compare(calm, loud))
    assert (exclamations.direction, exclamations.phrase) == ("less", "never exclaims")


def test_nothing_is_said_of_what_nobody_does() -> None:
    quotations = on("quotations", compare(LOUD, CALM))
    assert (quotations.difference, quotations.effect, quotations.low, quotations.high) == (0, 0, 0, 0)
    assert quotations.direction is None
    assert quotations.phrase is None


@pytest.mark.parametrize("own", [0, 1])
def test_nothing_is_said_from_fewer_than_two_items(own: int) -> None:
    for found in compare(LOUD[:own], CALM[:own]):
        assert found.direction is None
        assert (found.low, found.high, found.n_items) == (-np.inf, np.inf, own)
        assert np.isfinite([found.difference, found.effect]).all()


def test_an_item_that_nobody_else_wrote_about_does_not_count() -> None:
    with_lonely = compare([*LOUD, "Alone! Here!"], [*CALM, []])
    assert on("exclamations", with_lonely).n_items == 4
    assert on("exclamations", with_lonely).difference == on("exclamations", compare(LOUD, CALM)).difference


def test_a_corpus_spread_is_the_unit_where_it_is_given() -> None:
    sd = np.full(N_MEASURES, 50.0)
    exclamations = on("exclamations", compare(LOUD, CALM, sd=sd))
    assert exclamations.effect == pytest.approx(exclamations.difference / 50)


def test_a_higher_level_says_less() -> None:
    wide, narrow = (on("exclamations", compare(LOUD, CALM, level=level)) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_lists_that_do_not_match_are_refused() -> None:
    with pytest.raises(InputError, match="peers of 3 items"):
        compare(LOUD, CALM[:3])


def test_a_corpus_says_of_each_user_what_their_own_comparison_says() -> None:
    texts = [*LOUD, *(text for texts in CALM for text in texts), "Nobody else wrote about this."]
    items = np.array([0, 1, 2, 3, 0, 0, 1, 2, 2, 3, 4])
    users = np.array([3, 3, 3, 3, 0, 1, 1, 0, 1, 2, 7])
    values = measure(texts)
    found = style_differences(values, users, items)
    assert found.users.tolist() == [0, 1, 2, 3, 7]
    assert found.n_items.tolist() == [2, 3, 1, 4, 0]
    alone = compare(LOUD, CALM, sd=within_item_sd(values, items))
    assert found.of_user(3) == alone
    assert not found.difference[4].any()
    assert np.isinf(found.standard_error[[2, 4]]).all()
    assert np.isfinite(found.effects()).all()


def test_intervals_hold_the_truth_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(5)
    n_users, n_items = 400, 400
    users, items = np.repeat(np.arange(n_users), 6), rng.integers(n_items, size=6 * n_users)
    values = rng.normal(size=(len(users), N_MEASURES))
    found = style_differences(values, users, items)
    covered = [f.low <= 0 <= f.high for row in np.flatnonzero(found.n_items >= 4)[:60] for f in found.of_user(row)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
