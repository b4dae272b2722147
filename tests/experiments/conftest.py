"""A fitted adapter, made once for every test of whole runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from idiolect.methods.controls import TRAINED_CONTROLS
from idiolect.pipeline.commands import run_fit


@pytest.fixture(scope="session")
def adapter(job: Any) -> Path:
    """An adapter and all its trained controls, fitted for three steps; never change it."""
    changes = {**job.settings, "controls": list(TRAINED_CONTROLS)}
    reports = run_fit(job.store, job.split, job.folder / "adapter", changes=changes, backbone=str(job.backbone))
    assert list(reports) == ["dep", *TRAINED_CONTROLS]
    assert 0 < reports["dep"].trainable_share < 1
    assert reports["dep"].steps == 3
    return job.folder / "adapter"


@pytest.fixture
def copied(adapter: Path, tmp_path: Path) -> Path:
    """The same adapter in a folder of the test's own."""
    return Path(shutil.copytree(adapter, tmp_path / "adapter"))
