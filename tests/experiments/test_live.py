"""A live store: what is added is known at once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from idiolect.config import merge
from idiolect.encoders.hashing import HashEncoder
from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.experiments.ingest import ingest_files
from idiolect.experiments.live import add_review, write_review
from idiolect.experiments.roles import DIFFERENCE_METHODS, DifferenceMethod
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId

ANN: dict[str, Any] = {"user": "ann", "item": "tea", "text": "Too sweet for me.", "encoder": "hash:32"}


def review(user: str, item: str) -> Review:
    text = f"What {user} thinks of the {item}."
    return Review(id=ReviewId(f"{user}-{item}"), user=UserId(user), item=ItemId(item), text=text)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "live.db")


def test_a_review_comes_with_its_vector_and_its_items_sum(store: str) -> None:
    add_review(store, **ANN)
    added = add_review(store, **{**ANN, "user": "bob", "text": "Just right."})
    name = HashEncoder(32).name
    with SqlStore(store) as database:
        assert database.profile(UserId("bob")) == [added]
        vector = database.vectors([added.id], encoder=name)[0]
        sums = database.peer_sums([ItemId("tea")], exclude=UserId("ann"), encoder=name)
    assert sums.counts.tolist() == [1]
    np.testing.assert_array_equal(sums.sums[0], vector.astype(np.float64))


def test_the_same_review_of_the_same_moment_is_one_review(store: str) -> None:
    first, second = (add_review(store, **ANN, timestamp=1_700_000_000) for _ in range(2))
    later = add_review(store, **ANN, timestamp=1_700_000_001)
    assert first == second != later
    with SqlStore(store) as database:
        assert database.counts().reviews == 2
        sums = database.peer_sums([ItemId("tea")], exclude=UserId("bob"), encoder=HashEncoder(32).name)
        assert sums.counts.tolist() == [2]


def test_an_encoder_that_fails_leaves_nothing_behind(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> np.ndarray:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(HashEncoder, "encode", fail)
        with pytest.raises(RuntimeError):
            add_review(store, **ANN)
    assert not Path(store).exists()
    add_review(store, **ANN)
    with pytest.raises(ConfigError, match="--encoder"):
        add_review(store, **{**ANN, "user": "bob", "encoder": "hash:64"})
    with SqlStore(store) as database:
        assert database.users() == ["ann"]


def test_what_cannot_be_a_review_is_refused(store: str) -> None:
    with pytest.raises(ConfigError, match="no text"):
        add_review(store, **{**ANN, "text": " \n"})
    with pytest.raises(InputError, match="rating"):
        add_review(store, **ANN, rating=float("nan"))
    with pytest.raises(InputError, match="rating out of range"):
        add_review(store, **ANN, rating=500)
    with pytest.raises(InputError, match="timestamp"):
        add_review(store, **{**ANN, "timestamp": -5})
    assert not Path(store).exists()


def test_an_item_may_be_described_after_it_was_first_reviewed(store: str, tmp_path: Path) -> None:
    add_review(store, **ANN)
    reviews, items = tmp_path / "reviews.jsonl", tmp_path / "items.jsonl"
    reviews.write_text(json.dumps({"user": "bob", "item": "tea", "text": "Just right."}))
    items.write_text(json.dumps({"item": "tea", "title": "Green tea"}))
    report = ingest_files(reviews, items=items, store=store)
    assert report.stored.refused == ()
    assert report.stored.items_added == 1
    with SqlStore(store) as database:
        assert database.items([ItemId("tea")])[ItemId("tea")].title == "Green tea"


def test_writing_for_a_user_uses_what_they_wrote_a_moment_ago(job: Any, adapter: Path, store: str) -> None:
    with SqlStore(job.store) as source, SqlStore(store) as copy:
        user, item = source.users()[0], source.item_frame()["item"][0]
        frame = source.review_frame()
        mine = frame.filter(frame["user"] == user)
        copy.add(source.items([*mine["item"], item]).values(), source.reviews(mine["review_id"].to_list()))
    added = add_review(store, user=user, item=item, text="A fresh thought.", encoder="hash:48")
    prediction = write_review(store, user=user, item=item, adapter=adapter)
    assert prediction.method == "dep"
    assert prediction.anchors[0] == added.id


def test_nothing_is_written_with_a_control(job: Any, copied: Path) -> None:
    record = json.loads((copied / "settings.json").read_text())
    record["settings"] |= {"vectors": "his_twice", "controls": []}
    (copied / "settings.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=r"is a control, trained with vectors = his_twice \(write with one"):
        write_review(job.store, user="s3-u00000", item="s3-i00000", adapter=copied)
    assert write_review(job.store, user="s3-u00000", item="s3-i00000", adapter=copied, method="rag").text is not None


def test_writing_names_what_is_missing(job: Any, adapter: Path) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        write_review(job.store, user="nobody", item="s3-i00000", adapter=adapter)
    with pytest.raises(NotFoundError) as found:
        write_review(job.store, user="s3-u0000", item="s3-i00000", adapter=adapter)
    assert "did you mean 's3-u000" in str(found.value.hint)
    with pytest.raises(NotFoundError, match="nothing"):
        write_review(job.store, user="s3-u00000", item="nothing", adapter=adapter)
    with pytest.raises(InputError, match="rating out of range"):
        write_review(job.store, user="s3-u00000", item="s3-i00000", adapter=adapter, rating=-1)
    with pytest.raises(ConfigError, match="adapter"):
        write_review(job.store, user="s3-u00000", item="s3-i00000", method="dep")
    names = "one of: auto, nonpersonalized, rag, pag, dpl, drp, dep"
    with pytest.raises(ConfigError, match=f"unknown method 'drpp' .{names}"):
        write_review(job.store, user="s3-u00000", item="s3-i00000", method=cast(Any, "drpp"))


def test_the_fake_writes_without_an_adapter_and_refuses_one_fitted_to_another_model(job: Any, adapter: Path) -> None:
    asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "changes": {"encoder": "hash:48"}}
    prediction = write_review(job.store, **asked, backbone="fake")
    assert (prediction.method, prediction.text != "") == ("rag", True)
    assert write_review(job.store, **asked, backbone="fake", method="nonpersonalized").anchors == ()
    with pytest.raises(ArtifactError, match="not 'fake'"):
        write_review(job.store, **{**asked, "changes": {"backbone": {"backend": "fake"}}}, adapter=adapter)


@pytest.mark.parametrize("method", DIFFERENCE_METHODS)
def test_a_user_is_put_into_words_before_a_review_is_written(job: Any, method: DifferenceMethod) -> None:
    changes = {"encoder": "hash:48", "backbone": {"model": "fake"}}
    found = write_review(job.store, user="s3-u00000", item="s3-i00000", method=method, changes=changes)
    assert found.method == method
    assert found.text
    assert found.stages["profile"] in found.stages["prompt"]
    assert "Compared with others" in found.stages["profile"]


def test_others_without_vectors_get_them_where_representatives_are_chosen(store: str) -> None:
    with SqlStore(store) as database:
        database.add([], [review(user, item) for user in ("ann", "bob", "cyd", "dan") for item in ("tea", "mug")])
    changes = {"encoder": "hash:32", "backbone": {"model": "fake"}, "differences": {"extractor": {}}}
    few = merge(changes, {"differences": {"comparison": {"representatives": 2}}})
    found = write_review(store, user="ann", item="tea", method="drp", changes=few)
    assert found.usage["extract"].calls == 2
