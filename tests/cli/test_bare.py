"""Commands in an environment without any extra: they work, or say in one line what to install."""

from __future__ import annotations

import json

import pytest


def test_a_user_is_explained(bare, job) -> None:
    done = bare("explain", "s3-u00001", "--store", job.store)
    assert (done.returncode, done.stderr) == (0, "")
    assert "How s3-u00001 differs" in done.stdout


def test_a_model_that_runs_elsewhere_is_evaluated(bare, job, tmp_path) -> None:
    changes = {"encoder": job.settings["encoder"], "targets": {"max_test": 2}, "metrics": [], "controls": []}
    changes |= {"context": {"k": 2}, "backbone": {"model": "fake"}, "negative_controls": False}
    told = [flag for name, value in changes.items() for flag in ("--set", f"{name}={json.dumps(value)}")]
    done = bare("evaluate", "--store", job.store, "--split", str(job.split), "--out", str(tmp_path / "found"), *told)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found" / "report.md").is_file()


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("serve --upstream http://localhost:1/v1 --model m", "serve"),
        ("mcp", "serve"),
        ("table dep/table-9 --out tables", "train"),
        ("study --out study", "all"),
    ],
)
def test_what_needs_an_extra_names_it_in_one_line(bare, command, extra, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = bare(*command.split())
    assert done.returncode == 6
    assert f"pip install 'idiolect[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
