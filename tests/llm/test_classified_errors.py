"""What an endpoint's refusal means: told by status, code, type, field and the wait that is asked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.base import Failure, reason_and_remedy
from idiolect.llm.failures import classify_error

QUOTA = "You exceeded your current quota, please check your plan and billing details."
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}


def error(message="no", **fields):
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (error("Limit reached, please try again in 1.2s. See https://x/settings/billing"), {}, 1.2),
        (error("See https://x/settings/billing", code="rate_limit_exceeded"), {"retry-after": "3"}, 3.0),
        ([error(QUOTA, code=429, status="RESOURCE_EXHAUSTED", details=[RETRY_INFO])], {}, 37.0),
        (error(f"{QUOTA} Please retry in 13.5s."), {}, 13.5),
        (error(QUOTA), {"Retry-After-Ms": "250"}, 0.25),
        (error(QUOTA), {"x-ratelimit-reset-requests": "1m1.5s"}, 61.5),
        (error("slow down", code="insufficient_balance"), {"retry-after": "2"}, 2.0),
        (error(QUOTA), {}, None),
        (error(), {}, None),
        ("plain words about billing", {}, None),
    ],
)
def test_a_429_is_waited_for_whatever_its_prose_says(body, headers, wait):
    failure, asked = classify_error(body, status=429, headers=headers)
    assert (failure.kind, asked) == ("rate_limited", wait)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, error(QUOTA, code="insufficient_quota")),
        (429, error("no", type="insufficient_quota")),
        (429, error("no", code="insufficient_balance")),
        (402, error("please wait 5 seconds")),
        (200, error("no", type="insufficient_quota")),
        (401, error()),
        (404, error()),
        (400, error(code="invalid_api_key")),
        (400, [error(status="INVALID_ARGUMENT", code=400, details=[{"reason": "API_KEY_INVALID"}])]),
        (307, ""),
    ],
)
def test_what_every_other_request_would_meet_too_is_denied(status, body):
    assert classify_error(body, status=status).failure.kind == "denied"


@pytest.mark.parametrize(
    ("body", "kind", "wait"),
    [
        (error("upstream", code=502), "server_error", None),
        (error("slow", code=429, metadata={"raw": "try again in 20 seconds"}), "rate_limited", 20.0),
        (error("overloaded"), "server_error", None),
        (error("long", code="context_length_exceeded"), "context_too_long", None),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "denied", None),
        (error("bad", type="invalid_request_error"), "refused", None),
    ],
)
def test_an_error_in_a_reply_of_status_200_is_reported_like_any_other(body, kind, wait):
    failure, asked = classify_error(body)
    assert (failure.kind, asked) == (kind, wait)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (
            400,
            error("Unsupported parameter.", param="max_tokens", code="unsupported_parameter"),
            "max_completion_tokens",
        ),
        (400, error("Unsupported parameter: 'max_completion_tokens'"), "limit_field=max_tokens"),
        (400, error("max_tokens must be at most 9", param="max_tokens"), "sampling.max_new_tokens"),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, "request.omit=[seed]"),
        (400, error("temperature does not support 0.8", param="temperature"), "request.omit=[temperature]"),
        (400, error("Unrecognized request argument supplied: top_p"), "request.omit=[top_p]"),
        (400, {"object": "error", "message": "System role not supported", "code": 400}, "merge_system=true"),
        (400, {"message": "Only user and assistant roles are supported, not the system role"}, "merge_system=true"),
        (400, error("response_format is not supported"), "schemas=false"),
        (400, error("This model's maximum context length is 10 tokens"), "max_prompt_chars"),
        (404, "404 page not found", "ends in /v1"),
        (405, {"detail": "Method Not Allowed"}, "ends in /v1"),
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "ends in /v1"),
        (404, error(code="model_not_found"), "endpoint.model"),
        (401, error(), "api_key_env"),
        (402, error(), "billing"),
    ],
)
def test_a_remedy_names_the_setting(status, body, remedy):
    failure = classify_error(body, status=status).failure
    assert failure.kind in ("refused", "denied", "context_too_long")
    assert remedy in reason_and_remedy(failure)[1]


def test_a_failure_has_a_remedy_its_own_or_the_usual_one():
    refused, late = Failure(kind="refused", message="no seed", hint="omit it"), Failure(kind="timeout", message="late")
    assert reason_and_remedy(refused) == ("refused: no seed", "omit it")
    assert reason_and_remedy(late) == ("timeout: late", "try again, or raise endpoint.retry.timeout_s")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "type", "param", "detail", "details", "loc", "msg"]), inner)
    ),
    max_leaves=12,
)


@given(
    anything, st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset"]), st.text())
)
def test_no_refusal_is_an_exception(body, status, headers):
    failure, wait = classify_error(json.loads(json.dumps(body)), status=status, headers=headers)
    assert failure.kind
    assert wait is None or wait >= 0
