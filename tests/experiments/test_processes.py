"""Several processes fit what one fits, and the first alone writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from idiolect.config import merge
from idiolect.errors import ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.pipeline.commands import run_fit
from idiolect.softprompt.adapter import Adapter


@pytest.fixture
def split(job: Any, tmp_path: Path) -> Path:
    """The job's split without the snapshots that other tests left beside it."""
    return Path(shutil.copytree(job.split, tmp_path / "split", ignore=shutil.ignore_patterns("snapshots")))


@pytest.fixture
def settings(job: Any) -> dict[str, Any]:
    """Settings of one process: a batch of four examples, the control too."""
    exact = {"fit": {"bf16": "off", "every": 2}, "backbone": {"model": str(job.backbone)}}
    return merge(job.settings, exact)


def in_two_processes(job: Any, split: Path, folder: Path, settings: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """``idiolect fit`` under torchrun, each process with half of every batch."""
    half = {"fit": {"batch_size": settings["fit"]["batch_size"] // 2}}
    return under_torchrun("fit", job, split, folder, merge(settings, half))


def under_torchrun(
    command: str, job: Any, split: Path, folder: Path, settings: dict[str, Any], *more: str
) -> subprocess.CompletedProcess[str]:
    """A command in two processes."""
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    asked = ["-m", "idiolect.cli.main", command, "--store", job.store, "--split", str(split), "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    options = {"env": environment, "capture_output": True, "text": True}
    return subprocess.run([*launch, *asked, "--config", str(file), "--json", *more], check=False, **options)


def test_two_processes_fit_the_adapters_that_one_does(
    job: Any, split: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    done = in_two_processes(job, split, tmp_path / "two", settings)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads(done.stdout)  # one object, so one process spoke
    assert record["dep"]["steps"] == record["constant"]["steps"] == 3
    assert len(list((split / "snapshots").iterdir())) == 2

    run_fit(job.store, split, tmp_path / "one", changes=settings)
    written = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert written[0] == written[1]
    assert_fitted_alike(tmp_path / "one", tmp_path / "two")


def assert_fitted_alike(first: Path, second: Path) -> None:
    """Adapter and trained constant have the same weights, up to rounding."""
    for name in ("", "constant"):
        one, two = (Adapter.from_pretrained(folder / name).state_dict() for folder in (first, second))
        assert one.keys() == two.keys()
        for key in one:
            torch.testing.assert_close(two[key], one[key], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_processes_that_share_the_backbones_layers_fit_the_adapters_that_one_does(
    job: Any, split: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    sharded = merge(settings, {"fit": {"sharded": True}})
    done = in_two_processes(job, split, tmp_path / "two", sharded)
    assert done.returncode == 0, done.stderr[-3000:]
    with pytest.raises(ConfigError, match="torchrun"):  # one process has nobody to share them with
        run_fit(job.store, split, tmp_path / "one", changes=sharded)
    run_fit(job.store, split, tmp_path / "one", changes=settings)
    assert_fitted_alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_mistake_that_the_first_process_meets_ends_them_all(
    job: Any, split: Path, settings: dict[str, Any], copied: Path
) -> None:
    done = in_two_processes(job, split, copied, merge(settings, {"seed": 5}))
    assert done.returncode != 0
    assert "holds another fit: fit, seed changed" in done.stderr
    assert "idiolect/experiments" not in done.stderr  # no process leaves a traceback of ours


def outputs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What was written, by condition, without the times that it took."""
    files = sorted((folder / "samples").glob("*.jsonl"))
    return {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in files}


@pytest.mark.slow
def test_two_processes_evaluate_what_one_does(job: Any, split: Path, adapter: Path, tmp_path: Path) -> None:
    """Every condition, DEP and its controls too; an interrupted evaluation goes on."""
    done = under_torchrun("evaluate", job, split, tmp_path / "two", {}, "--adapter", str(adapter), "--quiet")
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads(done.stdout)  # one object, so one process spoke
    run_evaluate(job.store, split, tmp_path / "one", adapter=adapter)
    one, two = outputs(tmp_path / "one"), outputs(tmp_path / "two")
    assert one.keys() == two.keys() >= {"rag", "dep"}
    for name, rows in one.items():
        for alone, shared in zip(rows, two[name], strict=True):
            assert shared["nll"] == pytest.approx(alone["nll"], rel=1e-4)
            assert [shared[key] for key in ("user", "target", "text")] == [
                alone[key] for key in ("user", "target", "text")
            ]
    assert record["samples"] == len(one["rag"])

    kept = (tmp_path / "two" / "samples" / "rag.jsonl").read_bytes()
    (tmp_path / "two" / "samples" / "dep.jsonl").unlink()
    again = under_torchrun("evaluate", job, split, tmp_path / "two", {}, "--adapter", str(adapter), "--quiet")
    assert again.returncode == 0, again.stderr[-3000:]
    assert (tmp_path / "two" / "samples" / "rag.jsonl").read_bytes() == kept
    assert [row["text"] for row in outputs(tmp_path / "two")["dep"]] == [row["text"] for row in two["dep"]]


@pytest.mark.slow
def test_an_endpoint_is_not_asked_by_several_processes(job: Any, split: Path, tmp_path: Path) -> None:
    settings = {"backbone": {"backend": "openai", "endpoint": {"model": "m", "base_url": "http://127.0.0.1:9"}}}
    done = under_torchrun("evaluate", job, split, tmp_path / "two", settings)
    assert done.returncode != 0
    assert "'openai' is not shared over processes" in done.stderr
    assert not (tmp_path / "two").exists()
