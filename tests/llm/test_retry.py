from __future__ import annotations

import email.utils
import time

import numpy as np
import pytest

from idiolect.llm.retry import Backoff, RetryConfig, retry_after


def pauses(config, kinds, asked=None):
    backoff = Backoff(config, np.random.default_rng(0))
    return [backoff.pause(kind, asked) for kind in kinds]


def test_pauses_double_up_to_a_cap_with_jitter_below():
    config = RetryConfig(attempts=9, base_s=1, cap_s=4)
    for got, full in zip(pauses(config, ["server_error"] * 5), (1, 2, 4, 4, 4), strict=True):
        assert full / 2 <= got <= full


def test_attempts_end_and_rate_limiting_does_not_count():
    config = RetryConfig(attempts=2, base_s=0.01)
    assert pauses(config, ["server_error", "server_error"])[1] is None
    assert None not in pauses(config, ["rate_limited"] * 8)


def test_no_request_is_repeated_that_would_fail_again():
    for kind in ("context_too_long", "refused", "denied", "unfinished_thinking"):
        assert pauses(RetryConfig(), [kind]) == [None]


def test_a_server_is_never_asked_before_it_wants_to_be():
    assert pauses(RetryConfig(base_s=0.01), ["rate_limited"], asked=7.0)[0] >= 7.0


def test_a_pause_that_would_pass_the_deadline_is_not_waited_for():
    config = RetryConfig(deadline_s=10, timeout_s=8, base_s=0.01)
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
        ({}, None),
    ],
)
def test_retry_after_is_read_as_servers_write_it(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date():
    header = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"retry-after": header}) <= 30
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
