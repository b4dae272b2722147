"""What is made of calls that were not answered."""

from __future__ import annotations

from typing import Any

import pytest

from idiolect.experiments.answers import check_answered, settled, unheard
from idiolect.llm.failure import EndpointError


def row(stages: dict[str, str] | None = None, **calls: tuple[int, int]) -> dict[str, Any]:
    """A line of outputs: by stage how many calls were made and failed."""
    usage = {stage: {"calls": made, "failed": failed} for stage, (made, failed) in calls.items()}
    return {"text": "", "stages": stages or {}, "usage": usage, "features": []}


WRITTEN = row({"prompt": "p"}, write=(1, 0))
DOWN = row({"failure": "connection: refused"}, write=(1, 1))
TOO_LONG = row({"failure": "context_too_long: 9 tokens"}, write=(1, 1))
HALF_HEARD = row({"extract r1": "failed: timeout: no reply in time"}, extract=(2, 1), write=(1, 0))
UNHEARD = row({"extract r1": "failed: server_error: status 500"}, extract=(1, 1), write=(1, 0))
LIAR = row({"extract r1": "the user failed: connection: was lost"}, extract=(1, 0), write=(1, 0))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([WRITTEN, LIAR], True), ([TOO_LONG], True), ([WRITTEN, DOWN], False), ([HALF_HEARD], False), ([], True)],
)
def test_only_what_may_be_answered_another_day_is_asked_again(rows, expected):
    assert settled(rows) == expected


@pytest.mark.parametrize("rows", [[WRITTEN, DOWN], [TOO_LONG, TOO_LONG], [HALF_HEARD, HALF_HEARD], [LIAR]])
def test_some_answers_are_enough(rows):
    check_answered("drp", rows)


@pytest.mark.parametrize(("rows", "stage"), [([DOWN, DOWN], "write"), ([UNHEARD, UNHEARD], "extract")])
def test_a_stage_without_any_answer_ends_the_run(rows, stage):
    with pytest.raises(EndpointError, match=f"drp: none of the 2 calls of the stage {stage} was answered: "):
        check_answered("drp", rows)


def test_a_reader_is_told_what_was_not_heard():
    runs = {"rag": [WRITTEN, DOWN], "drp": [HALF_HEARD, HALF_HEARD], "dpl": [WRITTEN]}
    assert list(unheard(runs, extractor=True)) == [
        "rag: 1 of 2 texts are empty, for the model gave no answer",
        "drp: 2 of 4 calls of the stage extract brought no answer",
        "drp: no difference could be read from 2 answers of the extractor",
        "dpl: the extractor was asked nothing: nobody to compare with, or no call fits the budget",
    ]
    assert list(unheard({"dpl": [WRITTEN]}, extractor=False)) == []
