"""What is no number is left out and said; what breaks the seam of metrics is one clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.errors import InputError
from idiolect.evaluation.columns import columns
from idiolect.metrics.base import Signature
from idiolect.pipeline.results import read_lines, write_json, write_lines


class Own:
    """A metric of somebody's own."""

    greater_is_better = True

    def __init__(self, name: str, values: Any) -> None:
        self.name, self._values = name, values

    def segments(self, predictions: list[str], references: list[str]) -> np.ndarray:
        return np.asarray(self._values)

    def aggregate(self, stats: np.ndarray) -> float:
        return float(np.mean(stats))

    def signature(self) -> Signature:
        return Signature((("metric", self.name),))


def rows(*nats: float | None, text: str | None = "words") -> list[dict[str, Any]]:
    return [{"nll": value, "text": text} for value in nats]


def test_a_metric_may_give_one_number_a_text() -> None:
    found = columns("rag", rows(1.0, 2.0), [Own("own", [3, 4])], ["a", "b"])
    assert found.stats["own"].tolist() == [[3.0], [4.0]]
    assert found.stats["nll"].tolist() == [1.0, 2.0]
    assert found.notes == ()


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_column_with_something_that_is_no_number_is_left_out_and_noted(lost: float) -> None:
    found = columns("rag", rows(1.0, lost, 2.0), [Own("own", [[1.0, 2], [lost, 1], [1, lost]])], ["a"] * 3)
    assert found.stats == {}
    assert found.notes == (
        "rag: nll is left out: 1 of 3 samples have no finite value",
        "rag: own is left out: 2 of 3 samples have no finite value",
    )


def test_a_likelihood_that_is_missing_for_some_is_noted_and_one_that_was_not_asked_for_is_not() -> None:
    assert columns("rag", rows(1.0, None), [], ["a", "b"]).notes
    assert columns("rag", rows(None, None), [], ["a", "b"]) == ({}, ())
    assert columns("rag", rows(1.0, text=None), [Own("own", [1.0])], ["a"]).stats.keys() == {"nll"}


@pytest.mark.parametrize("values", [[[1.0]], 3.0, [[[1.0]], [[1.0]]]])
def test_a_metric_with_other_rows_than_texts_is_one_clear_error(values: Any) -> None:
    with pytest.raises(InputError, match=r"metric 'own' gave .* for 2 texts"):
        columns("rag", rows(None, None), [Own("own", values)], ["a", "b"])


def test_files_are_json_whatever_the_numbers(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", {"a": float("nan"), "b": [1.5, float("-inf")], "c": "NaN é"})
    write_lines(tmp_path / "rows.jsonl", [{"nll": float("nan")}, {"nll": 2.0}])

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is not JSON")

    text = (tmp_path / "one.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == {"a": None, "b": [1.5, None], "c": "NaN é"}
    assert read_lines(tmp_path / "rows.jsonl") == [{"nll": None}, {"nll": 2.0}]
