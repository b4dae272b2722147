from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.thinking import part

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
}


@pytest.mark.parametrize("text", CASES)
def test_thoughts_and_answer_are_told_apart(text):
    assert part(text) == CASES[text]


def test_a_model_that_always_thinks_has_not_finished_without_a_tag():
    assert part("raw thoughts", always=True) == ("raw thoughts", "", False)
    assert part("a</think>b", always=True) == ("a", "b", True)


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " b ", "\n"])).map("".join))
def test_no_tag_reaches_an_answer_and_no_word_is_lost(text):
    parted = part(text)
    assert "think>" not in parted.thinking + parted.answer
    words = parted.thinking + parted.answer
    assert (words.count("a"), words.count("b")) == (text.count("a"), text.count("b"))


@pytest.mark.parametrize("tag", ["<think>", "</think>"])
def test_a_reply_that_loops_costs_linear_time(tag):
    started = time.process_time()
    part(f"x{tag}" * 100_000)
    assert time.process_time() - started < 2
