from __future__ import annotations

import email.utils
import time

import numpy as np
import pytest

from idiolect.llm import retry
from idiolect.llm.retry import Backoff, RetryConfig, wait_asked_for


def pauses(config, kinds, asked=None):
    backoff = Backoff(config, np.random.default_rng(0))
    return [backoff.pause(kind, asked) for kind in kinds]


def test_pauses_double_up_to_a_cap_with_jitter_below(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 1)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 4)
    config = RetryConfig(attempts=9)
    for got, full in zip(pauses(config, ["server_error"] * 5), (1, 2, 4, 4, 4), strict=True):
        assert full / 2 <= got <= full


def test_attempts_end_and_rate_limiting_does_not_count():
    config = RetryConfig(attempts=2)
    assert pauses(config, ["server_error", "server_error"])[1] is None
    assert None not in pauses(config, ["rate_limited"] * 8)


def test_no_request_is_repeated_that_would_fail_again():
    for kind in ("context_too_long", "refused", "denied", "unfinished_thinking"):
        assert pauses(RetryConfig(), [kind]) == [None]


def test_a_server_is_never_asked_before_it_wants_to_be():
    assert pauses(RetryConfig(), ["rate_limited"], asked=7.0)[0] >= 7.0


def test_a_pause_that_would_pass_the_deadline_is_not_waited_for():
    config = RetryConfig(deadline_s=10, timeout_s=8)
    assert pauses(config, ["rate_limited"], asked=11.0) == [None]
    backoff = Backoff(config, np.random.default_rng(0))
    assert backoff.timeout == 8
    assert backoff.pause("timeout", 4.0) == 4.0
    assert backoff.timeout == 6
    backoff.spent += 9
    assert backoff.timeout == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"Retry-After": "1m30s"}, 90.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_servers_write_it(headers, seconds):
    assert wait_asked_for(headers) == seconds


def test_retry_after_may_be_a_date():
    header = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < wait_asked_for({"retry-after": header}) <= 30
    assert wait_asked_for({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "100",
            },
            1.0,
        ),
        ({"ratelimit-reset": "7"}, 7.0),
        ({"x-ratelimit-reset": "1741305600000"}, 0.0),
        ({"anthropic-ratelimit-tokens-reset": "2020-01-01T00:00:00Z"}, 0.0),
        ({"x-ratelimit-limit-requests": "9"}, None),
    ],
)
def test_reset_times_count_only_where_a_limit_was_met(headers, seconds):
    assert wait_asked_for(headers, limited=True) == seconds
    assert wait_asked_for(headers) is None


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 1.2s.", 1.2),
        ("try again in 450ms", 0.45),
        ("Please try again in 1h2m3.5s. Visit", 3723.5),
        ("please retry in 13.5s", 13.5),
        ("Please retry after 20 seconds.", 20.0),
        ("Try again in 2 minutes", 120.0),
        ("wait for 3 sec", 3.0),
        ("try again in 5 months", None),
        ("try again later; the limit is 6000 tokens per 1m", None),
    ],
)
def test_a_wait_may_stand_in_the_prose(words, seconds):
    for body in (words, {"error": {"message": words}}, [{"error": {"metadata": {"raw": words}}}]):
        assert wait_asked_for({}, body) == (pytest.approx(seconds) if seconds else None)


def test_a_wait_in_a_header_or_field_goes_before_prose():
    body = {"error": {"message": "try again in 9s", "details": [{"retryDelay": "2.5s"}]}}
    assert wait_asked_for({}, body) == 2.5
    assert wait_asked_for({"retry-after": "1"}, body) == 1.0
