from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from idiolect.config import build, merge
from idiolect.errors import ConfigError
from idiolect.experiments.study.arms import open_seed
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.report import RecordedStudy, recorded_study, run_names
from idiolect.experiments.study.run import run_study
from idiolect.experiments.study.sanity_check import OracleProfile, OracleVectors
from idiolect.pipeline.results import read_lines
from idiolect.types import ConditionId


def configured(job, **changes):
    """The study at a size that takes moments."""
    tiny = {
        "phase": "development",
        "development_seeds": [1, 2],
        "world": {"n_users": 20, "n_items": 10, "reviews_per_user": [8, 9], "words": 20},
        "split": {"min_item_users": 2, "min_user_reviews": 6, "min_peers": 2, "min_profile": 2, "min_text_chars": 10},
        "settings": {
            **job.settings,
            "backbone": {"model": str(job.backbone), "max_prompt_tokens": 700, "batch_size": 16},
            "context": {"k": 2},
            "targets": {"train_per_user": "last", "max_validation": 2, "max_test": 4},
            "fit": {"max_steps": 1, "batch_size": 2, "metric": "nll", "learning_rate": 0.01},
            "sampling": {"max_new_tokens": 4},
            "controls": [],
            "resamples": 100,
        },
        "sanity_check": {"max_steps": 1, "required": False},
        "probes": {
            "n_users": 20, "curve_users": 20, "anchors": [1, 2], "peers": [1], "confounding": [1.0], "noise_sd": [0.5],
            "curve_anchors": 2, "draws": 2, "folds": 3, "resamples": 20,
        },
    }  # fmt: skip
    arms = [arm.model_dump() for arm in StudyConfig().arms if arm.name != "diff without text"]
    for arm in arms:
        arm["changes"] = {**arm["changes"], **({"fit": {"max_steps": 1}} if "fit" in arm["changes"] else {})}
    values = merge(StudyConfig().model_dump(), {**tiny, "arms": arms})
    return build(StudyConfig, merge(values, changes))


@pytest.fixture(scope="module")
def done(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    said: list[str] = []
    report = run_study(folder, configured(job), say=said.append)
    return folder, report, said


def test_seeds_for_development_and_for_the_report_differ():
    config = StudyConfig()
    assert not set(config.development_seeds) & set(config.report_seeds)
    with pytest.raises(ConfigError, match="seed 201"):
        build(StudyConfig, {"development_seeds": [201]})


def test_an_arm_that_changes_an_unknown_setting_is_refused(job):
    config = configured(job)
    arm = config.arms[0].model_copy(update={"changes": {"prompt": {"strems": "his"}}})
    with pytest.raises(ConfigError, match="strems"):
        config.settings_of(arm)


def test_every_run_is_there_for_every_sample_and_named_in_the_report(done, job):
    folder, report, _ = done
    config = configured(job)
    shared = [run for run in run_names(config) if run.method != "his without text"]
    first, both = report.sections[1], report.sections[0]
    assert [row.condition for row in both.table.rows] == shared
    assert [row.condition for row in first.table.rows] == run_names(config)
    assert both.table.segments == 2 * first.table.segments == 8
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert record["status"] == "complete"
    assert set(record["sanity_check"]["gains"]) == {"oracle profile", "oracle vectors"}
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert all(str(run) in text for run in run_names(config))


def test_a_recorded_study_shows_every_run_contrast_verdict_and_figure(done, tmp_path):
    folder, report, _ = done
    recorded = RecordedStudy(json.loads((folder / "study.json").read_text(encoding="utf-8")))
    text, main = recorded.to_text(), report.sections[0]
    assert all(f"{row.cells[0].score.value:.2f}" in text for row in main.table.rows)
    assert all(f"{one.better} over {one.than}: {one.gain.difference:+.2f}" in text for one in main.contrasts)
    assert all(verdict.sentence in text for verdict in main.verdicts)
    drawn = recorded.draw(tmp_path)
    assert [path.name for path in drawn] == ["study-gains.svg", "study-probes.svg", "study-traits.svg"]
    assert all((folder / path.name).read_bytes() == path.read_bytes() for path in drawn)


def test_the_study_that_ships_was_made_on_the_report_seeds_and_passed_its_sanity_check():
    recorded = recorded_study()
    if recorded is None:
        pytest.skip("this version ships no recorded study")
    assert recorded.record["config"]["phase"] == "report"
    assert recorded.record["config"]["report_seeds"] == list(StudyConfig().report_seeds)
    assert recorded.record["sanity_check"]["passed"] or not recorded.record["config"]["sanity_check"]["required"]


def test_the_published_figures_are_those_of_the_study_that_ships():
    recorded, page = recorded_study(), Path(__file__).parents[3] / "docs" / "study.md"
    if recorded is None or not page.is_file():
        pytest.skip("no recorded study, or not in the repository")
    text = page.read_text(encoding="utf-8")
    for one in recorded.main["contrasts"]:
        better, than = ConditionId(**one["better"]), ConditionId(**one["than"])
        gain = f"{one['difference']:+.2f} | [{one['low']:+.2f}, {one['high']:+.2f}]"
        assert f"| {better} | {than} | {gain} | {one['p_holm']:.3f} |" in text
    for row in recorded.main["table"]["methods"]:
        assert f"| {row['name']} | {row['scores']['nll']['value']:.2f} [" in text


def test_figures_of_the_report_follow_from_the_samples(done):
    folder, report, _ = done
    files = [folder / f"seed-{seed}" / "samples" / "dep-without-text.jsonl" for seed in (1, 2)]
    nats = [row["nll"] for path in files for row in read_lines(path)]
    row = next(row for row in report.sections[0].table.rows if row.method == "dep without text")
    assert row.cells[0].score.value == pytest.approx(np.mean(nats))


def test_controls_differ_from_what_they_control(done):
    folder, _, _ = done
    nats = {
        name: [row["nll"] for row in read_lines(folder / "seed-1" / "samples" / f"{name}.jsonl")]
        for name in ("dep-without-text", "dep-without-text-his-twice", "dep-without-text-shuffled-peers",
                     "dep-without-text-trained-constant", "dep-without-text-another-user-s-vectors")
    }  # fmt: skip
    assert len({tuple(values) for values in nats.values()}) == len(nats)


def test_a_finished_study_is_read_back_and_another_is_refused(done, job):
    folder, report, _ = done
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".jsonl", ".safetensors")}
    again = run_study(folder, configured(job), say=lambda line: None)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert again.sections[0].to_dict() == report.sections[0].to_dict()
    with pytest.raises(ConfigError, match="another study"):
        run_study(folder, configured(job, sanity_check={"max_steps": 2}), say=lambda line: None)


def test_a_backbone_that_the_truth_does_not_steer_ends_the_study(job, tmp_path):
    config = configured(job, sanity_check={"required": True, "nats": 50.0})
    with pytest.raises(ConfigError, match="not steered"):
        run_study(tmp_path, config, say=lambda line: None)
    assert not list(tmp_path.glob("seed-*/samples"))


def test_oracles_tell_the_truth(job, tmp_path):
    from idiolect.encoders import load_encoder
    from idiolect.sandbox.traits import describe

    config = configured(job)
    world = open_seed(tmp_path, 1, config, load_encoder("hash:48"))
    data = world.data(config.settings)
    samples, contexts = data.samples("test"), data.contexts("test")
    effects = dict(zip(world.truth.users, world.truth.user_effects, strict=True))
    prompts = OracleProfile(contexts, effects, prompt=config.settings.prompt, traits=3).prompts(samples)
    for sample, prompt in zip(samples, prompts, strict=True):
        assert all(phrase in prompt.messages[-1].text for phrase in describe(effects[sample.user], k=3))
        assert all(block.entry is None for block in prompt.messages[-1].blocks)
    for context in OracleVectors(contexts, effects).build(samples):
        for entry in context.entries:
            np.testing.assert_array_equal(entry.e_his, effects[context.sample.user].astype(np.float32))
            assert entry.e_diff is None or (entry.e_diff == entry.e_his).all()


def test_no_jobs_are_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match="jobs must be 1 or more"):
        run_study(tmp_path / "study", StudyConfig(), jobs=0, say=print)
    assert not (tmp_path / "study").exists()
