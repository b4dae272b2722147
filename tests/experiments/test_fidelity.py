"""What trait fidelity is held against: what is visible at test, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from idiolect.config import merge
from idiolect.data.split import Split
from idiolect.encoders import load_encoder
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.scoring import style_targets
from idiolect.metrics.fidelity import StyleTargets
from idiolect.pipeline.data import Data
from idiolect.pipeline.settings import Settings
from idiolect.store.embedding import embed_missing
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, Sample


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


def test_whoever_is_nobodys_peer_is_in_any_peer_mean(job: Any, tmp_path: Any) -> None:
    """The targets of the others are those of a store that never saw them, to the last number."""
    whole, flagged, never = (SqlStore(where) for where in (job.store, tmp_path / "flagged.db", tmp_path / "never.db"))
    with whole, flagged, never:
        reviews = [review for user in whole.users() for review in whole.profile(user)]
        frame = Split.load(job.split, fingerprint=whole.fingerprint()).members
        apart = frame.filter(role="test")["user"][0]
        flagged.add([], reviews)
        flagged.set_peer(apart, False)
        never.add([], [review for review in reviews if review.user != apart])
        found = []
        for store, rows in ((flagged, frame), (never, frame.filter(pl.col("user") != apart))):
            data = SimpleNamespace(
                store=store, split=SimpleNamespace(batches=lambda rows=rows: [rows]), settings=Settings()
            )
            targets = [id for id, user in frame.filter(role="test").select("review_id", "user").rows() if user != apart]
            found.append(style_targets(data, [Sample.of(review) for review in store.reviews(targets)]))
        for field in ("peer_mean", "profile", "n_items", "sd", "centre"):
            np.testing.assert_allclose(getattr(found[0], field), getattr(found[1], field), atol=1e-12)


def test_items_that_nobody_asked_about_wrote_about_change_nothing(data_of) -> None:
    data = data_of()
    samples = data.samples("test")[:1]
    whole = data.store.review_frame().filter(~pl.col("review_id").is_in(data.split.ids("test")))
    some, every = style_targets(data, samples), StyleTargets.of(samples, whole)
    np.testing.assert_allclose(some.peer_mean, every.peer_mean)
    assert some.n_items.tolist() == every.n_items.tolist() != [0]


LANGUAGES = {
    "tea": (
        "We waited a while for the tea, but it was good and {} was kind!",
        "I think that this is the best tea that {} has ever made, and it is not dear.",
        "It was fine, though {} could have brought it to us a little sooner.",
    ),
    "tee": (
        "Wir haben lange auf den Tee gewartet, aber er war gut und {} war sehr nett!",
        "Ich denke, dass das der beste Tee ist, den {} je gemacht hat, und er ist nicht teuer.",
        "Ich habe ihn auch gern getrunken, aber {} hat ihn uns leider nicht sehr schnell gebracht.",
    ),
}


def test_of_a_category_without_english_reviews_there_is_no_figure(tmp_path: Any) -> None:
    """Its other metrics stay, and of all samples the figure is of those in English."""
    with SqlStore(tmp_path / "s.db") as store:
        items = [Item(id=ItemId(f"{name}-{k}"), category=name) for name in LANGUAGES for k in range(6)]
        reviews = [
            Review(id=f"{name}{user}-{k}", user=f"{name}{user}", item=f"{name}-{k}", order=k, text=text.format(f"U{k}"))
            for name, texts in LANGUAGES.items()
            for user, text in enumerate(texts)
            for k in range(6)
        ]  # fmt: skip
        store.add(items, reviews)
        embed_missing(store, load_encoder("hash:16"))
    least = {"min_text_chars": 5, "min_item_users": 2, "min_user_reviews": 5, "min_peers": 1, "min_profile": 2}
    split_store(str(tmp_path / "s.db"), tmp_path / "split", changes=least)
    changes = {"encoder": "hash:16", "methods": [], "metrics": ["rouge1", "trait-fidelity"], "resamples": 100}
    found = run_evaluate(str(tmp_path / "s.db"), tmp_path / "split", tmp_path / "out", changes=changes, backbone="fake")
    shown = {name: [column.name for column in table.columns] for name, table in found.categories.items()}
    assert "trait-fidelity" in shown["tea"]
    assert "trait-fidelity" not in shown["tee"]
    assert {"rouge1", "nll"} <= set(shown["tea"]) & set(shown["tee"])
    (whole,) = (column for column in found.methods.columns if column.name == "trait-fidelity")
    place = found.methods.columns.index(whole)
    english = [column.name for column in found.categories["tea"].columns].index("trait-fidelity")
    for row, own in zip(found.methods.rows, found.categories["tea"].rows, strict=True):
        assert row.cells[place].score.value == pytest.approx(own.cells[english].score.value)
    assert found.own_fidelity.value != 0
    assert "trait-fidelity is of the other 3: 3 of 6 samples are not in English" in " ".join(found.notes)
