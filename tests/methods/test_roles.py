from __future__ import annotations

import pytest

from idiolect.errors import InputError
from idiolect.llm.base import Failure, SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.methods.roles import Role, Roles
from idiolect.types import Block, Message, Prompt

PARAMS = SamplingParams(temperature=0, max_new_tokens=100)


def prompt(text: str) -> Prompt:
    return Prompt((Message("system", (Block(("You study.",)),)), Message("user", (Block((text,)),))))


def test_answers_come_in_order_and_equal_questions_are_paid_once():
    llm = FakeLLM(lambda p: p.messages[1].text.upper())
    found = Role(llm=llm, params=PARAMS).ask([prompt("a"), prompt("b"), prompt("a")])
    assert [answer.text for answer in found] == ["A", "B", "A"]
    assert len(llm.seen) == 2
    assert [answer.usage.cached for answer in found] == [0, 0, 1]


def test_a_replicate_is_another_draw_of_the_same_question(kit):
    llm = kit.Scripted()
    role = Role(llm=llm, params=PARAMS)
    role.ask([prompt("a")])
    role.ask([prompt("a")], replicate=3)
    seeds = [params.seed for _, params, _ in llm.batches]
    assert seeds == [PARAMS.seed, PARAMS.replicate(3).seed]
    assert len(set(seeds)) == 2


def test_unfinished_thinking_is_asked_again_with_twice_the_tokens_and_never_read(kit):
    def think(_, params):
        return "<think>The block is [Tone]" if params.max_new_tokens < 400 else "<think>Well.</think> done"

    llm = kit.Scripted(E=think)
    (answer,) = Role(llm=llm, params=PARAMS).ask([prompt("a")])
    assert (answer.text, answer.thinking, answer.failure) == ("done", "Well.", None)
    assert [params.max_new_tokens for _, params, _ in llm.batches] == [100, 200, 400]
    assert (answer.usage.calls, answer.usage.failed, answer.usage.prompt_tokens) == (3, 2, 300)


def test_thinking_that_never_ends_is_a_failure_at_the_limit(kit):
    llm = kit.Scripted(E="<think>on and on")
    (answer,) = Role(llm=llm, params=PARAMS, thinking_limit=300).ask([prompt("a")])
    assert (answer.text, answer.thinking) == ("", "on and on")
    assert answer.failure is not None
    assert answer.failure.kind == "unfinished_thinking"
    assert [params.max_new_tokens for _, params, _ in llm.batches] == [100, 200, 300]


def test_only_what_is_unfinished_is_asked_again(kit):
    def think(p, params):
        slow = "slow" in p.messages[1].text and params.max_new_tokens < 200
        return "<think>hm" if slow else "ok"

    llm = kit.Scripted(E=think)
    found = Role(llm=llm, params=PARAMS).ask([prompt("fast"), prompt("slow"), prompt("quick")])
    assert [answer.text for answer in found] == ["ok"] * 3
    assert [len(prompts) for prompts, _, _ in llm.batches] == [3, 1]


def test_an_endpoints_own_failure_of_thinking_is_retried_and_others_are_not(kit):
    for kind, calls in (("unfinished_thinking", 3), ("server_error", 1)):
        llm = kit.Scripted(E=Failure(kind=kind))
        (answer,) = Role(llm=llm, params=PARAMS, thinking_limit=400).ask([prompt("a")])
        assert answer.failure == Failure(kind=kind)
        assert len(llm.batches) == calls


def test_a_prompt_that_no_budget_holds_fails_alone():
    class Small(FakeLLM):
        def generate(self, prompts, params, *, schema=None):
            if any(len(p.messages[1].text) > 5 for p in prompts):
                raise InputError("a prompt without history takes 9 tokens")
            return super().generate(prompts, params, schema=schema)

    llm = Small(lambda p: "ok")
    found = Role(llm=llm, params=PARAMS).ask([prompt("a"), prompt("far too long"), prompt("b")])
    assert [answer.text for answer in found] == ["ok", "", "ok"]
    assert found[1].failure is not None
    assert found[1].failure.kind == "context_too_long"


@pytest.mark.parametrize("able", [True, False])
def test_a_schema_goes_only_to_models_that_take_one(kit, able):
    llm = kit.Scripted(supports=frozenset({"schema"}) if able else frozenset())
    Role(llm=llm, params=PARAMS).ask([prompt("a")], schema={"type": "object"})
    assert llm.batches[0][2] == ({"type": "object"} if able else None)


def test_one_model_can_play_all_roles_or_only_write():
    llm = FakeLLM()
    shared, writing = Roles.shared(llm, PARAMS), Roles.writing(llm, PARAMS)
    assert shared.extractor is shared.validator is shared.summarizer is shared.generator
    assert writing.extractor is writing.validator is writing.summarizer is None
    assert writing.generator == shared.generator
