"""What a backbone may read: nothing that an adapter is fitted or tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idiolect.data.split import Split
from idiolect.errors import ArtifactError
from idiolect.pipeline.commands import pretrain_backbone
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Review]:
    """The reviews that reach a pretraining that does nothing."""
    seen: list[Review] = []

    def pretrain(reviews: Sequence[Review], items: object, **_: object) -> None:
        seen.extend(reviews)

    monkeypatch.setattr("idiolect.training.pretrain.pretrain", pretrain)
    return seen


def repeats(target: Review) -> list[Review]:
    """The same words about another item, spaced otherwise, and other words about the same item."""
    again = replace(target, id=ReviewId(f"{target.id}-text"), item=ItemId("elsewhere"), text=f" {target.text}\n\n")
    anew = replace(target, id=ReviewId(f"{target.id}-item"), text="On second thoughts, I was wrong.")
    return [again, anew]


@pytest.mark.parametrize("bucket", [10**6, 40])
def test_neither_targets_nor_what_repeats_them_is_read(
    job: Any, read: list[Review], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int
) -> None:
    monkeypatch.setattr("idiolect.pipeline.pretraining.BUCKET_ROWS", bucket)
    split = Split.load(job.split)
    with SqlStore(job.store) as source, SqlStore(tmp_path / "s.db") as store:
        everything = source.reviews(source.review_frame()["review_id"].to_list())
        targets = source.reviews(split.ids("train", "validation", "test"))
        echo = replace(targets[0], id=ReviewId("echo"), user=targets[-1].user, item=ItemId("elsewhere"))
        store.add([], [*everything, echo, *(again for target in targets for again in repeats(target))])
        split.save(tmp_path / "split", fingerprint=store.fingerprint())
    pretrain_backbone(str(tmp_path / "s.db"), tmp_path / "lm", split=tmp_path / "split")
    hidden = {target.id for target in targets}
    assert [review.id for review in read] == [r.id for r in everything if r.id not in hidden] + [echo.id]


def test_without_a_split_everything_is_read(job: Any, read: list[Review], tmp_path: Path) -> None:
    pretrain_backbone(job.store, tmp_path / "lm")
    with SqlStore(job.store) as store:
        assert len(read) == store.counts().reviews


def test_a_split_of_another_state_of_the_store_is_refused(job: Any, read: list[Review], tmp_path: Path) -> None:
    with SqlStore(tmp_path / "s.db") as store:
        store.add([], [])
    with pytest.raises(ArtifactError, match="another state of the store"):
        pretrain_backbone(str(tmp_path / "s.db"), tmp_path / "lm", split=job.split)
    assert not read
