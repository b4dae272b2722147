from __future__ import annotations

import numpy as np

from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM, echo, fingerprint
from idiolect.prompts.rendering import render, with_soft
from idiolect.types import Block, Message, Prompt

PARAMS = SamplingParams()


def test_it_repeats_the_best_past_review_or_else_the_items_title(make_context):
    assert echo(render("rag", make_context(2, words=0))) == "Past words 0"
    assert echo(render("nonpersonalized", make_context(2))) == "New item"
    assert echo(Prompt((Message("user", (Block(("",)),)),))) == ""


def test_it_remembers_what_it_was_asked(make_context):
    llm = FakeLLM(lambda prompt: "yes")
    prompts = [render("rag", make_context(n)) for n in range(2)]
    assert [c.text for c in llm.generate(prompts, PARAMS)] == ["yes", "yes"]
    assert llm.seen == prompts


def test_an_answer_without_words_has_no_tokens(make_context):
    (completion,) = FakeLLM(lambda prompt: "").generate([render("rag", make_context(1))], PARAMS)
    assert (completion.text, completion.completion_tokens) == ("", 0)


def test_it_can_pretend_a_short_budget(make_context):
    (completion,) = FakeLLM(max_entries=2).generate([render("rag", make_context(4))], PARAMS)
    assert completion.kept_entries == (0, 1)


def test_a_reference_is_likelier_the_more_of_it_the_prompt_shows(make_context):
    prompts = [render("nonpersonalized", make_context(2)), render("rag", make_context(2))]
    shown, unshown = (FakeLLM().negative_log_likelihood(prompts, [text] * 2) for text in ("Past words", "blue moon"))
    assert shown[1] < shown[0]
    assert shown[1] < unshown[1]


def test_a_fingerprint_tells_text_virtual_tokens_and_rows_apart(make_context):
    plain, other = (render("dep", make_context(n)) for n in (1, 2))
    rows = np.ones((2, 3), dtype=np.float32)
    prompts = [
        plain,
        other,
        render("dep", make_context(1, no_diff=[0])),
        with_soft(plain, rows),
        with_soft(plain, -rows),
    ]
    assert len({fingerprint(prompt) for prompt in prompts}) == 5
    assert fingerprint(plain) == fingerprint(render("dep", make_context(1)))
