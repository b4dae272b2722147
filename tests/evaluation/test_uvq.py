"""UVQ: the released script's numbers by preset, and its defects corrected by default."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import CONTROLLED
from idiolect.errors import ConfigError
from idiolect.evaluation.uvq import Aggregation, Unit, units_of, uvq

SCRIPT = Aggregation.preset("script")


def unit(path: str, **changes: object) -> Unit:
    return Unit(**{"category": path.split("/")[0].capitalize(), "path": path} | changes)  # pyright: ignore[reportArgumentType]


def user(*cells: str) -> list[list[Unit]]:
    return [[unit(path) for path in cell.split()] for cell in cells]


@pytest.fixture(scope="module")
def judged(golden: Path) -> list[list[list[Unit]]]:
    rows = json.loads((golden / "a8_uvq" / "cells.json").read_text())["users"]
    return [[[_unit(value) for value in cell] for cell in row] for row in rows]


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict:
    return json.loads((golden / "a8_uvq" / "expected.json").read_text())


def _unit(value: dict) -> Unit:
    reason = value["invalid_reason"]
    return Unit(category=value["category"], path=value["dup_key"], valid=value["is_valid"], reason=reason)


def test_the_script_preset_gives_the_scripts_numbers_for_every_user(judged, expected):
    result = uvq(judged, SCRIPT)
    for number, numbers in expected["per_user"].items():
        row = int(number)
        alone = uvq([judged[row]], SCRIPT)
        assert result.per_user[row] == alone.per_user[0] == numbers["uvq_unique"]
        assert sorted(result.paths(row)) == sorted(numbers["kept_keys"])
        assert result.frequent[row] == numbers["with_frequency_>=3"]
        assert {name.lower(): n for name, n in alone.by_category.items()} == numbers["by_category"]
        assert alone.scores[0] == pytest.approx(numbers["weighted_score_alone"], abs=1e-4)


def test_the_script_preset_gives_the_scripts_numbers_for_the_system(judged, expected):
    result, whole = uvq(judged, SCRIPT), expected["aggregate_all"]
    assert result.per_user.sum() == whole["row_unique_valid_sum"]
    assert result.mean == pytest.approx(whole["row_unique_valid_mean"])
    assert result.frequent.sum() == whole["row_unique_k2_sum"]
    assert {name.lower(): n for name, n in result.by_category.items()} == whole["row_unique_by_category_sum"]
    assert result.scores.sum() == pytest.approx(whole["row_freq_score_sum"], abs=1e-4)
    assert round(result.conflict_drop_rate, 4) == whole["conflict_drop_rate"]
    assert result.distribution == expected["per_cell_category_counts_(category proportions figure)"]
    assert result.n_valid == expected["per_cell_valid_count_dedup_sum"]


def test_every_key_counts_by_default_from_two_comparisons_and_five_never_do_in_the_script(expected):
    users = [user(key.path, key.path) for key in CONTROLLED]
    assert uvq(users).per_user.tolist() == [1] * 35
    never = [key.path for key, n in zip(CONTROLLED, uvq(users, SCRIPT).per_user, strict=True) if n == 0]
    assert never == expected["keys_that_can_never_count"]
    once = [user(key.path) for key in CONTROLLED]
    assert not uvq(once).per_user.any()
    assert uvq(once, Aggregation(min_support=1)).per_user.all()


def test_the_golden_users_by_default(judged):
    result = uvq(judged)
    assert result.paths(2) == [
        "writing/vocabulary/richer",
        "structure/transitions/clearer",
        "structure/argumentation-clearer",
        "structure/sectioning/clearer",
    ]
    assert result.per_user.tolist() == [3, 3, 4, 7, 0]


def test_tones_and_headings_conflict_by_default():
    row = user(*["emotion/tone/positive/more structure/headings-lists/more"] * 2,
               *["emotion/tone/negative/more structure/no-headings-lists/true"] * 2)  # fmt: skip
    assert uvq([row], SCRIPT).per_user[0] == 4
    assert uvq([row]).per_user[0] == 0
    assert uvq([row]).conflict_drop_rate == 1.0


@pytest.mark.parametrize(("often", "once"), [("more", "less"), ("less", "more")])
def test_one_comparison_to_the_contrary_does_not_cost_a_difference_in_the_script(often, once):
    rows = [[f"semantics/specificity/{often}"] * 2 + [f"semantics/specificity/{once}"] * n for n in range(3)]
    found = uvq([user(*row) for row in rows], SCRIPT)
    assert [found.paths(one) for one in range(3)] == [[rows[0][0]], [rows[0][0]], []]


def test_a_lack_of_support_is_no_conflict():
    row = user("pragmatics/quotes/more", "semantics/specificity/more", "semantics/specificity/less")
    assert uvq([row], SCRIPT).conflict_drop_rate == pytest.approx(2 / 5)
    assert uvq([row]).conflict_drop_rate == pytest.approx(1 / 2)


def test_repetitions_strangers_and_wrong_categories_do_not_count():
    quotes = "pragmatics/quotes/more"
    row = [
        [
            unit(quotes),
            unit(quotes),
            unit("writing/new/more"),
            unit(quotes, category="Writing"),
            unit(quotes, valid=False),
        ]
    ]
    result = uvq([row])
    assert (result.n_valid, result.distribution["Pragmatics"], result.distribution["Writing"]) == (1, 1, 0)
    assert result.rejection_rate == pytest.approx(1 / 5)


def test_features_are_counted_unless_dropped_or_outside_the_35():
    features = [
        Feature(name="a", category="Pragmatics", attribute="pragmatics/quotes", direction="more"),
        Feature(name="b", category="Pragmatics", attribute="pragmatics/quotes", direction="fewer"),
        Feature(name="c"),
        Feature(
            name="d",
            category="Emotion",
            attribute="emotion/tone",
            direction="neutral",
            status="dropped",
            reason="unclear",
        ),
    ]
    units = units_of(features)
    assert [(one.path, one.valid, one.reason) for one in units] == [
        ("pragmatics/quotes/more", True, ""),
        ("", True, ""),
        ("", True, ""),
        ("emotion/tone/neutral/more", False, "unclear"),
    ]
    assert uvq([[units, units]]).per_user.tolist() == [1]


def test_no_users_and_users_without_comparisons_are_fine():
    assert uvq([]).mean == 0
    for preset in ("default", "script"):
        result = uvq([[], [[]]], Aggregation.preset(preset))
        assert (result.per_user.tolist(), result.scores.tolist(), result.conflict_drop_rate) == ([0, 0], [0, 0], 0)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="script"):
        Aggregation.preset("scripts")


cells = st.lists(st.lists(st.sampled_from([key.path for key in CONTROLLED[:16]]), max_size=6), max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(cells, max_size=4), st.integers(1, 3))
def test_uvq_is_bounded_by_support_and_never_counts_opposites(drawn, min_support):
    users = [[[unit(path) for path in cell] for cell in row] for row in drawn]
    result = uvq(users, Aggregation(min_support=min_support))
    assert (result.frequency[result.kept] >= min_support).all()
    for row in result.kept:
        keys = [CONTROLLED[place] for place in np.flatnonzero(row)]
        assert not any(a.excludes(b) for a in keys for b in keys)
    assert 0 <= result.conflict_drop_rate <= 1
    assert sum(result.distribution.values()) == result.n_valid
    assert sum(result.by_category.values()) == result.per_user.sum()
