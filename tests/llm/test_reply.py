from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.request import read_reply


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
        (body(None, reasoning_content="the answer"), "wrong_field"),
        (b'{"error": {"message": "overloaded"}}', "server_error"),
    ],
)
def test_what_is_no_answer_is_a_failure_without_text(raw, kind):
    found = read(raw)
    assert (found.failure.kind, found.text) == (kind, "")


@pytest.mark.parametrize("finish", ["stop", "length", "end_turn", "eos", "STOP", "tool_calls", "max_tokens", "", None])
def test_text_is_an_answer_if_it_ended_as_answers_end(finish):
    found = read(body("whole", finish=finish))
    assert (found.text, found.failure) == ("whole", None)
    assert found.truncated == ({"length": True, "max_tokens": True}.get(finish, False) if finish else None)


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource", "network_error", "abort", "whatever"])
def test_text_that_broke_off_is_no_answer(finish):
    found = read(body("half a", finish=finish, usage={"prompt_tokens": 5, "completion_tokens": 2}))
    assert (found.failure.kind, found.text) == ("server_error", "")
    assert finish in found.failure.message
    assert (found.prompt_tokens, found.completion_tokens) == (5, 2), "it is billed"


def test_an_error_next_to_partial_text_is_no_answer():
    choice = {"message": {"content": "half a"}, "error": {"code": 502, "message": "gone"}, "finish_reason": "stop"}
    found = read(json.dumps({"choices": [choice]}).encode())
    assert (found.failure.kind, found.failure.message, found.text) == ("server_error", "status 502: gone", "")
    limited = {**choice, "error": {"code": 429, "message": "try again in 2s"}}
    found = read(json.dumps({"choices": [limited]}).encode())
    assert (found.failure.kind, found.retry_after) == ("rate_limited", 2.0)


def events(*data):
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in data).encode()


def delta(text, **choice):
    return {"choices": [{"delta": {"content": text}, **choice}]}


def test_a_stream_that_was_not_asked_for_is_read():
    ended = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    found = read(events(delta("the "), delta("answer", finish_reason="length"), ended, "[DONE]"))
    assert (found.text, found.truncated, found.prompt_tokens, found.failure) == ("the answer", True, 3, None)
    assert read(b": a comment\n\n" + events(delta("hi"), "[DONE]")).text == "hi"


@pytest.mark.parametrize(
    "raw",
    [
        events(delta("half")),
        events(delta("half"), {"error": {"message": "gone", "code": 502}}, "[DONE]"),
        events(delta("half", error={"message": "gone"}), "[DONE]"),
        events(delta("half")) + b'event: error\ndata: {"message": "gone"}\n\n',
        events(delta("half", finish_reason="error"), "[DONE]"),
        events(delta("half"))[:-9],
    ],
)
def test_a_stream_that_breaks_off_or_reports_an_error_is_no_answer(raw):
    found = read(raw)
    assert (found.failure.kind in ("server_error", "malformed"), found.text) == (True, "")


counts = st.one_of(
    st.none(),
    st.text(),
    st.booleans(),
    st.integers(max_value=0),
    st.integers(min_value=10**8),
    st.sampled_from([float("nan"), float("inf"), -0.5, 1e30]),
)


@given(counts, counts, counts)
def test_absurd_counts_are_unknown_and_counted_from_the_text(prompt, completion, reasoning):
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    details = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
    found = read(body("x" * 40, reasoning_content="y" * 40, usage=usage | details))
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("x" * 40, 9, 20)
    assert 0 <= found.thinking_tokens <= 20
    assert not found.counted
    assert not found.counted_prompt


def test_thoughts_that_were_never_tagged_are_known_only_of_a_model_that_always_thinks():
    raw = body("raw thoughts", finish="length")
    assert (read(raw).text, read(raw).truncated) == ("raw thoughts", True)
    assert read(raw, reasoning_model=True).failure.kind == "unfinished_thinking"
    assert read(body("answer", reasoning_content="hm"), reasoning_model=True).text == "answer"


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
