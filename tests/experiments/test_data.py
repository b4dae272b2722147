"""What a run reads, phase by phase."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.config import merge
from idiolect.encoders import load_encoder
from idiolect.errors import InputError, NotFoundError
from idiolect.pipeline.data import Data, draw
from idiolect.pipeline.settings import Settings
from idiolect.retrieval import query_text
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Phase

PHASES: tuple[Phase, ...] = ("fit", "validation", "test")


@pytest.fixture
def data_of(job: Any):
    store = SqlStore(job.store, create=False)

    def make(**changes: Any) -> Data:
        settings = Settings.model_validate(merge(job.settings, changes))
        return Data(store, job.split, settings, encoder=load_encoder(settings.encoder))

    yield make
    store.close()


@pytest.mark.parametrize("phase", PHASES)
def test_no_target_is_visible_before_its_phase(data_of, phase: Phase) -> None:
    data = data_of()
    hidden = {"fit": ("validation", "test"), "validation": ("validation", "test"), "test": ("test",)}
    unseen = set(data.split.ids(*hidden[phase]))
    samples = data.samples(phase)
    contexts = data.contexts(phase).build(samples)
    assert any(context.entries for context in contexts)
    for sample, context in zip(samples, contexts, strict=True):
        shown = {entry.review.id for entry in context.entries}
        assert not shown & unseen
        assert sample.target not in shown
        assert all(entry.review.user == sample.user for entry in context.entries)


def test_of_long_targets_the_beginning_is_asked_for(data_of) -> None:
    whole = data_of().samples("test")
    limit = min(len(sample.reference or "") for sample in whole) - 3
    for sample, cut in zip(whole, data_of(targets={"max_chars": limit}).samples("test"), strict=True):
        assert sample.reference is not None
        assert cut.reference
        assert len(cut.reference) <= limit
        assert sample.reference.startswith(cut.reference)
        assert sample.reference[len(cut.reference)].isspace()
        assert cut.target == sample.target


def test_training_targets_are_drawn_at_random_in_their_order(data_of) -> None:
    whole = [sample.target for sample in data_of(targets={"train_per_user": "all"}).samples("fit")]
    some = [s.target for s in data_of(targets={"train_per_user": "all", "max_train": 3}).samples("fit")]
    assert len(some) == 3
    assert some == [target for target in whole if target in some]


def test_dense_retrieval_puts_the_nearest_review_first(data_of) -> None:
    data, encoder = data_of(context={"retriever": "dense", "k": 3}), load_encoder("hash:48")
    samples = data.samples("test")
    recent = data_of(context={"k": 0}, controls=[]).contexts("test").build(samples)
    for sample, context, whole in zip(samples, data.contexts("test").build(samples), recent, strict=True):
        query = encoder.encode([query_text(sample, {sample.item: context.item})])[0]
        ranked = sorted((float(entry.e_his @ query) for entry in whole.entries), reverse=True)
        assert len(context.entries) == 3
        np.testing.assert_allclose([entry.e_his @ query for entry in context.entries], ranked[:3], atol=1e-3)


def test_a_store_without_the_encoders_vectors_says_how_to_make_them(data_of) -> None:
    with pytest.raises(NotFoundError, match=r"idiolect embed --encoder hash:32") as caught:
        data_of(encoder="hash:32")
    assert load_encoder("hash:32").name in caught.value.message


def test_a_history_that_is_not_embedded_says_how_to_mend_it(job: Any, tmp_path: Path) -> None:
    with SqlStore(job.store) as source, SqlStore(tmp_path / "s.db") as store:
        reviews = source.reviews(source.review_frame()["review_id"].to_list())
        store.add(source.items(source.item_frame()["item"].to_list()).values(), reviews)
        encoder = load_encoder("hash:48")
        store.add_vectors([reviews[0].id], encoder.encode([reviews[0].text]), encoder=encoder.name)
        data = Data(store, job.split, Settings.model_validate(job.settings), encoder=encoder)
        data.folder = tmp_path
        with pytest.raises(NotFoundError, match="idiolect embed"):
            data.contexts("fit")


def test_a_snapshot_is_built_once_and_read_back(data_of, monkeypatch: pytest.MonkeyPatch) -> None:
    built = data_of().snapshot("test").meta
    monkeypatch.setattr("idiolect.pipeline.data.build_snapshot", lambda *_, **__: pytest.fail("built again"))
    assert data_of().snapshot("test").meta == built


def test_drawing_keeps_order_and_never_repeats() -> None:
    rng = np.random.default_rng(0)
    drawn = draw(list(range(20)), 7, rng)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 7
    assert draw([1, 2], None, rng) == [1, 2]


def test_what_a_draw_leaves_out_can_be_drawn_by_itself(data_of) -> None:
    values = list(range(20))
    first, further, rest = (
        draw(values, limit, np.random.default_rng(0), beyond=beyond) for limit, beyond in ((7, 0), (12, 7), (None, 12))
    )
    assert (len(further), sorted(further)) == (5, further)
    assert sorted([*first, *further, *rest]) == values
    data = data_of(targets={"max_test": 4})
    some, others = data.samples("test"), data_of(targets={"max_test": None}).samples("test", beyond=4)
    assert len(some) == 4
    assert {one.target for one in some}.isdisjoint(one.target for one in others)
    with pytest.raises(InputError, match="no test targets beyond the first 4"):
        data.samples("test", beyond=4)


def test_virtual_tokens_hold_what_the_settings_or_the_caller_ask_for(data_of) -> None:
    twice = data_of(vectors="his_twice")
    samples = twice.samples("test")

    def filled(contexts) -> np.ndarray:
        entries = [entry for context in contexts.build(samples) for entry in context.entries]
        return np.stack([entry.e_diff - entry.e_his for entry in entries if entry.e_diff is not None])

    right, shuffled = filled(data_of().contexts("test")), filled(twice.contexts("test", vectors="shuffled_peers"))
    assert not filled(twice.contexts("test")).any()
    assert right.shape == shuffled.shape
    assert (right != shuffled).any(axis=1).all()


def test_a_snapshot_that_came_with_a_split_is_built_anew(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build(*args: Any, folder: Path, **how: Any) -> Any:
        built.append(folder)
        return build_snapshot(*args, folder=folder, **how)

    monkeypatch.setattr("idiolect.pipeline.data.build_snapshot", build)
    settings = Settings.model_validate(job.settings)
    with SqlStore(job.store, create=False) as store:

        def opened(folder: Path) -> None:
            Data(store, folder, settings, encoder=load_encoder("hash:48")).snapshot("test")

        opened(own := Path(shutil.copytree(job.split, tmp_path / "own", ignore=shutil.ignore_patterns("snapshots"))))
        assert len(built) == 1
        opened(own)
        assert len(built) == 1
        opened(Path(shutil.copytree(own, tmp_path / "copied")))
        assert len(built) == 2
