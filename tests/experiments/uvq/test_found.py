"""What a method found, from its outputs as they are made and as they are read back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from idiolect.difference.claims.feature import Feature, Measured, Quote
from idiolect.difference.claims.stylometric import POOLED
from idiolect.errors import ArtifactError
from idiolect.evaluation.judge import found_by, found_in
from idiolect.evaluation.uvq import uvq
from idiolect.pipeline.results import features, read_lines, read_outputs, sample_row, write_lines
from idiolect.types import (
    ComparedReview,
    ConditionId,
    Curve,
    Failure,
    ItemId,
    Prediction,
    ReviewId,
    Sample,
    StageResult,
    UserId,
)


def feature(comparison: str, direction: str = "more", **changes) -> Feature:
    plain = {"name": "marks", "category": "Writing", "attribute": "writing/exclamations", "status": "kept"}
    quoted = {"quotes": (Quote(text="Wow!"),), "measured": Measured(attribute="a", difference=1, low=0.5, high=1.5)}
    return Feature(**{**plain, **quoted, "direction": direction, "comparison": comparison, **changes})


def row(user: str, *found: Feature, review: str = "r1", others: tuple[str, ...] = ("p1", "p2")) -> dict:
    sample = Sample(user=UserId(user), item=ItemId("i"))
    compared = (pair(review, *others),)
    wrote = Prediction(sample=sample, method="drp", text="t", features=found, compared=compared)
    return sample_row(wrote, None, user=user)


def pair(review: str, *others: str) -> ComparedReview:
    return ComparedReview(review=ReviewId(review), others=tuple(map(ReviewId, others)))


def test_features_are_the_same_from_memory_and_from_a_file(tmp_path: Path) -> None:
    found = (feature("r1"), feature("r2", "fewer", status="dropped", reason="outvoted", measured=None))
    rows = [row("ann", *found)]
    write_lines(tmp_path / "drp.jsonl", rows)
    assert features(rows[0]) == features(read_lines(tmp_path / "drp.jsonl")[0]) == found
    assert features({"text": "no features"}) == ()
    with pytest.raises(ArtifactError, match=r"cannot be read: 0.name .evaluate again"):
        features({"features": [{"label": "marks"}]})


def test_what_was_measured_over_all_comparisons_is_not_one_more() -> None:
    one = found_by([row("ann", feature("r1"), feature(POOLED))])
    assert list(one.features) == [("ann", "r1")]
    assert uvq(one.units).per_user.tolist() == [0], "seen in one comparison, it does not recur"
    assert uvq(found_by([row("ann", feature("r1"), feature("r2"), feature(POOLED))]).units).per_user.tolist() == [1]


def test_a_comparison_of_two_samples_of_a_user_counts_once() -> None:
    first = row("ann", feature("r1"))
    again = row("ann", feature("r1"), feature("r2", "fewer"), review="r2", others=("p3",))
    one = found_by([first, row("bob"), again])
    assert one.users == ("ann", "bob"), "whoever has no difference is a user too"
    assert list(one.features) == [("ann", "r1"), ("ann", "r2")]
    assert one.features["ann", "r1"] == (feature("r1"),)
    assert [len(own) for own in one.validated] == [2, 0]
    assert one.listed == {"ann": (pair("r1", "p1", "p2"), pair("r2", "p3")), "bob": (pair("r1", "p1", "p2"),)}


def test_only_methods_that_compare_are_looked_at() -> None:
    runs = {
        ConditionId("pag"): [{**row("ann"), "compared": []}],
        ConditionId("rag"): [{"user": "ann", "text": "t"}],
        ConditionId("drp"): [row("ann")],
        ConditionId("drp", "wrong user"): [row("ann", feature("r1"))],
        ConditionId("mine: wrong user"): [row("ann", feature("r1"))],
    }
    assert list(map(str, found_in(runs))) == ["drp", "mine: wrong user"]


@pytest.mark.parametrize(
    ("took", "unread"), [((2, 0, 2), True), ((2, 1, 1), True), ((2, 1, 0), False), ((0, 0, 0), False)]
)
def test_who_was_not_heard_of_is_known(took: tuple[int, int, int], unread: bool) -> None:
    calls, failed, unreadable = took
    one = {**row("ann"), "usage": {"extract": {"calls": calls, "failed": failed, "unreadable": unreadable}}}
    assert (UserId("ann") in found_by([one]).unread) == unread
    assert found_by([one, {**row("ann"), "usage": {"extract": {"calls": 1, "failed": 0}}}]).unread == frozenset()
    assert found_by([row("ann")]).unread == frozenset(), "no call was needed"


def test_rows_of_an_older_version_are_refused_in_one_line(tmp_path: Path) -> None:
    now = {**row("ann"), "item": "i", "target": None, "reference": "t"}
    answer = StageResult(name="extract", review=ReviewId("r1"), failure=Failure(kind="timeout", message="late"))
    now |= {"stages": (asdict(answer),), "curve": asdict(Curve(points=(), end="nothing to compare"))}
    write_lines(tmp_path / "drp.jsonl", [now])
    assert read_outputs(tmp_path / "drp.jsonl")[0]["stages"][0]["failure"]["kind"] == "timeout"
    for part in (
        {"stages": {"extract r1": "failed: timeout"}},
        {"failure": "timeout: late"},
        {"compared": "r1 with p1"},
    ):
        write_lines(tmp_path / "drp.jsonl", [{**now, **part}])
        with pytest.raises(ValueError, match=r"drp.jsonl, line 1: '\w+' is not what an evaluation writes"):
            read_outputs(tmp_path / "drp.jsonl")
