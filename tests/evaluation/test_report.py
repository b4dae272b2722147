from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.report import score_table, unmarkable
from idiolect.evaluation.significance import SIGNIFICANT, Resamples, holm
from idiolect.metrics.base import Mean

SCORE = Mean("score", greater_is_better=True)
NLL = Mean("nll", greater_is_better=False, unit="nats/text")


def stats() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    base, nll = rng.uniform(0.2, 0.4, 60), rng.uniform(80, 120, 60)
    return {
        "none": {"score": base, "nll": nll},
        "rag": {"score": base + rng.normal(0.05, 0.02, 60), "nll": nll - rng.normal(0, 1, 60)},
        "api": {"score": base + rng.normal(0, 0.02, 60)},
    }


def test_every_method_has_a_cell_for_every_metric_it_has_scores_of() -> None:
    table = score_table([SCORE, NLL], stats(), Resamples(60, np.random.default_rng(0)))
    assert [row.method for row in table.rows] == ["none", "rag", "api"]
    assert [column.signature for column in table.columns][1] == "metric:nll|unit:nats/text|aggregate:mean"
    assert table.rows[2].cells[1] is None
    assert table.rows[0].cells[0].score.value == pytest.approx(stats()["none"]["score"].mean())


def test_without_a_baseline_nothing_is_tested() -> None:
    table = score_table([SCORE], stats(), Resamples(60, np.random.default_rng(0)))
    assert all(cell.versus is None and cell.p_holm is None for row in table.rows for cell in row.cells)


def test_holm_corrects_over_every_comparison_of_the_table() -> None:
    table = score_table([SCORE, NLL], stats(), Resamples(60, np.random.default_rng(0)), baseline="none")
    assert all(cell.versus is None for cell in table.rows[0].cells)
    tested = [cell for row in table.rows for cell in row.cells if cell and cell.versus]
    assert len(tested) == 3
    assert [cell.p_holm for cell in tested] == holm([cell.versus.p for cell in tested])
    assert table.rows[1].cells[0].p_holm < 0.05
    assert table.rows[1].cells[0].versus.difference == pytest.approx(0.05, abs=0.02)


def test_a_metric_the_baseline_lacks_is_scored_but_not_tested() -> None:
    table = score_table([SCORE, NLL], stats(), Resamples(60, np.random.default_rng(0)), baseline="api")
    assert table.rows[0].cells[1].versus is None
    assert table.rows[0].cells[0].versus is not None


def test_an_unknown_baseline_is_answered_with_the_nearest_method() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rag'"):
        score_table([SCORE], stats(), Resamples(60, np.random.default_rng(0)), baseline="rga")


def test_a_method_with_other_samples_is_refused() -> None:
    with pytest.raises(InputError, match="60 segments"):
        score_table([SCORE], stats(), Resamples(59, np.random.default_rng(0)))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two metrics are called 'nll'"):
        score_table([NLL, Mean("nll", greater_is_better=True)], stats(), Resamples(60, np.random.default_rng(0)))


def test_a_table_knows_its_units_and_comparisons() -> None:
    users = [f"u{k // 12}" for k in range(60)]
    table = score_table([SCORE, NLL], stats(), Resamples(60, np.random.default_rng(0), clusters=users), baseline="none")
    assert (table.units, table.min_p, table.comparisons) == (5, 1 / 16, 3)


def test_a_score_that_some_resample_does_not_have_is_refused() -> None:
    class Ratio(Mean):
        def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
            return np.where(totals[:, 0] > 0, 1.0, np.nan)

    stats = {"rag": {"ratio": np.array([1.0, 0.0, 0.0])}}
    with pytest.raises(InputError, match="'ratio' is not a finite number"):
        score_table([Ratio("ratio", greater_is_better=True)], stats, Resamples(3, np.random.default_rng(0)))


@pytest.mark.parametrize("comparisons", [1, 2, 3, 5, 7, 12, 13, 40, 99])
def test_as_many_users_as_it_is_said_to_take_are_enough_and_one_fewer_are_not(comparisons: int) -> None:
    (note,) = unmarkable([SimpleNamespace(min_p=1.0, comparisons=comparisons, clustered=True)])
    users = int(re.search(r"It takes (\d+) users", note)[1])
    resamples = int(re.search(r"(\d+) resamples", note)[1])
    assert 2.0 ** (1 - users) * comparisons < SIGNIFICANT <= 2.0 ** (2 - users) * comparisons
    assert comparisons / (resamples + 1) < SIGNIFICANT <= comparisons / resamples


def test_a_difference_of_exactly_the_level_cannot_be_marked() -> None:
    assert list(unmarkable([SimpleNamespace(min_p=0.01, comparisons=5, clustered=False)]))
    assert not list(unmarkable([SimpleNamespace(min_p=0.01, comparisons=4, clustered=False)]))
