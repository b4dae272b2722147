"""What trait fidelity is held against: what is visible at test, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from idiolect.config import merge
from idiolect.encoders.table import load_encoder
from idiolect.evaluation.fidelity import StyleTargets
from idiolect.experiments.data import Data
from idiolect.experiments.fidelity import style_targets
from idiolect.experiments.settings import Settings
from idiolect.store.sql import SqlStore


@pytest.fixture
def data_of(job: Any):
    store = SqlStore(job.store, create=False)
    yield lambda **changes: Data(
        store, job.split, Settings.model_validate(merge(job.settings, changes)), encoder=load_encoder("hash:48")
    )
    store.close()


@pytest.mark.parametrize("peers", ["corpus", "split"])
def test_texts_are_held_against_what_is_visible_at_test(data_of, peers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[pl.DataFrame] = []
    monkeypatch.setattr(StyleTargets, "of", lambda _, reviews: read.append(reviews))
    data = data_of(peers=peers)
    samples = data.samples("test")
    style_targets(data, samples)
    ids = set(read[0]["review_id"])
    snapshot = data.snapshot("test")
    assert not ids & set(data.split.ids("test"))
    for sample in samples:
        assert {review.id for review in snapshot.profile(sample.user)} <= ids
        assert {review.id for review in snapshot.reviews_of(sample.item, exclude=sample.user)} <= ids
    assert (peers == "corpus") >= bool(ids - set(data.split.members["review_id"]))


def test_items_that_nobody_asked_about_wrote_about_change_nothing(data_of) -> None:
    data = data_of()
    samples = data.samples("test")[:1]
    whole = data.store.review_frame().filter(~pl.col("review_id").is_in(data.split.ids("test")))
    some, every = style_targets(data, samples), StyleTargets.of(samples, whole)
    np.testing.assert_allclose(some.crowd, every.crowd)
    assert some.n_items.tolist() == every.n_items.tolist() != [0]
