"""The main job from store to table, at the smallest size that still goes through every stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.experiments.conftest import SETTINGS, Job

from idiolect.context.base import Context, Entry
from idiolect.encoders.table import load_encoder
from idiolect.errors import ConfigError, NotFoundError
from idiolect.experiments.commands import load_settings, run_evaluate, run_fit
from idiolect.experiments.controls import OtherVectors, WrongUser, donors
from idiolect.experiments.data import Data, draw
from idiolect.experiments.live import add_review, write_review
from idiolect.experiments.settings import Settings
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId


@pytest.fixture(scope="session")
def adapter(job: Job) -> Path:
    reports = run_fit(job.store, job.split, job.folder / "adapter", changes=SETTINGS, backbone=str(job.backbone))
    assert set(reports) == {"dep", "constant"}
    assert 0 < reports["dep"].trainable_share < 1
    assert reports["dep"].steps == 3
    return job.folder / "adapter"


def test_fit_leaves_an_adapter_with_everything_it_was_fitted_with(job: Job, adapter: Path) -> None:
    names = {path.name for path in adapter.iterdir()}
    assert {"config.json", "adapter.safetensors", "README.md", "settings.json", "log.jsonl", "constant"} <= names
    assert load_settings(adapter).encoder == "hash:48"
    assert load_settings(adapter).backbone.model == str(job.backbone)
    card = (adapter / "README.md").read_text()
    assert "visibility" in card
    assert str(job.backbone) in card


def test_evaluation_scores_methods_and_controls_and_records_what_numbers_depend_on(job: Job, adapter: Path) -> None:
    out = job.folder / "results"
    found = run_evaluate(job.store, job.split, out, adapter=adapter)
    record = json.loads((out / "results.json").read_text())
    assert [row["name"] for row in record["tables"]["methods"]["methods"]] == ["nonpersonalized", "rag", "dep"]
    assert [row["name"] for row in record["tables"]["controls"]["methods"]] == [
        "dep",
        "dep: trained constant",
        "dep: another user's vectors",
        "dep: wrong user",
    ]
    assert {"settings", "versions", "device", "store", "backbone", "encoder", "split"} <= set(record)
    assert record["status"] == "complete"
    rows = [json.loads(line) for line in (out / "samples" / "dep.jsonl").read_text().splitlines()]
    assert len(rows) == record["samples"] == found.methods.segments
    assert all(row["anchors"] and row["reference"] and row["nll"] > 0 for row in rows)
    assert "†" in (out / "report.md").read_text()


def test_a_second_evaluation_runs_nothing_again_and_another_is_refused(
    job: Job, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idiolect.llm.transformers import TransformersLLM

    out = job.folder / "twice"
    first = run_evaluate(job.store, job.split, out, adapter=adapter)

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(TransformersLLM, "generate", never)
    monkeypatch.setattr(TransformersLLM, "negative_log_likelihood", never)
    assert run_evaluate(job.store, job.split, out, adapter=adapter).methods == first.methods
    with pytest.raises(ConfigError, match="other settings"):
        run_evaluate(job.store, job.split, out, adapter=adapter, changes={"seed": 9})


def test_writing_for_a_user_uses_what_they_wrote_a_moment_ago(job: Job, adapter: Path, tmp_path: Path) -> None:
    with SqlStore(job.store) as store:
        user, item = store.users()[0], store.item_frame()["item"][0]
        copy = SqlStore(tmp_path / "live.db")
        frame = store.review_frame().filter(store.review_frame()["user"] == user)
        copy.add(store.items(list(frame["item"])).values(), store.reviews(frame["review_id"].to_list()))
        copy.add(store.items([ItemId(item)]).values(), [])
        copy.close()
    added = add_review(str(tmp_path / "live.db"), user=user, item=item, text="A fresh thought.", encoder="hash:48")
    prediction = write_review(str(tmp_path / "live.db"), user=user, item=item, adapter=adapter)
    assert prediction.method == "dep"
    assert prediction.anchors[0] == added.id


def test_writing_names_what_is_missing(job: Job, adapter: Path) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        write_review(job.store, user="nobody", item="s3-i00000", adapter=adapter)
    with pytest.raises(NotFoundError, match="nothing"):
        write_review(job.store, user="s3-u00000", item="nothing", adapter=adapter)
    with pytest.raises(ConfigError, match="adapter"):
        write_review(job.store, user="s3-u00000", item="s3-i00000", method="dep")


def test_no_target_is_visible_before_its_phase(job: Job) -> None:
    with SqlStore(job.store) as store:
        data = Data(store, job.split, Settings.model_validate(SETTINGS), encoder=load_encoder("hash:48"))
        hidden = {"fit": ("validation", "test"), "validation": ("validation", "test"), "test": ("test",)}
        for phase, roles in hidden.items():
            builder = data.contexts(phase)
            unseen = set(data.split.ids(*roles))
            for sample, context in zip(data.samples(phase), builder.build(data.samples(phase)), strict=True):
                shown = {entry.review.id for entry in context.entries}
                assert not shown & unseen
                assert sample.target not in shown


def context(user: str, value: float, *, peers: bool) -> Context:
    item = Item(id=ItemId("i"))
    review = Review(id=ReviewId(user), user=UserId(user), item=item.id, text=user)
    entry = Entry(
        review=review,
        item=item,
        e_his=np.full(2, value, np.float32),
        e_diff=np.full(2, -value, np.float32) if peers else None,
        n_peers=int(peers),
    )
    return Context(sample=Sample(user=UserId(user), item=item.id), item=item, entries=(entry,))


class Fixed:
    def __init__(self, contexts: list[Context]) -> None:
        self.contexts = contexts

    def build(self, samples: list[Sample]) -> list[Context]:
        return self.contexts


def test_controls_swap_users_and_keep_every_slot_in_place() -> None:
    own = [context("a", 1.0, peers=True), context("b", 2.0, peers=True), context("c", 3.0, peers=False)]
    samples = [c.sample for c in own]
    for seed in range(5):
        assert all(own[d].sample.user != c.sample.user for c, d in zip(own, donors(own, seed), strict=True))
        for wrong, right in zip(WrongUser(Fixed(own), seed=seed).build(samples), own, strict=True):
            assert wrong.sample == right.sample
            assert wrong.entries[0].review.user != right.sample.user
        for wrong, right in zip(OtherVectors(Fixed(own), seed=seed).build(samples), own, strict=True):
            entry, was = wrong.entries[0], right.entries[0]
            assert entry.review == was.review
            assert entry.e_his[0] != was.e_his[0]
            assert (entry.e_diff is None) == (was.e_diff is None)


def test_drawing_keeps_order_and_never_repeats() -> None:
    rng = np.random.default_rng(0)
    drawn = draw(list(range(20)), 7, rng)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 7
    assert draw([1, 2], None, rng) == [1, 2]
