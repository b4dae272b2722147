"""Settings that the papers' tables vary: the retriever's own encoder, groups by uniqueness, no controls."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.config import merge
from idiolect.encoders import load_encoder
from idiolect.errors import NotFoundError
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.scoring import OTHERS, UNIQUE, halves, uniqueness
from idiolect.pipeline.data import Data
from idiolect.pipeline.settings import Settings
from idiolect.retrieval import query_text
from idiolect.store.embedding import embed_store
from idiolect.store.sql import SqlStore


@pytest.fixture
def store(job: Any, tmp_path: Path) -> str:
    return str(shutil.copy(job.store, tmp_path / "reviews.db"))


def data_of(job: Any, store: SqlStore, **changes: Any) -> Data:
    settings = Settings.model_validate(merge(job.settings, changes))
    return Data(store, job.split, settings, encoder=load_encoder(settings.encoder))


def test_a_dense_retriever_may_have_an_encoder_of_its_own(job: Any, store: str) -> None:
    dense = {"context": {"retriever": "dense", "retriever_encoder": "hash:16", "k": 2}}
    with SqlStore(store) as database, pytest.raises(NotFoundError, match="no vectors of 'hash-v2-16'"):
        data_of(job, database, **dense)
    embed_store(store, "hash:16")
    with SqlStore(store) as database:
        data = data_of(job, database, **dense)
        assert data.settings.encoders == ("hash:48", "hash:16")
        encoder, samples = load_encoder("hash:16"), data.samples("test")
        for sample, context in zip(samples, data.contexts("test").build(samples), strict=True):
            profile = data.snapshot("test").profile(sample.user, before=sample.moment)
            query = encoder.encode([query_text(sample, {sample.item: context.item})])[0]
            vectors = database.vectors([one.id for one in profile], encoder=encoder.name).astype(np.float32)
            scores = {one.id: float(score) for one, score in zip(profile, vectors @ query, strict=True)}
            shown = [scores[entry.review.id] for entry in context.entries]
            np.testing.assert_allclose(shown, sorted(scores.values(), reverse=True)[:2], atol=1e-3)
            assert all(entry.e_his.shape == (48,) for entry in context.entries)


def test_an_encoder_of_a_retriever_that_needs_none_is_not_loaded(job: Any, store: str) -> None:
    with SqlStore(store) as database:
        assert data_of(job, database, context={"retriever_encoder": "no/such"}).settings.encoders == ("hash:48",)


def test_users_are_unique_by_the_distance_of_their_mean_vector(job: Any, store: str) -> None:
    with SqlStore(store) as database:
        data = data_of(job, database, targets={"max_test": None})
        samples = data.samples("test")
        found, snapshot = uniqueness(data, samples), data.snapshot("test")
        items = database.items([sample.item for sample in samples])
        category = [items[sample.item].category for sample in samples]
        means = np.array(
            [
                snapshot.vectors([r.id for r in snapshot.profile(s.user, before=s.moment)], encoder=data.encoder)
                .astype(float)
                .mean(axis=0)
                for s in samples
            ]
        )
        for name in set(category):
            own = np.array(category) == name
            np.testing.assert_allclose(
                found[own], np.linalg.norm(means[own] - means[own].mean(axis=0), axis=1), atol=1e-6
            )


def test_the_farther_half_of_each_category_is_unique() -> None:
    distances = np.array([1.0, 5.0, 2.0, 9.0, 7.0, np.nan])
    found = halves(distances, ["a", "b", "c", "a", "b", "d"], ["x", "x", "x", "y", "y", "y"])
    assert found[UNIQUE].tolist() == [1, 2, 3]
    assert found[OTHERS].tolist() == [0, 4]


def test_an_evaluation_without_controls_and_with_groups(job: Any, store: str, tmp_path: Path) -> None:
    changes = {
        **job.settings,
        "methods": ["pag"],
        "negative_controls": False,
        "uniqueness_groups": True,
        "targets": {"max_test": None},
    }
    found = run_evaluate(store, job.split, tmp_path / "out", changes=changes, backbone="fake")
    assert not found.controls
    assert sorted(path.stem for path in (tmp_path / "out" / "samples").glob("*.jsonl")) == [
        "nonpersonalized",
        "pag",
        "rag",
    ]
    assert {UNIQUE, OTHERS} <= set(found.categories)
    assert sum(found.categories[name].segments for name in (UNIQUE, OTHERS)) == found.methods.segments
    # Asked for afterwards, controls are added to what is there.
    more = run_evaluate(
        store, job.split, tmp_path / "out", changes={**changes, "negative_controls": True}, backbone="fake"
    )
    assert more.controls
