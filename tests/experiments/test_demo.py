"""The demo at its smallest: it runs through, goes on where it was, and keeps to its folder."""

from __future__ import annotations

import json
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


@pytest.fixture(scope="module")
def demo(config: DemoConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoReport, list[str]]:
    folder, said = tmp_path_factory.mktemp("demo") / "run", []
    return folder, run_demo(folder, config, say=said.append), said


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
    flags = [
        flag
        for part in ("world", "split", "settings")
        for flag in ("--set", f"{part}={json.dumps(config.model_dump(mode='json')[part])}")
    ]
    main(["demo", "--out", str(folder), "--json", "--quiet", *flags])
    record = json.loads(capsys.readouterr().out)
    assert record["users"] == report.users
    assert set(record) >= {"methods", "controls", "verdicts", "seconds"}
    main(["demo", "--out", str(folder), "--quiet", *flags])
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
    from idiolect.llm.registry import SANDBOX_BACKBONE
    from idiolect.llm.transformers import model_name
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
