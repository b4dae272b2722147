from __future__ import annotations

import json
from dataclasses import replace

import pytest

from idiolect.evaluation.render import controls_to_text, to_dict, to_frame, to_markdown, to_text
from idiolect.evaluation.report import Cell, Column, Row, ScoreTable
from idiolect.evaluation.significance import Comparison, Interval
from idiolect.types import ConditionId

NONE, RAG = ConditionId("none"), ConditionId("rag")


@pytest.fixture
def table() -> ScoreTable:
    better = Cell(score=Interval(0.25, 0.2, 0.3), versus=Comparison(0.05, 0.01, 0.09, 0.004), p_holm=0.012)
    return ScoreTable(
        columns=(
            Column(name="rouge1", greater_is_better=True, signature="metric:rouge1|stem:no"),
            Column(name="nll", greater_is_better=False, signature="metric:nll"),
        ),
        rows=(
            Row(condition=NONE, cells=(Cell(score=Interval(0.2, 0.15, 0.25)), Cell(score=Interval(90.5, 88, 93)))),
            Row(condition=ConditionId("a|b"), cells=(better, None)),
        ),
        segments=60,
        resamples=1000,
        clustered=True,
        units=20,
        min_p=1 / 1001,
        baseline=NONE,
    )


def test_markdown_marks_the_best_and_the_significant(table: ScoreTable) -> None:
    lines = to_markdown(table).splitlines()
    assert lines[:4] == [
        "| method | rouge1 ↑ | nll ↓ |",
        "| --- | ---: | ---: |",
        "| none | 0.2000 [0.1500, 0.2500] | **90.50** [88.00, 93.00] |",
        r"| a\|b | **0.2500**† [0.2000, 0.3000] | - |",
    ]
    assert "- `metric:rouge1|stem:no`" in lines
    assert any("none" in line and "Holm" in line for line in lines[4:])


def test_text_is_aligned(table: ScoreTable) -> None:
    head, rule, first, second = to_text(table).splitlines()[:4]
    assert len(head) == len(rule) == len(first) == len(second)
    assert second.endswith("-")
    assert "**" not in to_text(table)


def test_controls_stand_below_their_methods_in_the_columns_that_they_have(table: ScoreTable) -> None:
    nll = Cell(score=Interval(95.0, 94, 96), versus=Comparison(4.5, 3, 6, 0.001), p_holm=0.001)
    control = Row(condition=ConditionId("none", "wrong user"), cells=(None, nll))
    first = replace(table, rows=(table.rows[0], control))
    other = replace(
        first, rows=(Row(condition=RAG, cells=(None, nll)), Row(condition=ConditionId("rag", "x"), cells=(None, None)))
    )
    text = controls_to_text([first, replace(other, baseline=RAG)])
    head, rule, *lines = text.splitlines()
    assert head.split() == ["method", "nll", "↓"]
    assert len(rule) == len(head)
    assert [line.split("  ")[0] for line in lines[:4]] == ["none", "none: wrong user", "rag", "rag: x"]
    assert lines[1].endswith("95.00† [94.00, 96.00]")
    assert lines[3].endswith("-")
    assert "metric:" not in text


def test_the_dict_is_json_and_holds_every_number(table: ScoreTable) -> None:
    data = json.loads(json.dumps(to_dict(table), allow_nan=False))
    assert data["baseline"] == "none"
    assert data["metrics"][1] == {"name": "nll", "greater_is_better": False, "signature": "metric:nll"}
    assert data["methods"][0]["scores"]["nll"] == {"value": 90.5, "low": 88, "high": 93}
    versus = data["methods"][1]["scores"]["rouge1"]["versus"]
    assert versus == {"difference": 0.05, "low": 0.01, "high": 0.09, "p": 0.004, "p_holm": 0.012}
    assert "nll" not in data["methods"][1]["scores"]


def test_a_row_names_method_and_control_apart(table: ScoreTable) -> None:
    conditions = [ConditionId("drp", "wrong user", measured=True), ConditionId("drp: wrong user")]
    rows = tuple(Row(condition=one, cells=table.rows[0].cells) for one in conditions)
    data = to_dict(replace(table, rows=rows))["methods"]
    assert [(row["name"], row["method"], row["control"], row["measured"]) for row in data] == [
        ("drp (measured): wrong user", "drp", "wrong user", True),
        ("drp: wrong user", "drp: wrong user", None, False),
    ]
    frame = to_frame(replace(table, rows=rows)).unique("method", keep="first", maintain_order=True)
    assert frame.select("method", "control").rows() == [("drp (measured)", "wrong user"), ("drp: wrong user", None)]


def test_a_table_without_a_baseline_speaks_of_no_test(table: ScoreTable) -> None:
    plain = replace(table, rows=table.rows[:1], baseline=None)
    assert "Holm" not in to_markdown(plain)


def test_the_notes_say_what_was_resampled(table: ScoreTable) -> None:
    assert "1000 bootstrap resamples of users" in to_text(table)
    assert "1000 bootstrap resamples of samples" in to_text(replace(table, clustered=False))
    assert "60 samples of 20 users" in to_text(table)


def test_intervals_of_few_users_come_with_a_warning(table: ScoreTable) -> None:
    assert "too narrow" not in to_text(table)
    assert "fewer than 8 users are too narrow" in to_text(replace(table, units=7))


def test_a_table_in_which_no_difference_can_be_marked_says_so(table: ScoreTable) -> None:
    assert "No difference can be marked" not in to_text(table)
    few = to_text(replace(table, units=4, min_p=1 / 8))
    assert "smallest possible p, 0.12, times 1 comparisons is 0.12. It takes 6 users or more, and 20 resamples." in few
    text = controls_to_text([replace(table, min_p=1 / 8)])
    assert "No difference can be marked" in text


@pytest.mark.parametrize("comparisons", [1, 2, 3, 24])
def test_what_a_mark_is_said_to_take_is_just_enough(table: ScoreTable, comparisons: int) -> None:
    tested = table.rows[1].cells[0]
    many = replace(
        table, columns=table.columns[:1], rows=(Row(condition=ConditionId("a"), cells=(tested,)),) * comparisons
    )
    said = to_text(replace(many, min_p=1.0)).split("It takes ")[1]
    users, resamples = (int(word) for word in said.split() if word.isdigit())
    for least, marked in ((2.0 ** (1 - users), True), (2.0 ** (2 - users), False)):
        assert ("No difference" not in to_text(replace(many, min_p=least))) == marked
    for least, marked in ((1 / (resamples + 1), True), (1 / resamples, False)):
        assert ("No difference" not in to_text(replace(many, min_p=least))) == marked
