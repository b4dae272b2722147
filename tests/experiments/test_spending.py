from __future__ import annotations

from dataclasses import asdict

from idiolect.evaluation.usage import to_dict, to_markdown, to_text, usage_report, worth_showing
from idiolect.llm.base import Usage
from idiolect.types import ConditionId

CALL = Usage(calls=1, prompt_tokens=100, completion_tokens=10, seconds=0.5, cost=0.02, spent=0.02)
HELD = Usage(calls=1, cached=1, prompt_tokens=50, completion_tokens=5, seconds=0.25, cost=0.01)


def row(**stages: Usage) -> dict:
    return {"usage": {stage: asdict(usage) for stage, usage in stages.items()}}


DRP, RAG = ConditionId("drp"), ConditionId("rag")
RUNS = {
    DRP: [row(extract=CALL, write=CALL), row(extract=HELD, write=CALL)],
    ConditionId("drp", "wrong user"): [{"nll": 1.0}],
}


def test_stages_are_summed_over_samples_and_what_wrote_nothing_is_left_out() -> None:
    found = usage_report(RUNS)
    assert found == {DRP: {"extract": CALL + HELD, "write": CALL + CALL}}
    assert to_dict(found)["drp"]["extract"]["spent"] == 0.02


def test_the_table_has_tokens_latency_and_money_of_every_stage() -> None:
    markdown, text = to_markdown(usage_report(RUNS)), to_text(usage_report(RUNS))
    assert "| drp | extract | 2 | 1 | 0 | 150 | 15 | 0 | 0.375 | 0.03 | 0.02 |" in markdown
    assert len({len(line) for line in text.splitlines()}) == 1, "columns are aligned"


def test_one_local_call_a_text_is_not_worth_a_terminals_lines() -> None:
    free = Usage(calls=1, prompt_tokens=9)
    assert not worth_showing(usage_report({RAG: [row(write=free)]}))
    assert worth_showing(usage_report({RAG: [row(write=CALL)]}))
    assert worth_showing(usage_report({ConditionId("pag"): [row(summarize=free, write=free)]}))
