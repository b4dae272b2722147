"""The judge of a run: what it is asked, what its answers were made from, and what is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idiolect.difference.claims.feature import Feature
from idiolect.erasure.files import erase_from
from idiolect.erasure.traces import Traces
from idiolect.evaluation.judge import Found, judge_found, write_judged
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.fake import FakeLLM
from idiolect.methods.roles import Role
from idiolect.peers import InMemoryReviews
from idiolect.pipeline.results import read_lines
from idiolect.types import ComparedReview, ConditionId, ItemId, Review, ReviewId, UserId

DRP = ConditionId("drp")

ANN = UserId("ann")
KEY = "writing/exclamations/more"
ANSWER = json.dumps({"units": [{"dup_key": KEY, "category": "Writing", "is_valid": True}]})


def review(id: str, user: str, item: str = "tea") -> Review:
    return Review(id=ReviewId(id), user=UserId(user), item=ItemId(item), text=f"What {user} says of {item}.")


def feature(comparison: str, **changes) -> Feature:
    plain = {"name": "marks", "description": "More marks.", "status": "kept"}
    return Feature(comparison=comparison, **plain | changes)


@pytest.fixture
def reader() -> InMemoryReviews:
    """Three of Ann's peers wrote about tea; the list of comparisons has two of them, one with a comma in its id."""
    tea = [review("a-1", "ann"), review("b, 1", "bob"), review("c-1", "cyd"), review("d-1", "dan")]
    return InMemoryReviews([], [*tea, review("a-2", "ann", "mug"), review("b-2", "bob", "mug")], {}, encoder="none")


LISTED = (
    ComparedReview(review=ReviewId("a-1"), others=(ReviewId("b, 1"), ReviewId("c-1"))),
    ComparedReview(review=ReviewId("a-2"), others=(ReviewId("b-2"),)),
)


@pytest.fixture
def found() -> dict[ConditionId, Found]:
    features = {
        (ANN, "a-1"): (feature("a-1"), feature("a-1", name="secret", status="dropped", reason="peer_text")),
        (ANN, "a-2"): (feature("a-2", status="dropped", reason="unclear"),),
    }
    return {DRP: Found(users=(ANN,), features=features, listed={ANN: LISTED})}


def test_the_judge_reads_what_validation_let_stand_and_counts_in_its_place(reader, found) -> None:
    llm = FakeLLM(lambda prompt: ANSWER)
    one = judge_found(Role(llm=llm), found, reader)[DRP]
    (asked,) = llm.seen
    assert "[marks] More marks." in asked.messages[-1].text
    assert "secret" not in asked.messages[-1].text
    assert [[unit.path for unit in cell] for cell in one.units[0]] == [[KEY], []]
    assert [[unit.valid for unit in cell] for cell in one.validated[0]] == [[True, False], [False]]


def test_erasing_a_review_erases_the_judgements_made_from_it(reader, found, tmp_path: Path) -> None:
    with Cache(tmp_path / "answers.db") as record:
        llm = FakeLLM(lambda prompt: ANSWER)
        role = Role(llm=CachedLLM(llm, record))
        for erased, asked in (("b, 1", 2), ("d-1", 2), ("c-1", 3), ("a-1", 4)):
            judge_found(role, found, reader)
            record.forget_reviews([ReviewId(erased)])
            judge_found(role, found, reader)
            assert len(llm.seen) == asked, erased


def test_the_judges_word_on_every_comparison_is_left_behind(reader, found, tmp_path: Path) -> None:
    one = judge_found(Role(llm=FakeLLM(lambda prompt: "Pardon?")), found, reader)[DRP]
    write_judged(one, tmp_path / "judged" / "drp.jsonl")
    first, second = read_lines(tmp_path / "judged" / "drp.jsonl")
    compared = [{"review": "a-1", "others": ["b, 1", "c-1"]}, {"review": "a-2", "others": ["b-2"]}]
    assert first == {
        "user": "ann", "comparison": "a-1", "compared": compared,
        "claims": ["[marks] More marks."], "failed": True, "units": [],
    }  # fmt: skip
    assert (second["claims"], second["failed"]) == ([], False)
    assert [one.count for one in erase_from(tmp_path, Traces.of(UserId("dan"), [review("d-1", "dan")]))] == []
    assert [one.count for one in erase_from(tmp_path, Traces.of(UserId("bob"), [review("b, 1", "bob")]))] == [2]
    write_judged(found[DRP], tmp_path / "judged" / "drp.jsonl")
    assert not (tmp_path / "judged" / "drp.jsonl").exists(), "nobody was asked this time"


def test_a_review_is_not_one_whose_id_begins_alike() -> None:
    tea = [review("r", "ann"), review("r1", "bob"), review("r11", "cyd")]
    llm = FakeLLM(lambda prompt: ANSWER)
    listed = {ANN: (ComparedReview(review=ReviewId("r"), others=(ReviewId("r11"),)),)}
    one = Found(users=(ANN,), features={(ANN, "r"): (feature("r"),)}, listed=listed)
    judge_found(Role(llm=llm), {"drp": one}, InMemoryReviews([], tea, {}, encoder="none"))
    assert llm.seen[0].sources == ("r", "r11")
