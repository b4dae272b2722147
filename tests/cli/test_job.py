"""The whole job as a user types it, on the least that a corpus can be: users, items and texts."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from idiolect.cli.main import main
from idiolect.store.sql import SqlStore

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def declared_extras() -> set[str]:
    """Of the repository, or of the installed package if the tests stand alone."""
    if not PROJECT.is_file():
        return set(metadata.metadata("idiolect").get_all("Provides-Extra"))
    return set(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"])


@pytest.fixture(scope="module")
def plain(job: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of reviews without titles, ratings or times, and no file of items."""
    path = tmp_path_factory.mktemp("plain") / "reviews.jsonl"
    with SqlStore(job.store) as store:
        rows = store.review_frame().sort("user", "order").select("user", "item", "text")
    rows.write_ndjson(path)
    return path


@pytest.fixture
def call(plain: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command on the plain corpus' store and gives its JSON."""

    def run(command: str, *tokens: str) -> dict[str, Any]:
        main([command, *tokens, "--store", str(plain.parent / "s.db"), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def test_from_a_file_of_reviews_to_a_table_and_a_text(job: Any, plain: Path, call) -> None:
    split, adapter, out = (str(plain.parent / name) for name in ("split", "adapter", "results"))
    assert call("ingest", str(plain))["items_added"] == 0
    thresholds = [token for name, value in job.thresholds.items() for token in ("--set", f"{name}={value}")]
    assert call("split", "--out", split, *thresholds)["users"] > 1
    assert call("embed", "--encoder", "hash:48", "--split", split)["embedded"] > 0

    settings = [token for name, value in job.settings.items() for token in ("--set", f"{name}={json.dumps(value)}")]
    fitted = call("fit", "--split", split, "--out", adapter, "--backbone", str(job.backbone), *settings)
    assert fitted["dep"]["steps"] == fitted["constant"]["steps"] == 3
    assert fitted["constant"]["folder"] == str(Path(adapter) / "constant")

    result = call("evaluate", "--split", split, "--out", out, "--adapter", adapter, "--set", "targets.max_test=4")
    assert result["samples"] == 4
    methods = ["nonpersonalized", "rag", "pag (measured)", "dpl (measured)", "drp (measured)", "dep"]
    assert [row["name"] for row in result["tables"]["methods"]["methods"]] == methods

    user, item = (json.loads(plain.read_text().splitlines()[0])[field] for field in ("user", "item"))
    written = call("write", "--user", user, "--item", item, "--adapter", adapter)
    assert (written["user"], written["item"], written["method"]) == (user, item, "dep")
    assert len(written["anchors"]) == 2
    assert written["prompt_tokens"] > written["completion_tokens"] > 0
    assert written["profile"] is None
    drp = call("write", "--user", user, "--item", item, "--adapter", adapter, "--method", "drp")
    assert drp["method"] == "drp"
    assert drp["profile"].startswith("Compared with others, this user ")
    assert drp["usage"]["write"]["prompt_tokens"] == drp["prompt_tokens"]
    assert [one["text"] for one in drp["stages"] if one["name"] == "write"]
    assert {feature["valid"] for feature in drp["features"]} <= {True, False}
    assert all({"name", "comparison", "quotes", "status", "reason"} <= feature.keys() for feature in drp["features"])


def test_doctor_names_everything_it_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)
    assert {"python", "device", "encoder minilm", "wordnet", "sandbox backbone"} <= set(checks)
    looked_at = {name.removeprefix("extra ") for name in checks if name.startswith("extra ")}
    assert declared_extras() - looked_at == {"all", "dev", "docs", "encoders"}  # the last is part of minilm
    assert checks["python"]["ok"]
    assert all(check["remedy"] for check in checks.values() if not check["ok"])
    main(["doctor"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in checks)
