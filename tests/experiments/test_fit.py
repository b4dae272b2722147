"""Fitting from a split: what is left behind, and what an earlier fit's folder is good for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from idiolect.config import merge
from idiolect.errors import ConfigError
from idiolect.experiments.commands import load_settings, run_fit


@pytest.fixture
def fit(job: Any):
    def run(folder: Path, **changes: Any):
        settings = merge(job.settings, changes)
        return run_fit(job.store, job.split, folder, changes=settings, backbone=str(job.backbone))

    return run


def test_an_adapter_lies_with_everything_it_was_fitted_with(job: Any, adapter: Path) -> None:
    names = {path.name for path in adapter.iterdir()}
    assert {"config.json", "adapter.safetensors", "README.md", "settings.json", "log.jsonl", "constant"} <= names
    assert load_settings(adapter).encoder == "hash:48"
    assert load_settings(adapter).backbone.model == str(job.backbone)
    card = (adapter / "README.md").read_text()
    assert "visibility" in card
    assert f"{job.backbone.name}@" in card


def test_a_finished_fit_is_read_back_and_an_unwanted_control_removed(copied: Path, fit, monkeypatch) -> None:
    weights = (copied / "adapter.safetensors").read_bytes()
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("fitted again"))
    assert set(fit(copied)) == {"dep", "constant"}
    assert set(fit(copied, constant_control=False)) == {"dep"}
    assert not (copied / "constant").exists()
    assert (copied / "adapter.safetensors").read_bytes() == weights


@pytest.mark.parametrize(("changes", "named"), [({"seed": 5}, "seed"), ({"fit": {"learning_rate": 1e-4}}, "fit")])
def test_another_fit_is_refused_in_a_used_folder(copied: Path, fit, changes: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=f"another fit: {named} changed"):
        fit(copied, **changes)


def test_meteor_of_written_texts_may_choose_the_checkpoint(job: Any, fit, tmp_path: Path) -> None:
    changes = {"fit": {"max_steps": 1, "metric": "meteor"}, "constant_control": False}
    (report,) = fit(tmp_path / "a", **changes, sampling={"max_new_tokens": 2}).values()
    assert report.best_metric is not None
    assert 0 <= report.best_metric <= 1


def test_no_adapter_is_fitted_to_a_backend_without_weights(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="backend 'fake' has none"):
        run_fit(job.store, job.split, tmp_path / "a", changes=job.settings, backbone="fake")
    assert not (tmp_path / "a").exists()
