"""Adding to a live store: what is added is known at once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.encoders import Encoder, HashEncoder, load_encoder
from idiolect.errors import ConfigError, InputError
from idiolect.store import single_review
from idiolect.store.ingestion import ingest_files
from idiolect.store.single_review import add_review
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, UserId

ANN: dict[str, Any] = {"user": "ann", "item": "tea", "text": "Too sweet for me.", "encoder": "hash:32"}


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


def test_an_encoder_of_the_package_is_loaded_once_and_another_for_every_review(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(spec: str) -> Encoder:
        loaded.append(spec)
        return load_encoder(spec)

    monkeypatch.setattr(single_review, "load_encoder", load)
    single_review._shipped_encoder.cache_clear()
    for encoder in ("style", "hash:32"):
        for number in range(2):
            add_review(f"{store}-{encoder[:4]}", **{**ANN, "item": f"tea {number}", "encoder": encoder})
    assert loaded == ["style", "hash:32", "hash:32"]


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
    with pytest.raises(ConfigError, match="encoder="):
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
    for field in ("user", "item", "text", "title"):  # of bytes on a command line that are no UTF-8
        with pytest.raises(InputError, match="half of a surrogate pair"):
            add_review(store, **{**ANN, field: "a\udcff"})
    assert not Path(store).exists()


def test_ids_are_written_as_those_of_files_are(store: str) -> None:
    added = add_review(store, **{**ANN, "user": " Jose\u0301 ", "item": "tea "})
    assert (added.user, added.item) == ("José", "tea")


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


def test_a_review_with_an_id_of_its_own_may_be_added_again(store: str) -> None:
    first = add_review(store, **ANN, id="r1", timestamp=1_700_000_000)
    assert add_review(store, **ANN, id="r1") == first
    with pytest.raises(InputError, match="another review of this id"):
        add_review(store, **{**ANN, "text": "Changed my mind."}, id="r1")
    with pytest.raises(InputError, match="another review of this id"):
        add_review(store, **ANN, id="r1", timestamp=1_700_000_001)
    with SqlStore(store) as database:
        assert [review.id for review in database.profile(UserId("ann"))] == ["r1"]
        sums = database.peer_sums([ItemId("tea")], exclude=UserId("bob"), encoder=HashEncoder(32).name)
        assert sums.counts.tolist() == [1]
