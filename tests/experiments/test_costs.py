"""Costs of the stages of a long run, over interrupted calls."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest

from idiolect.errors import ArtifactError
from idiolect.experiments.real.costs import Costs


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_an_interrupted_stage_goes_on_from_what_was_recorded(tmp_path):
    path = tmp_path / "cost.json"
    with suppress(KeyboardInterrupt), Costs(path).stage("fit"):
        busy(0.2)
        raise KeyboardInterrupt
    first = Costs(path).stages["fit"]
    assert first.processor_seconds >= 0.15
    assert not first.finished
    costs = Costs(path)
    with costs.stage("fit"):
        busy(0.2)
    assert costs.stages["fit"].processor_seconds >= first.processor_seconds + 0.15
    assert costs.stages["fit"].seconds >= first.seconds + 0.2
    assert (costs.stages["fit"].calls, costs.stages["fit"].finished) == (2, True)
    assert "Interrupted: fit." in costs.to_markdown()


def test_a_finished_stage_is_not_counted_again(tmp_path):
    path = tmp_path / "cost.json"
    with Costs(path).stage("fit"):
        pass
    before, again = path.read_bytes(), Costs(path)
    with again.stage("fit"):
        busy(0.1)
    assert path.read_bytes() == before
    assert "Interrupted" not in again.to_markdown()


def test_a_kill_loses_little(tmp_path):
    path = tmp_path / "cost.json"
    with Costs(path, every=0.02).stage("fit"):
        busy(0.3)
        recorded = json.loads(path.read_text())["stages"]["fit"]  # what is left after a kill at this moment
    assert recorded["processor_seconds"] > 0.05
    assert not recorded["finished"]


def test_stages_of_an_earlier_version_are_named_and_not_counted(tmp_path):
    (tmp_path / "model").touch()
    costs = Costs(tmp_path / "cost.json")
    with costs.stage("pretraining", output=tmp_path / "model"):
        pass
    with costs.stage("fit", output=tmp_path / "adapter"):
        (tmp_path / "adapter").touch()
    for found in (costs, Costs(tmp_path / "cost.json")):
        assert [*found.stages] == ["fit"]
        assert "Without a record of their own: pretraining." in found.to_markdown()
    again = Costs(tmp_path / "cost.json")
    with again.stage("fit", output=tmp_path / "adapter"):
        pass
    assert again.stages == costs.stages


@pytest.mark.parametrize("content", ["{", "[]", '{"stages": {"fit": {"seconds": -1}}}', '{"stage": {}}'])
def test_a_damaged_record_is_named(tmp_path, content):
    path = tmp_path / "cost.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"cost\.json"):
        Costs(path)
