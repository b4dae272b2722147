"""What is made of calls that were not answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from idiolect.evaluation.usage import answered, check_answered, failure_notes, settled
from idiolect.llm.base import EndpointError
from idiolect.types import ConditionId, Failure, ReviewId, StageResult

RAG, PAG, DPL, DRP = map(ConditionId, ("rag", "pag", "dpl", "drp"))


def row(failure: Failure | None = None, *stages: StageResult, **calls: tuple[int, int]) -> dict[str, Any]:
    """A line of outputs: by stage how many calls were made and failed."""
    usage = {stage: {"calls": made, "failed": failed} for stage, (made, failed) in calls.items()}
    failed = failure and asdict(failure)
    return {"text": "", "failure": failed, "stages": [*map(asdict, stages)], "usage": usage, "features": []}


def extracted(**said: Any) -> StageResult:
    return StageResult(name="extract", review=ReviewId("r1"), **said)


WRITTEN = row(write=(1, 0))
DOWN = row(Failure(kind="connection", message="refused"), write=(1, 1))
TOO_LONG = row(Failure(kind="context_too_long", message="9 tokens"), write=(1, 1))
HALF_HEARD = row(None, extracted(failure=Failure(kind="timeout")), extract=(2, 1), write=(1, 0))
UNANSWERED = row(None, extracted(failure=Failure(kind="server_error")), extract=(1, 1), write=(1, 0))
LIAR = row(None, extracted(text="failed: connection: was lost"), extract=(1, 0), write=(1, 0))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([WRITTEN, LIAR], True),
        ([WRITTEN, TOO_LONG], True),
        ([TOO_LONG], False),
        ([WRITTEN, DOWN], False),
        ([HALF_HEARD], False),
        ([], True),
    ],
)
def test_only_what_may_be_answered_another_day_is_asked_again(rows, expected):
    assert settled(rows) == expected


@pytest.mark.parametrize("rows", [[WRITTEN, DOWN], [WRITTEN, TOO_LONG], [HALF_HEARD, HALF_HEARD], [LIAR]])
def test_some_answers_are_enough(rows):
    check_answered(DRP, rows)


@pytest.mark.parametrize(
    ("rows", "stage"),
    [
        ([DOWN, DOWN], "write"),
        ([TOO_LONG, TOO_LONG], "write"),
        ([TOO_LONG, DOWN], "write"),
        ([UNANSWERED, UNANSWERED], "extract"),
    ],
)
def test_a_stage_without_any_answer_ends_the_run(rows, stage):
    with pytest.raises(EndpointError, match=f"drp: none of the 2 calls of the stage {stage} was answered: "):
        check_answered(DRP, rows)


def test_a_report_says_what_was_not_answered():
    runs = {RAG: [WRITTEN, DOWN], DRP: [HALF_HEARD, HALF_HEARD], DPL: [WRITTEN]}
    assert list(failure_notes(runs, extracting=("drp", "dpl"))) == [
        "rag: 1 of 2 texts are missing, because the model gave no answer; their samples are left out of every table: "
        "connection: refused (check endpoint.base_url, and that a server is running there)",
        "drp: 2 of 4 calls of the stage extract brought no answer",
        "drp: 2 answers of the extractor name no difference",
        "dpl: no call of the extractor: there are no peers, or no call fits the budget",
    ]
    assert list(failure_notes({DPL: [WRITTEN]})) == []


def test_a_text_that_came_at_a_second_call_is_not_missing_and_markup_is_reported():
    again = {**row(None, StageResult(name="write", notes=("<|im_end|>",)), write=(2, 1)), "text": "a text<|im_end|>"}
    assert list(failure_notes({RAG: [again, WRITTEN]})) == ["rag: 1 of 2 texts still hold a model's control markup"]


def test_samples_without_a_text_in_some_condition_are_left_out_for_all():
    assert answered({RAG: [WRITTEN, DOWN, WRITTEN], PAG: [WRITTEN, WRITTEN, WRITTEN]}).tolist() == [0, 2]
    assert answered({RAG: [WRITTEN, UNANSWERED]}).tolist() == [0, 1], "a stage before the last may go unanswered"
    with pytest.raises(EndpointError, match="no sample was answered in every condition"):
        answered({RAG: [WRITTEN, DOWN], PAG: [TOO_LONG, WRITTEN]})


def counted(tokens: int, length: int, **further: int) -> dict[str, Any]:
    usage = {"write": {"calls": 1, "prompt_tokens": tokens, **further}}
    return {"text": "t", "prompt": "x" * length, "usage": usage}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([counted(64, 1400), counted(64, 900)], True),
        ([counted(64, 1400), counted(20, 100), counted(64, 400)], True),
        ([counted(64, 300), counted(64, 290), counted(9, 40)], False),
        ([counted(90, 400), counted(20, 90), counted(20, 300)], False),
        ([counted(64, 1400, failed=1), counted(64, 300)], False),
        ([], False),
    ],
)
def test_equal_counts_for_prompts_of_other_lengths_are_reported(rows, told):
    notes = list(failure_notes({RAG: rows}))
    found = [note for note in notes if "the same number of tokens for prompts of very different lengths" in note]
    assert bool(found) == told
    assert all("request.max_prompt_chars" in note for note in found)


def test_incomplete_answers_are_reported():
    cut = {"write": {"calls": 1, "truncated": 1, "cut_prompts": 1}, "extract": {"calls": 2, "truncated": 1}}
    notes = list(failure_notes({RAG: [{"text": "t", "usage": cut}, WRITTEN]}))
    assert [note.partition(":")[0] for note in notes] == ["rag"] * 4
    assert "1 of 2 texts were cut off" in notes[0]
    assert "have cut 1 of 2 prompts of the stage write" in notes[1]
    assert "1 of 2 answers of the stage extract were cut off" in notes[2]


def test_a_reader_is_reported_what_could_not_be_read():
    unread = row(extract=(2, 0), write=(1, 0))
    unread["usage"]["extract"]["unreadable"] = 2
    said = "drp: unreadable: 2 of {} answers of the stage extract"
    assert list(failure_notes({DRP: [unread]}, extracting=("drp",))) == [
        f"{said.format(2)}: the stage failed, and the texts were written without it"
    ]
    half = list(failure_notes({DRP: [unread, row(extract=(2, 1), write=(1, 0))]}, extracting=("drp",)))
    assert said.format(3) in half
    assert half[-1] == "drp: 1 answers of the extractor name no difference"
