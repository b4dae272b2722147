from __future__ import annotations

import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.thinking import leftovers, marks_of, part, settled

CASES = {
    "plain": ("", "plain", True),
    "<think>a</think>b": ("a", "b", True),
    "a\n</think>\n\nb": ("a", "b", True),
    "<think>\na": ("a", "", False),
    "x<think>a": ("a", "x", False),
    "<think></think>b": ("", "b", True),
    "<THINK>a</Think>b": ("a", "b", True),
    "<thinking>a</thinking>b": ("a", "b", True),
    "<think>a</think>b<think>c</think>d": ("ac", "bd", True),
    "<think>a<think>b</think>c": ("ab", "c", True),
    "a</think>b</think>c": ("ab", "c", True),
    "<think>a</think>b<think>c": ("ac", "b", False),
    "": ("", "", True),
    "1 < 2 <b>bold</b>": ("", "1 < 2 <b>bold</b>", True),
    "Sure.\n\n<think>a</think>\n\nb": ("a", "Sure.\n\n\n\nb", True),
    "First. <think>a</think> Then.": ("a", "First.  Then.", True),
    "Hm. </think> Then.": ("Hm.", "Then.", True),
}

FORMS = {
    "<thought>a</thought>b": ("a", "b", True),
    "<reasoning>\na\n</reasoning>\nb": ("a", "b", True),
    "<reflection>a</reflection>b": ("a", "b", True),
    "<seed:think>a<seed:cot_budget_reflect>n</seed:cot_budget_reflect>c</seed:think>b": (
        "a<seed:cot_budget_reflect>n</seed:cot_budget_reflect>c",
        "b",
        True,
    ),
    "<longcat_think>a</longcat_think>b": ("a", "b", True),
    "[THINK]a[/THINK]b": ("a", "b", True),
    "a[/THINK]b": ("a", "b", True),
    "[THINK]a": ("a", "", False),
    "◁think▷a◁/think▷b": ("a", "b", True),
    "<unused94>thought\na<unused95>b": ("a", "b", True),
    "<unused94>thought\na": ("a", "", False),
    "<|channel>thought\na<channel|>b": ("a", "b", True),
    "<|channel>thought\n<channel|>b": ("", "b", True),
    "<|channel>thought\na": ("a", "", False),
    "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>": ("a", "b", True),
    "<|begin_of_thought|>a<|end_of_thought|>\n\n<|begin_of_solution|>b<|end_of_solution|>": ("a", "b", True),
    "<thinking>a<reflection>b</reflection>c</thinking><output>d</output>": ("abc", "d", True),
    "<thinking>a<reflection>b</reflection>c": ("abc", "", False),
    "<think>a <think>b</think> c </think> d": ("a b c", "d", True),
    "<think>a</thinking>b": ("a", "b", True),
    "Here is my thought process: a\nHere is my response: b": ("a", "b", True),
    "Here is my thought process: a": ("a", "", False),
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": ("a", "b", True),
    "<|channel|>analysis<|message|>a<|end|>\n<|start|>assistant<|channel|>final<|message|>b<|return|>": (
        "a",
        "b",
        True,
    ),
    "<|start|>assistant<|channel|>analysis<|message|>a<|end|>": ("a", "", False),
    "<|channel|>analysis": ("", "", False),
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final": ("a", "", True),
    "<|channel|>commentary<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": ("a", "b", True),
    "<|channel|>final <|constrain|>json<|message|>{}": ("", "{}", True),
    "analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": ("a", "b", True),
    "analysisWe look.assistantfinalb": ("We look.", "b", True),
    "analysisWe look.assistantcommentaryHm.assistantfinalb": ("We look.\n\nHm.", "b", True),
    "We look.assistantfinalb": ("We look.", "b", True),
    "assistantfinalb": ("", "b", True),
    "analysisWe look": ("We look", "", False),
}

MENTIONS = [
    "The app prints a <think> tag before every answer.",
    "The app prints `<think>` and `</think>` around everything.",
    'It says "<think>", then nothing.',
    "All it says is </think> and then it stops.",
    "It always writes <think>hmm</think> before a word.",
    "Nice app.\n<think> tags everywhere though.",
    "The bot printed <|channel|> all day.",
    "analysis of the menu: fine. It has a final word.",
    "Analysis paralysis, and no assistantfinal in sight.",
    "A thought: [think] twice about (reasoning).",
    "Here is my response: it was good.",
    "final note: good.",
]


@pytest.mark.parametrize("text", [*CASES, *FORMS])
def test_thoughts_and_answer_are_told_apart(text):
    assert part(text) == {**CASES, **FORMS}[text]


@pytest.mark.parametrize("text", MENTIONS)
@pytest.mark.parametrize("before", ["", "<think>They like apps.</think>\n", "[THINK]Apps.[/THINK]"])
def test_a_text_that_speaks_of_tags_stays_whole(text, before):
    assert part(before + text).answer == text
    assert part(before + text).finished


def test_a_closing_tag_that_thoughts_only_mention_closes_nothing():
    assert part("<think>They wrote `</think>` once.</think>b") == ("They wrote `</think>` once.", "b", True)
    assert part("<think>They mention <think> tags.</think>It shows </think> a lot.").answer == (
        "It shows </think> a lot."
    )


def test_a_model_that_always_thinks_has_not_finished_without_a_tag():
    assert part("raw thoughts", always=True) == ("raw thoughts", "", False)
    assert part("a</think>b", always=True) == ("a", "b", True)
    assert part("a </think> b", always=True) == ("a", "b", True)


def test_further_tags_are_set_by_name_or_as_a_pair():
    assert part("<plan>a</plan>b") == ("", "<plan>a</plan>b", True)
    assert part("<plan>a</plan>b", tags=["plan"]) == ("a", "b", True)
    assert part("[PLAN]a[/PLAN]b<think>c</think>d", tags=["[PLAN]"]) == ("ac", "bd", True)
    assert part("((a))b", tags=[("((", "))")]) == ("a", "b", True)
    assert part("<plan>a", tags=["plan"]) == ("a", "", False)


@pytest.mark.parametrize("tag", ["", " ", "<>", ("a", "A"), ("", "b"), ("a", "")])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is no tag"):
        marks_of(tag)


def test_markup_that_is_left_is_reported():
    assert leftovers("Good.<|im_end|>\n<|im_start|>user <|im_end|>") == ("<|im_end|>", "<|im_start|>")
    assert leftovers("<|channel|>odd <turn|> <｜end▁of▁sentence｜></s><end_of_turn>[/INST]") == (
        "<|channel|>",
        "<turn|>",
        "<｜end▁of▁sentence｜>",
        "</s>",
        "<end_of_turn>",
        "[/INST]",
    )
    assert leftovers("1 < 2 | 3 > 2, <b>bold</b>, a <|> b, [x], <3") == ()


PIECES = [
    "<think>", "</think>", "<reasoning>", "</reasoning>", "[THINK]", "[/THINK]", "<|channel>thought\n", "<channel|>",
    "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|end|>", "<|start|>assistant", "assistantfinal",
    "analysis", "`", '"', "a", " b ", "\n", ". ", "C",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.booleans())
def test_no_word_is_lost_or_said_twice(text, always):
    parted = part(text, always=always)
    for word in ("b", "C"):
        assert (parted.thinking + parted.answer).count(word) == text.count(word)
    assert parted.answer == parted.answer.strip()
    assert parted.thinking == parted.thinking.strip()


MARKUPS = [
    ("", ""), ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"), ("<plan>", "</plan>"),
    ("<|channel>thought\n", "<channel|>"), ("Here is my thought process:", "Here is my response:"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
]  # fmt: skip


@given(
    st.sampled_from(MARKUPS),
    st.lists(st.sampled_from(["So", " b ", "\n", ". ", "1 < 2 "]), min_size=1).map("".join).filter(str.strip),
    st.lists(st.sampled_from(["So", " b ", "\n", ". ", "<b>x</b>", "a [1] b", "1 < 2 ", "`<think>`"]), min_size=1)
    .map("".join).filter(str.strip),
)  # fmt: skip
def test_what_is_settled_stays(form, thought, said):
    text = form[0] + thought * bool(form[0]) + form[1] + said
    answer, seen = part(text, tags=["plan"]), ""
    for size in range(len(text) + 1):
        now = settled(text[:size], tags=["plan"])
        assert not now or now.startswith(seen)
        seen = now or seen
    assert answer.answer.startswith(seen)


def test_text_is_settled_while_it_is_written():
    text = "<think>Short, they like it short.</think>Good tea, [1] says. I had it <b>hot</b> at 1 < 2 pounds a cup."
    seen = [settled(text[:size]) for size in range(len(text) + 1)]
    assert len(set(seen)) > 40
    assert seen[-1] == "Good tea, [1] says. I had it <b>hot</b> at 1 < 2 pounds a cup."
    assert settled("Good </thi") == settled("Good [TH") == settled("Good <|im_") == "Good"
    assert settled("Finally here. <thi") == "Finally here."
    assert settled("Here is my tea") == "Here is my tea"
    assert settled("Good", always=True) == settled("Here is my") == settled("<plan>a", tags=["plan"]) == ""


@given(st.text(alphabet=st.characters(exclude_characters="<[◁")))
def test_a_text_without_tags_is_its_own_answer(text):
    if not text.lstrip().lower().startswith(("analysis", "commentary", "assistant", "here")):
        assert part(text) == ("", text.strip(), True)


@given(
    st.text(alphabet="ab .\n", min_size=1).filter(str.strip),
    st.text(alphabet="cd .\n", min_size=1).filter(str.strip),
    st.sampled_from(
        [("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"),
         ("<|channel>thought\n", "<channel|>"), ("<unused94>thought\n", "<unused95>"),
         ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")]
    ),
)  # fmt: skip
def test_every_form_is_parted_whole_and_is_unfinished_without_its_end(thought, answer, form):
    opening, closing = form
    assert part(f"{opening}{thought}{closing}{answer}") == (thought.strip(), answer.strip(), True)
    assert part(f"{opening}{thought}") == (thought.strip(), "", False)


@pytest.mark.parametrize(
    "piece", ["x<think>", "x</think>", "x <think> y", "x </think> y", "`<think>`", "x\n<think> y", "<|channel|>a", " ",
              "<think></think>", "<|end|>", "<|channel|>final<|message|>", "assistantfinal"],
)  # fmt: skip
def test_a_reply_that_loops_costs_linear_steps(piece):
    def steps(n: int) -> int:
        """Calls of functions, Python's and C's, which do not depend on the machine or its load."""
        calls = Counter()
        sys.setprofile(lambda _, event, __: calls.update([event]))
        try:
            part(piece * n)
            leftovers(piece * n)
        finally:
            sys.setprofile(None)
        return calls["call"] + calls["c_call"]

    part(piece)
    assert steps(1000) <= 2.2 * steps(500) + 100
    text = piece * 100_000  # a quadratic scan would take hours
    parted = part(text)
    assert (parted.thinking + parted.answer).count("y") == text.count("y")
    assert len(leftovers(text)) <= 2
