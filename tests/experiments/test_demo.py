"""The demo at its smallest: it runs through, without PyTorch and with it, and keeps to its folder."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from idiolect.cli.main import main
from idiolect.config import build, merge
from idiolect.errors import ArtifactError, ConfigError
from idiolect.experiments.demo import DemoConfig, DemoReport, gains, run_demo
from idiolect.pipeline.adapters import CONSTANT, SANDBOX_ADAPTER, check_adapter
from idiolect.types import ConditionId


@pytest.fixture(scope="module")
def config(job: Any) -> DemoConfig:
    small = {
        "world": {"seed": 5, "n_users": 12, "n_items": 10, "reviews_per_user": [7, 8], "words": 20},
        "split": job.thresholds,
        "settings": merge(job.settings, {"backbone": {"model": str(job.backbone)}, "targets": {"max_test": 4}}),
    }
    return build(DemoConfig, merge(DemoConfig().model_dump(), small))


def flags(config: DemoConfig) -> list[str]:
    values = config.model_dump(mode="json")
    return [flag for part in values for flag in ("--set", f"{part}={json.dumps(values[part])}")]


@pytest.fixture(scope="module")
def measured(bare, config: DemoConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The demo without PyTorch: its folder, its record, and what it said on the way."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    done = bare("demo", "--out", str(folder), "--json", *flags(config))
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def demo(config: DemoConfig, measured) -> tuple[Path, DemoReport, list[str]]:
    """The whole demo, which continues where the one without PyTorch ended."""
    folder, said = measured[0], []
    assert json.loads((folder / "demo.json").read_text())["backbone"] is None
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(shown):
        patch.setattr("idiolect.progress.INTERVAL_S", 0.0)
        report = run_demo(folder, config, say=said.append, progress=True)
    (folder.parent / "progress.txt").write_text(shown.getvalue())
    return folder, report, said


def test_without_torch_what_needs_no_model_is_run_and_the_rest_is_named(measured) -> None:
    folder, record, said = measured
    assert [line.split()[0] for line in said.splitlines() if line[1:3] == "/5"] == ["1/5", "2/5", "3/5", "4/5"]
    assert said.count("not run") == 2
    assert record["not_run"] == ["methods", "controls", "verdicts", "uvq"]
    assert all(record[name] is None for name in record["not_run"])
    assert "'torch'" in record["missing"]
    assert record["install"] == "pip install 'idiolect[all]'"
    assert record["users"] > 1
    assert record["card"]["n_reviews"] > 1
    assert len(record["truth"]) > 3
    assert set(record["recovery"]["scores"]) >= {"e_his", "e_diff", "shuffled"}
    assert record["study"]["status"] == "complete"
    assert not (folder / "adapter").exists()
    assert not (folder / "results").exists()


def test_the_whole_demo_continues_in_the_folder_and_finds_the_same(bare, measured, demo, config: DemoConfig) -> None:
    (folder, record, _), (_, report, _) = measured, demo
    assert (report.missing, report.users, report.reviews) == (None, record["users"], record["reviews"])
    assert report.example.card.user == record["card"]["user"]
    assert report.recovery is not None
    assert asdict(report.recovery) == record["recovery"]
    kept = (folder / "demo.json").read_text()
    assert json.loads(kept)["backbone"].startswith("lm@")
    shown = bare("demo", "--out", str(folder), "--quiet", *flags(config)).stdout
    assert (folder / "demo.json").read_text() == kept
    words = " ".join(shown.split())
    for said in ("How much of the true habits", "gain of the second over the first", "Not run: fitting DEP", "+0.75",
                 "pip install 'idiolect[all]'", "it continues in"):  # fmt: skip
        assert said in words
    assert "What each method gains" not in shown
    user, store = record["card"]["user"], str(folder / "reviews.db")
    assert f"next     idiolect explain {user} --store {store}" in shown
    assert f"How {user} differs" in bare("explain", user, "--store", store).stdout


def test_without_a_terminal_the_evaluation_shows_its_progress_in_lines(demo) -> None:
    lines = (demo[0].parent / "progress.txt").read_text().splitlines()
    assert any(line.startswith("evaluate: 1 of ") for line in lines)


def test_a_world_that_is_too_small_to_probe_has_no_recovery(config: DemoConfig, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    world = config.world.model_copy(update={"n_users": 9})
    settings = config.settings.model_copy(update={"metrics": ("bleu",)})
    report = run_demo(tmp_path, config.model_copy(update={"world": world, "settings": settings}), say=lambda _: None)
    assert report.recovery is None
    assert report.evaluation is None
    assert "'sacrebleu'" in (report.missing or "")


def test_it_compares_methods_and_says_what_it_does(demo) -> None:
    folder, report, said = demo
    assert [line.split()[0] for line in said] == ["1/5", "2/5", "3/5", "4/5"]
    assert set(report.fits) == {"dep", "constant"}
    assert report.users > 1
    assert {one.method for one in report.evaluation.controls} == {"rag", "pag", "dpl", "drp", "dep"}
    controls = {row.control for row in report.evaluation.controls[ConditionId("dep")].rows}
    assert controls >= {"no adapter", "trained constant"}
    assert {path.name for path in folder.iterdir()} >= {"reviews.db", "truth.npz", "split", "adapter", "results"}
    assert [gain.method for gain in gains(report.evaluation)] == ["nonpersonalized", "rag", "pag", "dpl", "drp", "dep"]
    tested, validated = report.example.items
    assert set(tested.texts) == set(validated.texts) == {"nonpersonalized", "rag", "dep"}
    assert tested.reference != validated.reference


def test_a_second_call_reads_back_what_the_first_one_did(config, demo, monkeypatch, capsys) -> None:
    folder, report, _ = demo
    for name in ("generate", "negative_log_likelihood"):
        monkeypatch.setattr(
            f"idiolect.llm.transformers.TransformersLLM.{name}", lambda *_, **__: pytest.fail("computed again")
        )
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("fitted again"))
    main(["demo", "--out", str(folder), "--json", "--quiet", *flags(config)])
    record = json.loads(capsys.readouterr().out)
    assert record["users"] == report.users
    assert all(record[name] is not None for name in ("methods", "controls", "verdicts", "card", "recovery"))
    assert (record["not_run"], record["missing"], record["install"]) == ([], None, None)
    main(["demo", "--out", str(folder), "--quiet", *flags(config)])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("Non-Perso", "RAG", "PAG", "DPL", "DRP", "DEP"))
    assert report.example.card.verdict in " ".join(shown.split())
    assert "personal" in shown
    assert str(folder / "results" / "report.md") in shown
    assert (folder / "recorded-study.txt").is_file()


def test_damaged_records_end_in_one_line(config: DemoConfig, demo) -> None:
    folder, _, _ = demo
    for name in ("demo.json", "example.json"):
        path = folder / name
        whole = path.read_text()
        for damaged in (whole[: len(whole) // 2], "[1]", '{"a": 1}'):
            path.write_text(damaged)
            with pytest.raises((ArtifactError, ConfigError)) as found:
                run_demo(folder, config, say=lambda _: None)
            assert "\n" not in found.value.message
            assert found.value.hint
        path.write_text(whole)


def test_another_world_is_refused_in_its_folder(config: DemoConfig, demo) -> None:
    folder, _, _ = demo
    other = config.model_copy(update={"world": config.world.model_copy(update={"seed": 6})})
    with pytest.raises(ConfigError, match="another demo"):
        run_demo(folder, other, say=lambda _: None)


def test_the_shipped_adapters_fit_the_shipped_backbone_and_the_demos_settings() -> None:
    from idiolect.encoders import load_encoder
    from idiolect.llm.checkpoint import model_name
    from idiolect.llm.registry import SANDBOX_BACKBONE
    from idiolect.softprompt.artifact import read_config

    config, encoder = DemoConfig(), load_encoder("style")
    assert config.initial == SANDBOX_ADAPTER
    check_adapter(SANDBOX_ADAPTER, encoder=encoder.name, backbone=model_name("sandbox", SANDBOX_BACKBONE, None))
    hidden = json.loads((SANDBOX_BACKBONE / "config.json").read_text())["hidden_size"]
    wanted = config.settings.adapter_config(d_in=encoder.dim, hidden_size=hidden)
    for folder, kind in ((SANDBOX_ADAPTER, "dep"), (SANDBOX_ADAPTER / CONSTANT, "constant")):
        assert read_config(folder) == wanted.model_copy(update={"kind": kind})


def test_another_backbone_or_encoder_is_fitted_from_scratch(config: DemoConfig) -> None:
    assert config.initial is None
    shipped = DemoConfig()
    assert shipped.model_copy(update={"warm_start": False}).initial is None
    settings = shipped.settings.model_copy(update={"encoder": "minilm"})
    assert shipped.model_copy(update={"settings": settings}).initial is None
