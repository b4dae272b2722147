"""An adapter that was fitted on another corpus."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from idiolect.errors import ArtifactError, ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.experiments.world import store_world
from idiolect.pipeline.adapters import other_corpus, read_record
from idiolect.sandbox.domain import WorldConfig
from idiolect.store.embedding import embed_store
from idiolect.store.splitting import split_store


@pytest.fixture(scope="module")
def other(job: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A store of other users and items, and its split."""
    folder = tmp_path_factory.mktemp("other")
    store = str(folder / "films.db")
    store_world(store, WorldConfig(seed=9, n_users=14, n_items=12, reviews_per_user=(8, 9), words=20))
    split_store(store, folder / "split", preset="small", changes=job.thresholds)
    embed_store(store, "hash:48")
    return store, folder / "split"


def test_it_is_evaluated_under_its_backbone_and_encoder_and_the_report_names_both(
    job: Any, adapter: Path, other: Any, tmp_path: Path
) -> None:
    store, split = other
    changes = {"methods": []}
    found = run_evaluate(store, split, tmp_path, adapter=adapter, changes=changes, backbone=str(job.backbone))
    assert any(str(row.condition) == "dep: another user's vectors" for t in found.controls.values() for row in t.rows)
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["corpora"] == {"fitted": "reviews.db", "used": "films.db"}
    (note,) = (note for note in record["notes"] if "was fitted on" in note)
    assert "fitted on reviews.db and is evaluated on films.db" in note
    assert note in found.report.read_text()


def test_another_encoder_or_backbone_is_refused_in_one_line(
    job: Any, adapter: Path, other: Any, tmp_path: Path, backbone_of_others: Path
) -> None:
    store, split = other
    for named, error, message in (
        ({"encoder": "hash:32"}, ConfigError, "fitted with another encoder"),
        ({"backbone": str(backbone_of_others)}, ArtifactError, "fitted with the backbone 'lm@.*, not 'lm-2@"),
        ({}, ConfigError, r"fitted with the backbone\.model .*, which an adapter from elsewhere cannot choose"),
    ):
        given = named if "backbone" in named or not named else {"backbone": str(job.backbone), **named}
        with pytest.raises(error, match=message) as raised:
            run_evaluate(store, split, tmp_path / "no", adapter=adapter, **given)
        assert "\n" not in raised.value.message
    assert not list((tmp_path / "no").glob("samples/*"))


@pytest.fixture(scope="module")
def backbone_of_others(job: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with another name and other weights, as far as its digest tells."""
    folder = Path(shutil.copytree(job.backbone, tmp_path_factory.mktemp("models") / "lm-2"))
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True}))
    return folder


def test_a_grouped_layout_comes_from_the_adapter_on_any_store(job: Any, copied: Path, other: Any) -> None:
    from idiolect.pipeline.commands import load_settings

    path = copied / "settings.json"
    record = json.loads(path.read_text())
    record["settings"]["prompt"]["layout"] = "grouped"
    path.write_text(json.dumps(record))
    assert load_settings(copied, backbone=str(job.backbone)).prompt.layout == "grouped"


def test_names_of_corpora_are_told_as_far_as_they_are_known(copied: Path) -> None:
    path = copied / "settings.json"
    record = json.loads(path.read_text())
    assert other_corpus(copied, store=record["store"], label="reviews.db") is None
    assert other_corpus(copied, store="x", label="reviews.db") == ("reviews.db in an earlier state", "reviews.db")
    del record["corpus"]
    path.write_text(json.dumps(record))
    assert other_corpus(copied, store="x", label="b.db") == (f"the store {record['store'][:12]}", "b.db")
    path.write_text(json.dumps({**record, "store": ""}))
    assert other_corpus(copied, store="x", label="b.db") == ("its authors' data", "b.db")
    path.write_text(json.dumps({**record, "corpus": 7}))
    with pytest.raises(ArtifactError, match="is damaged"):
        read_record(copied)
