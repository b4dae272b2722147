"""Writing from a live store: with what was written a moment ago, and with no vector where none is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.config import merge
from idiolect.encoders import HashEncoder
from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.methods.base import DEFAULT_METHODS
from idiolect.pipeline.write import write_review
from idiolect.store.base import WithoutReviews
from idiolect.store.single_review import add_review
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId


def review(user: str, item: str) -> Review:
    text = f"What {user} thinks of the {item}."
    return Review(id=ReviewId(f"{user}-{item}"), user=UserId(user), item=ItemId(item), text=text)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "live.db")


@pytest.fixture
def compared(store: str) -> str:
    """Four users who all wrote about the same two items; no vectors."""
    with SqlStore(store) as database:
        database.add([], [review(user, item) for user in ("ann", "bob", "cyd", "dan") for item in ("tea", "mug")])
    return store


def test_writing_for_a_user_uses_what_they_wrote_a_moment_ago(job: Any, adapter: Path, store: str) -> None:
    with SqlStore(job.store) as source, SqlStore(store) as copy:
        user, item = source.users()[0], source.item_frame()["item"][0]
        frame = source.review_frame()
        mine = frame.filter(frame["user"] == user)
        copy.add(source.items([*mine["item"], item]).values(), source.reviews(mine["review_id"].to_list()))
    added = add_review(store, user=user, item=item, text="A fresh thought.", encoder="hash:48")
    with pytest.raises(ConfigError, match=r"cannot choose \(name it yourself if you trust it: model=MODEL"):
        write_review(store, user=user, item=item, adapter=adapter)
    asked: dict[str, Any] = {"user": user, "item": item, "adapter": adapter, "backbone": str(job.backbone)}
    prediction = write_review(store, **asked, include_own_review=True)
    assert prediction.method == "dep"
    assert prediction.anchors[0] == added.id


def test_nothing_is_written_with_a_control(job: Any, copied: Path) -> None:
    record = json.loads((copied / "settings.json").read_text())
    record["settings"] |= {"vectors": "his_twice", "controls": []}
    (copied / "settings.json").write_text(json.dumps(record))
    asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "adapter": copied}
    asked["backbone"] = str(job.backbone)  # the record was changed, so that the store does not know it
    with pytest.raises(ArtifactError, match=r"is a control, trained with vectors = his_twice \(write with one"):
        write_review(job.store, **asked)
    assert write_review(job.store, **asked, method="rag").text is not None


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
    for wrong, right in (("drpp", "drp"), ("ragg", "rag")):
        with pytest.raises(ConfigError, match=f"unknown method {wrong!r} .did you mean {right!r}"):
            write_review(job.store, user="s3-u00000", item="s3-i00000", method=wrong)


def test_the_fake_writes_without_an_adapter_and_refuses_one_fitted_to_another_model(job: Any, adapter: Path) -> None:
    asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "changes": {"encoder": "hash:48"}}
    prediction = write_review(job.store, **asked, backbone="fake")
    assert (prediction.method, prediction.text != "") == ("rag", True)
    assert write_review(job.store, **asked, backbone="fake", method="nonpersonalized").anchors == ()
    with pytest.raises(ArtifactError, match="not 'fake'"):
        write_review(job.store, **{**asked, "changes": {"backbone": {"backend": "fake"}}}, adapter=adapter)


@pytest.mark.parametrize("method", DEFAULT_METHODS)
def test_a_user_is_put_into_words_before_a_review_is_written(job: Any, method: str) -> None:
    changes = {"encoder": "hash:48", "backbone": {"model": "fake"}}
    found = write_review(job.store, user="s3-u00000", item="s3-i00000", method=method, changes=changes)
    assert found.method == method
    assert found.text
    assert found.profile in found.prompt
    assert "Compared with others" in found.profile


SHOWN: dict[str, Any] = {"extractor": {}, "comparison": {"representatives": 2}}


def test_others_without_vectors_get_them_where_representatives_are_chosen(compared: str) -> None:
    changes = {"encoder": "hash:32", "backbone": {"model": "fake"}, "differences": SHOWN}
    found = write_review(compared, user="ann", item="tea", method="drp", changes=changes, include_own_review=True)
    assert found.usage["extract"].calls == 2
    with SqlStore(compared) as database:
        assert database.missing_vectors(HashEncoder(32).name).is_empty()


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("nonpersonalized", {}),
        ("rag", {}),
        ("pag", {}),
        ("drp", {}),
        ("drp", {"differences": merge(SHOWN, {"comparison": {"selector": "random"}})}),
    ],
)
def test_what_reads_no_vector_needs_no_encoder(method: Any, changes: dict[str, Any], compared: str) -> None:
    changes = merge(changes, {"encoder": "no-such-encoder", "backbone": {"model": "fake"}})
    assert write_review(compared, user="ann", item="tea", method=method, changes=changes).text


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("rag", {"context": {"retriever": "dense"}}),
        ("drp", {"differences": {"comparison": {"retriever": "dense"}}}),
        ("dpl", {"differences": SHOWN}),
    ],
)
def test_what_reads_vectors_asks_for_their_encoder(method: Any, changes: dict[str, Any], compared: str) -> None:
    changes = merge(changes, {"encoder": "hash:0", "backbone": {"model": "fake"}})
    with pytest.raises(ConfigError, match="0 dimensions"):
        write_review(compared, user="ann", item="tea", method=method, changes=changes)
    fine = merge(changes, {"encoder": "hash:32"})
    assert write_review(compared, user="ann", item="tea", method=method, changes=fine).text


def texts_of(found: Any) -> list[str]:
    """Every text that a model was given or gave."""
    return [found.prompt, found.profile or "", *(one.text for one in found.stages)]


@pytest.mark.parametrize("method", ["rag", "pag", "dpl", "drp"])
def test_what_the_user_wrote_about_the_item_is_not_shown_unless_asked(
    method: Any, compared: str, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"encoder": "hash:32", "backbone": {"model": "fake"}, "differences": SHOWN}
    asked: dict[str, Any] = {"user": "ann", "item": "tea", "method": method, "changes": changes}
    found = write_review(compared, **asked)
    assert (found.own_reviews, found.own_reviews_shown) == (("ann-tea",), False)
    assert "'ann' has already reviewed 'tea'" in caplog.text
    assert "ann-tea" not in found.anchors
    assert not [text for text in texts_of(found) if "What ann thinks of the tea." in text]
    caplog.clear()
    shown = write_review(compared, **asked, include_own_review=True)
    assert (shown.own_reviews, shown.own_reviews_shown) == (("ann-tea",), True)
    assert "ann-tea" in shown.anchors
    assert any("What ann thinks of the tea." in text for text in texts_of(shown))
    assert not caplog.text


def test_nothing_is_said_of_an_item_that_the_user_has_not_reviewed(
    compared: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SqlStore(compared) as database:
        database.add([], [review("eve", "pan")])
    found = write_review(compared, user="ann", item="pan", backbone="fake")
    assert (found.own_reviews, found.own_reviews_shown) == ((), False)
    assert not caplog.text


def test_the_vectors_of_a_review_that_is_not_shown_reach_no_adapter(job: Any, adapter: Path) -> None:
    with SqlStore(job.store) as database:
        user = database.users()[0]
        own = database.profile(user)[-1]
    assert own.id in write_review(job.store, user=user, item=own.item, adapter=adapter, include_own_review=True).anchors
    assert own.id not in write_review(job.store, user=user, item=own.item, adapter=adapter).anchors


def test_sums_that_would_hold_hidden_reviews_are_refused(compared: str) -> None:
    with SqlStore(compared) as database:
        mine = database.profile(UserId("ann"))[0]
        reader = WithoutReviews(database, [mine.id], user=mine.user)
        assert mine not in [*reader.profile(mine.user), *reader.reviews_of(mine.item, exclude=UserId("bob"))]
        assert reader.reviews_of(mine.item, exclude=mine.user) == database.reviews_of(mine.item, exclude=mine.user)
        with pytest.raises(ValueError, match="would hold the hidden reviews"):
            reader.peer_sums([mine.item], exclude=UserId("bob"), encoder="e")
        with pytest.raises(ValueError, match="would hold the hidden reviews"):
            reader.peer_group_sums([None], exclude=UserId("bob"), encoder="e")
