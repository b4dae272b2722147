from __future__ import annotations

from types import SimpleNamespace

from idiolect.llm.base import Completion, Failure, Price, Usage, price_of

FIRST = Completion(
    text="a", prompt_tokens=10, completion_tokens=4, thinking_tokens=3, requests=3, cost=0.5, seconds=1.0
)
SECOND = Completion(
    text="b", prompt_tokens=1, completion_tokens=1, cost=0.25, cached=True, truncated=True, cut_prompt=True
)
LOST = Completion(text="", prompt_tokens=0, completion_tokens=0, requests=0, failure=Failure(kind="denied"))


def test_a_sum_counts_what_was_asked_spent_and_lost():
    assert Usage.of([FIRST, SECOND, LOST]) == Usage(
        calls=3,
        cached=1,
        failed=1,
        truncated=1,
        cut_prompts=1,
        retries=2,
        prompt_tokens=11,
        completion_tokens=5,
        thinking_tokens=3,
        seconds=1.0,
        cost=0.75,
        spent=0.5,
    )


def test_sums_add_up_by_stage():
    assert Usage.of([FIRST]) + Usage.of([SECOND, LOST]) == Usage.of([FIRST, SECOND, LOST])
    assert Usage.of([]) == Usage()


def test_a_price_is_per_million():
    assert Price(prompt=2.0, completion=6.0).of(500_000, 1_000_000) == 7.0


def test_a_price_is_found_behind_a_record_of_answers_and_none_where_nothing_is_charged():
    endpoint = SimpleNamespace(price=Price(prompt=1.0))
    assert price_of(endpoint) == price_of(SimpleNamespace(llm=endpoint)) == Price(prompt=1.0)
    assert price_of(SimpleNamespace(price=Price())) is None
    assert price_of(SimpleNamespace(name="in this process")) is None
