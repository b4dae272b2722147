from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from idiolect.evaluation.render import FIELDS, escape, to_csv, to_latex, to_markdown, write_csv
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.significance import Resamples
from idiolect.metrics.base import Mean, Signature, score_each
from idiolect.types import ConditionId


@pytest.fixture
def table() -> ScoreTable:
    rng = np.random.default_rng(5)
    base = rng.uniform(-0.4, 0.4, 60)
    stats = {"no_ne": {"score": base}, "r&g": {"score": base + 0.5}, "api": {"nll": base + 90}}
    metrics = [Mean("score", greater_is_better=True), Mean("nll", greater_is_better=False)]
    return score_table(metrics, stats, Resamples(60, rng), baseline="no_ne")


def test_csv_has_a_line_a_score_and_every_number(table: ScoreTable) -> None:
    none, rag, api = csv.DictReader(io.StringIO(to_csv([table])))
    assert tuple(none) == FIELDS
    assert (none["baseline"], none["p"]) == ("", "")
    cell = table.rows[1].cells[0]
    assert (rag["method"], float(rag["value"]), rag["baseline"]) == ("r&g", cell.score.value, "no_ne")
    assert (float(rag["difference"]), float(rag["p_holm"])) == (cell.versus.difference, cell.p_holm)
    assert (api["metric"], api["units"], api["signature"]) == ("nll", "60", "metric:nll|aggregate:mean")


def test_latex_escapes_names_and_marks_the_best_and_what_differs(table: ScoreTable) -> None:
    lines = [line for line in to_latex(table).splitlines() if not line.startswith("%")]
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == r"method & score $\uparrow$ & nll $\downarrow$ \\"
    assert lines[4].startswith(r"no\_ne & ")
    assert lines[5].startswith(r"r\&g & \textbf{0.")
    assert r"$^\dagger$ {\scriptsize [" in lines[5]
    assert lines[6].startswith(r"api & -- & \textbf{")
    assert all(line.endswith(r"\\") for line in lines[4:7])


@pytest.mark.parametrize(("text", "escaped"), [("50 %", r"50 \%"), ("a\\b", r"a\textbackslash{}b"), ("{x}", r"\{x\}")])
def test_what_latex_would_read_as_a_command_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_row_alone_scores_the_same_by_sums_and_without_them() -> None:
    class Plain:
        name, greater_is_better = "plain", True

        def aggregate(self, stats: np.ndarray) -> float:
            return float(stats[:, 0].mean())

        def signature(self) -> Signature:
            return Signature(())

    rows = np.arange(4.0).reshape(-1, 1)
    for metric in (Plain(), Mean("mean", greater_is_better=True)):
        np.testing.assert_array_equal(score_each(metric, rows), [0, 1, 2, 3])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_no_text_in_csv_is_a_formula(text: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(write_csv([(text, -1.5)]), newline=""))
    assert cell == f"'{text}".replace("\r", "\n")
    assert number == "-1.5"


@pytest.mark.parametrize("text", ["tea", "a=b", "rag: wrong user", ""])
def test_other_texts_in_csv_are_as_they_are(text: str) -> None:
    assert next(csv.reader(io.StringIO(write_csv([(text, "x")])))) == [text, "x"]


def test_a_name_stays_on_its_line_in_latex_and_markdown(table: ScoreTable) -> None:
    evil = "x\n\\input{/etc/passwd}\u2028[a](javascript:b)<script>`|"
    renamed = replace(
        table, baseline=ConditionId(evil), rows=tuple(replace(row, condition=ConditionId(evil)) for row in table.rows)
    )
    assert not [line for line in to_latex(renamed).splitlines() if line.startswith(r"\input")]
    assert r"x \textbackslash{}input\{/etc/passwd\}" in to_latex(renamed)
    grid = [line for line in to_markdown(renamed).splitlines() if line.startswith("|")]
    assert len(grid) == 2 + len(table.rows)
    for marked in ("[a]", "<script>"):
        assert not [line for line in grid if marked in line.replace("\\" + marked[0], "")]
