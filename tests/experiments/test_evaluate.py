"""From an adapter to a table, and whose outputs a folder holds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from idiolect.config import merge
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, ConfigError
from idiolect.evaluation.conditions import conditions
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.runner import run_evaluate
from idiolect.llm.fake import FakeLLM
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline.commands import load_settings
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import Models, task_notes
from idiolect.pipeline.results import read_lines
from idiolect.pipeline.settings import Settings
from idiolect.prompts import tasks
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore

TRAINED = ["dep: trained constant", "dep: shuffled peers", "dep: his twice"]
METHODS = ["nonpersonalized", "rag", "pag", "dpl", "drp"]
"""Those that need no adapter."""
SHOWN = [name if name in METHODS[:2] else f"{name} (measured)" for name in METHODS]
CONTROLS = [*TRAINED, "dep: another user's vectors", "dep: wrong user"]


class Plain(FakeLLM):
    """Takes text alone."""

    name = "plain"
    supports = frozenset({"likelihood"})


@pytest.fixture(scope="module")
def results(job: Any, adapter: Path) -> Path:
    """A finished evaluation."""
    run_evaluate(job.store, job.split, job.folder / "results", adapter=adapter)
    return job.folder / "results"


@pytest.fixture
def used(results: Path, tmp_path: Path) -> Path:
    """Its folder's copy."""
    return Path(shutil.copytree(results, tmp_path / "results"))


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be generated or scored by a model."""
    for name in ("generate", "negative_log_likelihood"):
        monkeypatch.setattr(
            f"idiolect.llm.transformers.TransformersLLM.{name}", lambda *_, **__: pytest.fail("computed again")
        )


def test_methods_and_controls_are_scored_with_what_their_numbers_depend_on(results: Path) -> None:
    record = json.loads((results / "results.json").read_text())
    assert [row["name"] for row in record["tables"]["methods"]["methods"]] == [*SHOWN, "dep"]
    assert [row["name"] for row in record["tables"]["controls of dep"]["methods"]] == ["dep", *CONTROLS]
    for name, shown in zip(METHODS[1:], SHOWN[1:], strict=True):
        rows = record["tables"][f"controls of {shown}"]["methods"]
        assert [(row["method"], row["control"]) for row in rows] == [(name, None), (name, "wrong user")]
    assert {"settings", "versions", "device", "store", "backbone", "encoder", "split"} <= set(record)
    assert record["status"] == "complete"
    rows = read_lines(results / "samples" / "dep.jsonl")
    assert len(rows) == record["samples"] == 6
    assert all(row["anchors"] and row["reference"] and row["nll"] > 0 for row in rows)
    report = (results / "report.md").read_text()
    assert "†" in report
    settled = [
        (verdict["method"]["method"], verdict["baseline"]["method"], verdict["source"])
        for verdict in record["verdicts"]
    ]
    assert settled == [
        *((name, "nonpersonalized", "user") for name in METHODS[1:]),
        ("dep", "nonpersonalized", "user"),
        ("dep", "rag", "user"),
        ("dep", "rag", "difference"),
    ]
    for verdict in record["verdicts"]:
        assert verdict["sentence"][1:] in report


def test_a_control_is_fed_at_test_what_it_was_trained_on(results: Path) -> None:
    names = ["dep", "dep-trained-constant", "dep-shuffled-peers", "dep-his-twice"]
    rows = {name: read_lines(results / "samples" / f"{name}.jsonl") for name in names}
    assert len({tuple(row["nll"] for row in own) for own in rows.values()}) == 4


def test_without_text_the_bare_prompt_is_a_control_too(job: Any, adapter: Path) -> None:
    settings = Settings.model_validate(merge(job.settings, {"prompt": {"with_text": False}}))
    with SqlStore(job.store, create=False) as store:
        data = Data(store, job.split, settings, encoder=load_encoder("hash:48"))
        llm = TransformersLLM.load(BackboneConfig(model=str(job.backbone)))
        with Models(llm, settings.sampling) as models:
            names = [one.id.plain_name for one in conditions(data, models, adapter) if one.control]
        with (
            pytest.raises(ConfigError, match="dep needs soft, which plain does not support"),
            Models(Plain(), settings.sampling) as models,
        ):
            conditions(data, models, adapter)
    assert names == [*(f"{name}: wrong user" for name in METHODS[1:]), *CONTROLS, "dep: no adapter"]


def test_what_every_stage_took_is_in_the_result_and_the_report(results: Path) -> None:
    record = json.loads((results / "results.json").read_text())
    assert set(record["usage"]) == {*METHODS, "dep"}, "controls wrote nothing"
    for name, stages in record["usage"].items():
        rows = read_lines(results / "samples" / f"{name}.jsonl")
        assert stages["write"]["calls"] == len(rows)
        assert stages["write"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in rows)
    assert "## What it took\n\n| run | stage |" in (results / "report.md").read_text()


@pytest.mark.usefixtures("no_model")
def test_methods_may_be_left_out_of_a_table_and_come_back(job: Any, adapter: Path, used: Path) -> None:
    for chosen in (["drp"], []):
        run_evaluate(job.store, job.split, used, adapter=adapter, changes={"methods": chosen})
        record = json.loads((used / "results.json").read_text())
        named = [row["name"] for row in record["tables"]["methods"]["methods"]]
        assert named == ["nonpersonalized", "rag", *(f"{name} (measured)" for name in chosen), "dep"]
    other = {"differences": {"comparison": {"anchors": 2}}}
    with pytest.raises(ConfigError, match="another settings"):
        run_evaluate(job.store, job.split, used, adapter=adapter, changes=other)


def test_an_evaluation_is_complete_only_with_its_report(
    job: Any, adapter: Path, used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("results.json", "report.md"):
        (used / name).unlink()

    def interrupted(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluation, "_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_evaluate(job.store, job.split, used, adapter=adapter)
    monkeypatch.undo()
    assert not (used / "results.json").exists()
    run_evaluate(job.store, job.split, used, adapter=adapter)
    assert json.loads((used / "results.json").read_text())["status"] == "complete"
    assert (used / "report.md").exists()


def test_controls_write_no_texts_unless_asked(results: Path) -> None:
    rows = read_lines(results / "samples" / "dep-wrong-user.jsonl")
    assert all(row["text"] is None and row["nll"] > 0 for row in rows)


@pytest.mark.usefixtures("no_model")
def test_other_metrics_are_computed_of_the_same_outputs(job: Any, adapter: Path, used: Path) -> None:
    def scored(**changes: Any) -> set[str]:
        run_evaluate(job.store, job.split, used, adapter=adapter, changes=changes)
        record = json.loads((used / "results.json").read_text())
        return {score for row in record["tables"]["methods"]["methods"] for score in row["scores"]}

    assert scored() == {"nll", "rougeL"}
    assert scored(metrics=["rouge1", "bleu"], resamples=150) == {"nll", "rouge1", "bleu"}
    assert "users' own texts" not in (used / "report.md").read_text()
    assert scored(metrics=["trait-fidelity"]) == {"nll", "trait-fidelity"}
    record = json.loads((used / "results.json").read_text())
    assert -1 <= record["users_own_fidelity"]["low"] <= record["users_own_fidelity"]["value"] <= 1
    report = (used / "report.md").read_text()
    assert "users' own texts: trait-fidelity" in report
    assert {"the users' own texts", "others' texts on the same items", "rag"} <= record["calibration"]["rows"].keys()
    assert "## Style between others' texts and the users' own" in report


@pytest.mark.usefixtures("no_model")
def test_a_folder_holds_one_evaluation(job: Any, adapter: Path, copied: Path, used: Path) -> None:
    with pytest.raises(ConfigError, match="another settings"):
        run_evaluate(job.store, job.split, used, adapter=adapter, changes={"seed": 9})
    with pytest.raises(ConfigError, match="another generate_controls"):
        run_evaluate(job.store, job.split, used, adapter=adapter, generate_controls=True)
    run_evaluate(job.store, job.split, used, adapter=copied)
    weights = {name: tensor + 1 for name, tensor in load_file(copied / "adapter.safetensors").items()}
    save_file(weights, copied / "adapter.safetensors")
    with pytest.raises(ConfigError, match="another adapter"):
        run_evaluate(job.store, job.split, used, adapter=copied)


@pytest.mark.usefixtures("no_model")
def test_an_adapter_is_not_tested_on_a_split_made_anew(job: Any, adapter: Path, tmp_path: Path) -> None:
    changes = {**job.thresholds, "test": 2}
    split_store(job.store, tmp_path / "split", preset="small", changes=changes)
    with pytest.raises(ArtifactError, match="another split of this store"):
        run_evaluate(job.store, tmp_path / "split", tmp_path / "out", adapter=adapter)
    assert not (tmp_path / "out").exists()


def test_methods_without_adapter_are_evaluated_with_a_fake_and_no_torch(job: Any, tmp_path: Path) -> None:
    settings = {**job.settings, "backbone": {"model": "fake"}}
    script = (
        "import json, sys\nfrom pathlib import Path\n"
        "from idiolect.evaluation.runner import run_evaluate\nstore, split, out, settings = sys.argv[1:]\n"
        "run_evaluate(store, Path(split), Path(out), changes=json.loads(settings))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    where = [job.store, str(job.split), str(tmp_path / "out"), json.dumps(settings)]
    subprocess.run([sys.executable, "-c", script, *where], check=True)
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record["backbone"] == "fake"
    assert record["device"].startswith("cpu")
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.splitlines()[2].startswith("**The model `fake` copies its prompt")
    assert re.match(r"backbone fake; encoder .*; split ", report.splitlines()[4])
    signatures = [column["signature"] for column in record["tables"]["methods"]["metrics"]]
    assert [report.count(f"- `{signature}`") for signature in signatures] == [1] * len(signatures)
    assert [row["name"] for row in record["tables"]["methods"]["methods"]] == SHOWN
    assert all(row["anchors"] for row in read_lines(tmp_path / "out" / "samples" / "rag.jsonl"))


def test_settings_can_be_chosen_on_validation_targets(job: Any, tmp_path: Path) -> None:
    changes = {**job.settings, "backbone": {"model": "fake"}, "methods": [], "metrics": ["rougeL", "trait-fidelity"]}
    targets = {"targets": {"evaluated": "validation", "max_validation": 5}}
    run_evaluate(job.store, job.split, tmp_path / "out", changes=merge(changes, targets))
    written = {row["target"] for row in read_lines(tmp_path / "out" / "samples" / "rag.jsonl")}
    members = pl.read_parquet(job.split / "members.parquet")
    assert len(written) == 5
    assert written <= set(members.filter(pl.col("role") == "validation")["review_id"])
    with pytest.raises(ConfigError, match="another peers, settings"):
        run_evaluate(job.store, job.split, tmp_path / "out", changes=changes)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("samples/rag.jsonl", "[" * 50_000, "line 1"),
        ("samples/rag.jsonl", "{}\n", "is not what an evaluation writes"),
        ("samples/rag.jsonl", "", "other samples"),
        ("claim.json", "{", "holds other files"),
        ("claim.json", "[" * 50_000, "holds other files"),
        ("claim.json", "[]", "holds other files"),
    ],
)
def test_an_evaluation_goes_on_only_with_what_it_wrote(
    job: Any, adapter: Path, used: Path, name: str, content: str, message: str
) -> None:
    (used / name).write_text(content)
    with pytest.raises((ArtifactError, ConfigError), match=message) as found:
        run_evaluate(job.store, job.split, used, adapter=adapter)
    assert "\n" not in str(found.value)


def test_another_task_than_the_backbone_was_pretrained_with_is_named_once(
    job: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = merge(job.settings, {"methods": [], "prompt": {"task": "reply"}, "controls": []})
    run_evaluate(job.store, job.split, tmp_path / "out", changes=changes, backbone=str(job.backbone))
    said = "pretrained on prompts of the task 'review', and these are of the task 'reply'"
    assert [said in record.message for record in caplog.records if "pretrained" in record.message] == [True]
    assert (tmp_path / "out" / "report.md").read_text().count(said) == 1


def test_the_task_that_the_backbone_was_pretrained_with_is_no_matter(job: Any, tmp_path: Path) -> None:
    settings = load_settings(changes=job.settings, backbone=str(job.backbone))
    assert task_notes(settings) == []
    own = tmp_path / "mine.yaml"
    own.write_bytes((tasks.FOLDER / "review.yaml").read_bytes())
    same = settings.model_copy(update={"prompt": settings.prompt.model_copy(update={"task": str(own)})})
    assert task_notes(same) == []
    own.write_text(own.read_text().replace("reviews", "notices"))
    tasks.load_task.cache_clear()
    assert len(task_notes(same)) == 1
    fake = settings.backbone.model_copy(update={"model": "fake"})
    assert task_notes(same.model_copy(update={"backbone": fake})) == []
