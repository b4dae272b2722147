from __future__ import annotations

import json

from idiolect.evaluation.curves import curves, to_dict, to_markdown
from idiolect.types import ConditionId


def row(*points: tuple[float, float]) -> dict:
    """An output whose extraction found so much with so many calls."""
    told = [
        {"calls": calls, "tokens": 100 * calls, "cost": calls / 100, "found": n, "expected": 0.5} for calls, n in points
    ]
    return {"curve": {"points": told, "end": "enough"}}


RUNS = {
    ConditionId("drp"): [row((1, 2), (2, 3)), row((1, 4))],
    ConditionId("drp", "wrong user"): [row((1, 9))],
    ConditionId("rag"): [{"prompt": "?", "curve": None}],
    ConditionId("nonpersonalized"): [{"nll": 1.0}],
}


def test_a_methods_curve_is_the_mean_of_its_samples_and_nothing_else_has_one() -> None:
    found = curves(RUNS)
    assert list(found) == [ConditionId("drp")], "a control's users were studied already"
    assert [(point.calls, point.found) for point in found[ConditionId("drp")]] == [(1, 3), (1.5, 3.5)]


def test_the_table_has_a_row_a_call_and_the_record_every_number() -> None:
    found = curves(RUNS)
    assert "| drp | 1.50 | 150.00 | 0.015 | 3.50 | 0.50 |" in to_markdown(found)
    assert json.loads(json.dumps(to_dict(found)))["drp"][0]["tokens"] == 100
