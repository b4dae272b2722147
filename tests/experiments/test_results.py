from __future__ import annotations

from pathlib import Path

from idiolect.pipeline.results import read_lines, sample_row, texts, write_lines
from idiolect.types import ItemId, Prediction, Sample, UserId

SEPARATORS = "one\u2028two\u2029three\x85four\x0bfive\nsix\r\nseven"


def test_lines_come_back_whatever_separators_their_texts_hold(tmp_path: Path) -> None:
    rows = [{"text": SEPARATORS, "nll": 1.5}, {"text": None, "nll": 2.0}, {"text": "", "nll": 0.0}]
    write_lines(tmp_path / "rows.jsonl", rows)
    assert read_lines(tmp_path / "rows.jsonl") == rows


def test_no_rows_are_an_empty_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", [])
    assert read_lines(tmp_path / "rows.jsonl") == []


def test_a_condition_has_texts_or_none() -> None:
    sample = Sample(user=UserId("u"), item=ItemId("i"), reference="mine")
    written = sample_row(Prediction(sample=sample, method="rag", text="theirs"), 2.5, user="u")
    scored = sample_row(None, 2.5, user="u")
    assert written["text"] == "theirs"
    assert written["nll"] == scored["nll"] == 2.5
    assert "sample" not in written
    assert texts([written, written]) == ["theirs", "theirs"]
    assert texts([written, scored]) is None
