"""Code of one's own at every seam, named in the settings, and words of one's own in the prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.config import merge
from idiolect.errors import ArtifactError, ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.methods.base import METHODS
from idiolect.pipeline.adapters import read_record
from idiolect.pipeline.commands import load_settings, run_fit
from idiolect.pipeline.results import read_lines
from idiolect.pipeline.write import write_review
from idiolect.prompts.rendering import TEMPLATES
from idiolect.store.sql import SqlStore

MODULE = """
from dataclasses import replace

from idiolect.methods.base import Requirements
from idiolect.encoders import HashEncoder
from idiolect.metrics.base import Mean
from idiolect.methods.rag import RAG


class Newest2(RAG):
    name = "Newest-2"


class Impostor(RAG):
    name = "rag"


class Nearest(RAG):
    name = "nearest"
    requires = Requirements(vectors=True, peers=True, roles=frozenset({"summarizer", "generator"}))

    @classmethod
    def build(cls, resources):
        method = super().build(resources)
        method.resources = resources
        return method

    def prompts(self, samples):
        assert len(self.resources.comparisons.build(samples)) == len(samples)
        return super().prompts(samples)

    def choose(self, context):
        found, sample = self.resources, context.sample
        assert found.roles.extractor is None, "a role that is not required"
        assert found.roles.summarizer is not None
        visible = {review.id for review in found.reader.profile(sample.user)}
        assert visible or context.entries
        asked = found.encoder.encode([context.item.title])[0]
        return replace(context, entries=tuple(sorted(context.entries, key=lambda one: -float(one.e_his @ asked))))


class Oldest:
    def retrieve(self, sample, history, items, k):
        return history[:k]


class Brevity(Mean):
    def __init__(self):
        super().__init__("brevity", greater_is_better=True, unit="1/chars")

    def segments(self, hypotheses, references):
        import numpy as np

        return np.array([1 / (1 + len(text)) for text in hypotheses])


def first(groups, k, *, seed=42):
    return [list(range(min(k, len(texts) - 1))) for texts in groups]


def encoder(argument):
    return HashEncoder(24)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownwork.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def evaluated(job: Any, folder: Path, **changes: Any) -> dict[str, Any]:
    base = merge(job.settings, {"backbone": {"model": "fake"}, "targets": {"max_test": 6}, "resamples": 100})
    run_evaluate(job.store, job.split, folder, changes=merge(base, changes))
    return json.loads((folder / "results.json").read_text())


def test_ones_own_code_at_every_seam_of_an_evaluation(job: Any, tmp_path: Path) -> None:
    changes = {
        "methods": ["dpl", "ownwork:Newest2"],
        "metrics": ["ownwork:Brevity"],
        "context": {"retriever": "ownwork:Oldest"},
        "differences": {"extractor": {}, "comparison": {"selector": "ownwork:first", "representatives": 2}},
    }
    record = evaluated(job, tmp_path / "out", **changes)
    methods = record["tables"]["methods"]["methods"]
    assert [row["name"] for row in methods] == ["nonpersonalized", "rag", "dpl", "Newest-2"]
    assert all("brevity" in row["scores"] for row in methods)
    rows, rag = (read_lines(tmp_path / "out" / "samples" / f"{name}.jsonl") for name in ("Newest-2", "rag"))
    assert [row["text"] for row in rows] == [row["text"] for row in rag]


def test_ones_own_method_stands_next_to_a_wrong_user(job: Any, tmp_path: Path) -> None:
    changes = {"methods": ["ownwork:Newest2"], "metrics": [], "backbone": {"model": str(job.backbone)}}
    record = evaluated(job, tmp_path / "out", **changes)
    rows = record["tables"]["controls of Newest-2"]["methods"]
    assert [row["name"] for row in rows] == ["Newest-2", "Newest-2: wrong user"]


def test_ones_own_method_gets_the_resources_that_it_requires(job: Any, tmp_path: Path) -> None:
    changes = {"methods": ["ownwork:Nearest"], "metrics": [], "differences": {"extractor": {}, "summarizer": {}}}
    record = evaluated(job, tmp_path / "out", **changes)
    assert [row["name"] for row in record["tables"]["methods"]["methods"]] == ["nonpersonalized", "rag", "nearest"]


def test_an_installed_methods_entry_point_makes_it_one_of_the_methods(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site" / "closest-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: closest\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[idiolect.methods]\nclosest = ownwork:Nearest\n")
    monkeypatch.syspath_prepend(str(installed.parent))
    METHODS.__dict__.pop("_installed", None)  # read once per process
    try:
        changes = {"methods": ["closest"], "metrics": [], "differences": {"extractor": {}, "summarizer": {}}}
        record = evaluated(job, tmp_path / "out", **changes)
    finally:
        METHODS.__dict__.pop("_installed", None)
    rows = [(row["method"], row["control"]) for row in record["tables"]["controls of nearest"]["methods"]]
    assert rows == [("nearest", None), ("nearest", "wrong user")]


def test_a_class_without_requirements_is_no_method(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'ownwork:Oldest' is no method"):
        evaluated(job, tmp_path / "out", methods=["ownwork:Oldest"])


def test_two_methods_of_one_name_are_refused(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two methods are called 'rag'"):
        evaluated(job, tmp_path / "out", methods=["ownwork:Impostor"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["ownwork:Nothing"]}, "cannot import the method 'ownwork:Nothing'"),
        ({"context": {"retriever": "nowhere.to:be_found"}}, "cannot import the retriever"),
        ({"methods": ["drpp"]}, "unknown method 'drpp': did you mean 'drp'"),
        ({"differences": {"comparison": {"selector": "farthes"}}}, "unknown selector 'farthes'"),
        ({"controls": ["ownwork:Newest2"]}, "unknown control"),
    ],
)
def test_what_cannot_be_had_is_named(job: Any, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluated(job, tmp_path / "out", **changes)


def test_a_review_is_written_by_ones_own_method_from_ones_own_vectors(job: Any) -> None:
    changes = {"encoder": "ownwork:encoder", "backbone": {"model": "fake"}}
    found = write_review(job.store, user="s3-u00000", item="s3-i00000", method="ownwork:Newest2", changes=changes)
    assert (found.method, found.text != "") == ("Newest-2", True)


class TestTemplates:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        """Other words for RAG alone."""
        (tmp_path / "words" / "rag").mkdir(parents=True)
        for path in (TEMPLATES / "rag").glob("*.jinja"):
            (tmp_path / "words" / "rag" / path.name).write_text(path.read_text())
        self.say(tmp_path / "words", "rag", "First words.")
        return tmp_path / "words"

    def say(self, own: Path, template: str, words: str) -> None:
        (own / template).mkdir(exist_ok=True)
        (own / template / "system.jinja").write_text(words)

    def test_they_are_used_and_the_shipped_ones_are_where_there_is_none(self, job: Any, own: Path) -> None:
        changes = {"backbone": {"model": "fake"}, "prompt": {"templates": str(own)}}
        asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "changes": changes}
        assert "First words." in write_review(job.store, **asked, method="rag").prompt
        assert "First words." not in write_review(job.store, **asked, method="nonpersonalized").prompt

    def test_an_evaluation_does_not_go_on_with_other_words(self, job: Any, own: Path, tmp_path: Path) -> None:
        changes: dict[str, Any] = {"methods": [], "metrics": [], "prompt": {"templates": str(own)}}
        evaluated(job, tmp_path / "out", **changes)
        (tmp_path / "out" / "samples" / "rag.jsonl").unlink()
        self.say(own, "rag", "Other words.")
        with pytest.raises(ConfigError, match="an evaluation with another templates"):
            evaluated(job, tmp_path / "out", **changes)

    def test_an_adapter_is_used_with_its_own_words_from_anywhere(
        self, job: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.say(own, "dep", "Words of the fit.")
        monkeypatch.chdir(own.parent)
        changes = merge(job.settings, {"prompt": {"templates": own.name}, "controls": []})
        run_fit(job.store, job.split, tmp_path / "adapter", changes=changes, backbone=str(job.backbone))
        monkeypatch.chdir("/")
        with SqlStore(job.store) as store:
            assert load_settings(tmp_path / "adapter", store=store).prompt.templates == own.resolve()
        assert read_record(tmp_path / "adapter").names["templates"]
        asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "adapter": tmp_path / "adapter"}
        assert "Words of the fit." in write_review(job.store, **asked).prompt
        self.say(own, "dep", "Words that it has never seen.")
        with pytest.raises(ArtifactError, match="fitted with other templates"):
            write_review(job.store, **asked)

    def test_an_adapter_is_used_with_a_task_of_ones_own_and_the_shipped_templates(
        self, job: Any, tmp_path: Path
    ) -> None:
        words = "text: toast\ntexts: toasts\na_text: a toast\nitem: wedding\nitems: weddings\nan_item: a wedding\n"
        (task := tmp_path / "toast.yaml").write_text(words)
        changes = merge(job.settings, {"prompt": {"task": str(task)}, "controls": []})
        run_fit(job.store, job.split, tmp_path / "adapter", changes=changes, backbone=str(job.backbone))
        asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "adapter": tmp_path / "adapter"}
        assert "The toast to write:" in write_review(job.store, **asked).prompt
