from __future__ import annotations

import asyncio

import pytest

from idiolect.llm.retry import LimitConfig, Pace


class Time:
    """A clock that sleeping moves."""

    now = 100.0

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


def paced(config, tokens, *, used=None, hold=0.0):
    """When each request goes, in seconds after the first moment."""
    clock = Time()

    async def run():
        pace = Pace(config, clock=lambda: clock.now, sleep=clock.sleep)
        pace.hold(hold)
        times = []
        for n in tokens:
            await pace.wait(n)
            times.append(clock.now - 100)
            if used is not None:
                pace.settle(n, used)
        return times

    return asyncio.run(run())


def test_nothing_waits_without_limits():
    assert paced(LimitConfig(), [1000] * 3) == [0, 0, 0]


def test_requests_are_spread_over_the_minute():
    assert paced(LimitConfig(requests_per_minute=30), [1] * 4) == pytest.approx([0, 2, 4, 6])


def test_tokens_are_spread_over_the_minute():
    assert paced(LimitConfig(tokens_per_minute=600), [50, 10, 20, 1]) == pytest.approx([0, 5, 6, 8])


def test_what_was_reserved_and_not_used_is_given_back():
    assert paced(LimitConfig(tokens_per_minute=600), [100] * 3, used=10) == pytest.approx([0, 1, 2])


def test_a_server_that_asks_for_time_stops_all():
    assert paced(LimitConfig(), [1, 1], hold=3.0) == pytest.approx([3, 3])


def test_requests_go_in_the_order_they_came():
    async def run():
        pace, order = Pace(LimitConfig(requests_per_minute=6000)), []

        async def one(k):
            await pace.wait(1)
            order.append(k)

        await asyncio.gather(*(one(k) for k in range(8)))
        return order

    assert asyncio.run(run()) == list(range(8))
