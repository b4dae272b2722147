from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from idiolect.errors import ConfigError
from idiolect.experiments.demo import DemoConfig
from idiolect.pipeline.results import claim, read_lines, sample_row, texts, write_lines
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


def test_a_folder_stays_the_same_runs_when_settings_are_added_or_become_constants(tmp_path: Path) -> None:
    wanted = {"config": DemoConfig().model_dump(mode="json"), "version": "1"}
    older = json.loads(json.dumps(wanted))
    older["config"]["settings"].pop("uniqueness_groups")  # added since
    older["config"]["settings"]["fit"]["log_every"] = 10  # a constant now
    older["config"]["world"]["law_seed"] = 0
    claim(tmp_path / "demo.json", wanted, "demo", DemoConfig)
    for record, same in ((older, True), ({**older, "version": "0"}, False)):
        (tmp_path / "demo.json").write_text(json.dumps(record))
        with nullcontext() if same else pytest.raises(ConfigError, match="holds another demo: version changed"):
            claim(tmp_path / "demo.json", wanted, "demo", DemoConfig)
    older["config"]["settings"]["fit"]["log_every"] = 3
    (tmp_path / "demo.json").write_text(json.dumps(older))
    with pytest.raises(ConfigError, match="holds another demo: settings"):
        claim(tmp_path / "demo.json", wanted, "demo", DemoConfig)
