from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.reply import read_reply


def body(content, *, finish="stop", usage=None, **message):
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def read(raw, **options):
    return read_reply(raw, prompt_tokens=9, **options)


def test_text_and_counts_are_the_endpoints():
    usage = {"prompt_tokens": 7, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}}
    found = read(body(" <think>long</think> yes \n", usage=usage))
    assert (found.text, found.thinking, found.failure) == ("yes", "long", None)
    assert (found.prompt_tokens, found.completion_tokens, found.thinking_tokens) == (7, 30, 20)


def test_what_an_endpoint_does_not_count_is_estimated():
    found = read(body("x" * 40, reasoning_content="y" * 40))
    assert (found.prompt_tokens, found.completion_tokens, found.thinking_tokens) == (9, 20, 10)


def test_content_may_come_in_parts():
    assert read(body([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}])).text == "ab"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (body("", reasoning_content="hm", finish="length"), "unfinished_thinking"),
        (body("<think>hm", finish="stop"), "unfinished_thinking"),
        (body("", finish="length"), "empty"),
        (body("  \n"), "empty"),
        (body("<think>hm</think>"), "empty"),
        (body(None, refusal="I will not"), "refused"),
        (body("half a", finish="content_filter"), "refused"),
        (body({"a": 1}), "malformed"),
        (b'{"choices": [{"message": "text"}]}', "malformed"),
        (b'{"choices": null}', "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'"text"', "malformed"),
        (body("a", usage={"completion_tokens": float("inf")}), "malformed"),
        (b'{"error": {"message": "overloaded"}}', "server_error"),
    ],
)
def test_what_is_no_answer_is_a_failure_without_text(raw, kind):
    found = read(raw)
    assert (found.failure.kind, found.text) == (kind, "")


def test_thoughts_that_were_never_tagged_are_known_only_of_a_model_that_always_thinks():
    raw = body("raw thoughts", finish="length")
    assert (read(raw).text, read(raw).truncated) == ("raw thoughts", True)
    assert read(raw, always_thinks=True).failure.kind == "unfinished_thinking"
    assert read(body("answer", reasoning_content="hm"), always_thinks=True).text == "answer"


names = ["choices", "message", "content", "usage", "finish_reason", "error", "completion_tokens"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(names), inner),
    max_leaves=12,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_is_an_exception(raw):
    found = read(raw)
    assert (found.failure is None) == bool(found.text)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
        {"error": {"message": "no"}, "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
        {"choices": [{"message": {"content": 5}}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    ],
)
def test_what_cannot_be_read_keeps_the_counts_it_came_with(body):
    found = read_reply(json.dumps(body).encode(), prompt_tokens=99)
    assert found.failure is not None
    assert (found.prompt_tokens, found.completion_tokens) == (7, 3)


@pytest.mark.parametrize("usage", [None, 5, {"prompt_tokens": "x", "completion_tokens": -1}, {"prompt_tokens": True}])
def test_counts_that_are_none_count_nothing(usage):
    found = read_reply(json.dumps({"choices": [], "usage": usage}).encode(), prompt_tokens=99)
    assert (found.prompt_tokens, found.completion_tokens) == (0, 0)
