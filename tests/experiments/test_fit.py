"""Fitting from a split: what is left behind, and what an earlier fit's folder is good for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from idiolect.config import merge
from idiolect.errors import ArtifactError, ConfigError
from idiolect.methods.controls import TRAINED_CONTROLS
from idiolect.pipeline.commands import load_settings, run_fit
from idiolect.pipeline.results import read_lines
from idiolect.store.sql import SqlStore


@pytest.fixture
def fit(job: Any):
    def run(folder: Path, *, initial: Path | None = None, **changes: Any):
        settings = merge(job.settings, changes)
        return run_fit(job.store, job.split, folder, changes=settings, backbone=str(job.backbone), initial=initial)

    return run


def test_an_adapter_lies_with_everything_it_was_fitted_with(job: Any, adapter: Path) -> None:
    names = {path.name for path in adapter.iterdir()}
    assert {"config.json", "adapter.safetensors", "README.md", "settings.json", "log.jsonl", "constant"} <= names
    with SqlStore(job.store) as store:
        settings = load_settings(adapter, store=store)
    assert (settings.encoder, settings.backbone.model) == ("hash:48", str(job.backbone))
    card = (adapter / "README.md").read_text()
    assert "visibility" in card
    assert f"{job.backbone.name}@" in card


def test_a_finished_fit_is_read_back_and_unwanted_controls_removed(
    job: Any, copied: Path, fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = (copied / "adapter.safetensors").read_bytes()
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("fitted again"))
    assert list(fit(copied, controls=["his_twice", "constant"])) == ["dep", "constant", "his_twice"]
    assert {path.name for path in copied.iterdir()} & TRAINED_CONTROLS.keys() == {"constant", "his_twice"}
    assert list(fit(copied, controls=[])) == ["dep"]
    assert not {path.name for path in copied.iterdir()} & TRAINED_CONTROLS.keys()
    assert (copied / "adapter.safetensors").read_bytes() == weights
    assert load_settings(copied, backbone=str(job.backbone)).controls == ()


def test_controls_are_trained_as_dep_is_but_for_what_their_virtual_tokens_hold(adapter: Path) -> None:
    folders = {"dep": adapter, **{name: adapter / name for name in TRAINED_CONTROLS}}
    fits = {name: json.loads((folder / "fit.json").read_text()) for name, folder in folders.items()}
    assert {name: fit["adapter"]["kind"] for name, fit in fits.items()} == {
        **dict.fromkeys(fits, "dep"),
        "constant": "constant",
    }
    assert fits["dep"]["examples"] == fits["constant"]["examples"]
    assert len({fit["examples"] for fit in fits.values()}) == 3
    assert len({json.dumps(fit["fit"]) for fit in fits.values()}) == 1
    assert len({(folder / "adapter.safetensors").read_bytes() for folder in folders.values()}) == 4
    assert len({len(read_lines(folder / "log.jsonl")) for folder in folders.values()}) == 1
    assert "vectors: his_twice" in (adapter / "his_twice" / "README.md").read_text()


@pytest.mark.parametrize(("changes", "named"), [({"seed": 5}, "seed"), ({"fit": {"learning_rate": 1e-4}}, "fit")])
def test_another_fit_is_refused_in_a_used_folder(copied: Path, fit, changes: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=f"another fit: {named} changed"):
        fit(copied, **changes)


def test_training_goes_on_from_another_adapter(adapter: Path, fit, tmp_path: Path) -> None:
    fit(tmp_path / "a", initial=adapter, fit={"learning_rate": 1e-12})
    for name in (".", "constant"):
        first, then = (load_file(folder / name / "adapter.safetensors") for folder in (adapter, tmp_path / "a"))
        assert first.keys() == then.keys()
        assert all(np.allclose(first[key], then[key], atol=1e-6) for key in first)


def test_training_does_not_go_on_from_an_adapter_of_another_encoder(copied: Path, fit, tmp_path: Path) -> None:
    record = json.loads((copied / "settings.json").read_text())
    (copied / "settings.json").write_text(json.dumps({**record, "encoder": "another"}))
    with pytest.raises(ArtifactError, match="fitted with the encoder 'another'"):
        fit(tmp_path / "a", initial=copied)
    assert not (tmp_path / "a").exists()


def test_meteor_of_written_texts_may_choose_the_checkpoint(job: Any, fit, tmp_path: Path) -> None:
    changes = {"fit": {"max_steps": 1, "metric": "meteor"}, "controls": []}
    (report,) = fit(tmp_path / "a", **changes, sampling={"max_new_tokens": 2}).values()
    assert report.best_metric is not None
    assert 0 <= report.best_metric <= 1


def test_no_adapter_is_fitted_to_a_backend_without_weights(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="backend 'fake' has none"):
        run_fit(job.store, job.split, tmp_path / "a", changes=job.settings, backbone="fake")
    assert not (tmp_path / "a").exists()


def test_a_fit_with_another_task_than_the_backbone_was_pretrained_with_warns_once(
    fit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(tmp_path / "adapter", controls=[], prompt={"task": "reply"})
    assert sum("pretrained on prompts of the task 'review'" in record.message for record in caplog.records) == 1
