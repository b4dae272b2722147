from __future__ import annotations

import asyncio

import pytest

from idiolect.llm.retry import LimitConfig, RateLimiter


class Time:
    """A clock that sleeping moves."""

    now = 100.0

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


def limited(config, tokens, *, used=None, pause=0.0):
    """When each request goes, in seconds after the first moment."""
    clock = Time()

    async def run():
        limiter = RateLimiter(config, clock=lambda: clock.now, sleep=clock.sleep)
        limiter.pause(pause)
        times = []
        for n in tokens:
            await limiter.wait(n)
            times.append(clock.now - 100)
            if used is not None:
                limiter.reconcile(n, used)
        return times

    return asyncio.run(run())


def test_nothing_waits_without_limits():
    assert limited(LimitConfig(), [1000] * 3) == [0, 0, 0]


def test_requests_are_spread_over_the_minute():
    assert limited(LimitConfig(requests_per_minute=30), [1] * 4) == pytest.approx([0, 2, 4, 6])


def test_tokens_are_spread_over_the_minute():
    assert limited(LimitConfig(tokens_per_minute=600), [50, 10, 20, 1]) == pytest.approx([0, 5, 6, 8])


def test_what_was_reserved_and_not_used_is_given_back():
    assert limited(LimitConfig(tokens_per_minute=600), [100] * 3, used=10) == pytest.approx([0, 1, 2])


def test_a_server_that_asks_for_time_stops_all():
    assert limited(LimitConfig(), [1, 1], pause=3.0) == pytest.approx([3, 3])


def test_sleeps_that_end_late_cost_nothing_of_the_limit():
    clock = Time()

    async def late(seconds):
        await clock.sleep(seconds + 0.003)

    async def run():
        limiter = RateLimiter(LimitConfig(requests_per_minute=12000), clock=lambda: clock.now, sleep=late)
        times = []
        for _ in range(201):
            await limiter.wait(1)
            times.append(clock.now - 100)
        return times

    times = asyncio.run(run())
    assert times[-1] == pytest.approx(1.0, abs=0.01)
    assert all(time >= 0.005 * k - 1e-9 for k, time in enumerate(times))


def test_requests_go_in_the_order_they_came():
    async def run():
        limiter, order = RateLimiter(LimitConfig(requests_per_minute=6000)), []

        async def one(k):
            await limiter.wait(1)
            order.append(k)

        await asyncio.gather(*(one(k) for k in range(8)))
        return order

    assert asyncio.run(run()) == list(range(8))
