"""Rate limits and retries: when a request may be sent, and when again.

- ``RateLimiter`` keeps to requests and tokens per minute.
- ``Backoff`` is exponential backoff with jitter within a deadline, never before the server's requested wait.
- ``wait_asked_for`` reads that wait from an error response.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.types import FailureKind

# A waiting request checks again this often, because smaller replies than reserved free tokens early.
_TICK_S = 0.1
_REPLY_BYTES = 256 * 1024
_TOKEN_BYTES = 512
"""Bytes per token; an event of a stream with one token has about 300."""


class LimitConfig(Config):
    """Limits of an endpoint; None: no limit."""

    concurrency: int = Field(default=64, gt=0)
    """Concurrent requests."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Spread evenly."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Prompt and completion together; the longest reply is reserved and corrected after the answer."""
    max_reply_bytes: int | None = Field(default=None, gt=0)
    """Largest reply; a larger one is a failure. None: 256 KiB plus 512 bytes per token that the reply may have. Raise
    it if ``request.extra`` asks for token likelihoods."""

    def reply_bytes(self, max_new_tokens: int) -> int:
        """The largest reply of so many tokens, in bytes."""
        return self.max_reply_bytes or _REPLY_BYTES + _TOKEN_BYTES * max_new_tokens


class RateLimiter:
    """Admits requests in order, as fast as the limits allow.

    Args:
        config: See ``LimitConfig``.
        clock: Seconds, monotonic.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        config: LimitConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._request_s = 60.0 / config.requests_per_minute if config.requests_per_minute else 0.0
        self._token_s = 60.0 / config.tokens_per_minute if config.tokens_per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._queue = asyncio.Lock()
        self._next_request = self._next_token = self._paused_until = 0.0

    async def wait(self, tokens: int) -> None:
        """Wait until a request of up to ``tokens`` tokens may be sent."""
        async with self._queue:
            while (delay := max(self._next_request, self._next_token, self._paused_until) - self._clock()) > 0:
                await self._sleep(min(delay, _TICK_S))
            now = self._clock()
            self._next_request = _due(self._next_request, now) + self._request_s
            self._next_token = _due(self._next_token, now) + tokens * self._token_s

    def reconcile(self, reserved: int, used: int) -> None:
        """Correct a reservation to the actual usage."""
        self._next_token += (used - reserved) * self._token_s

    def pause(self, seconds: float) -> None:
        """Admit no request for ``seconds``, as the server asked."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


def _due(planned: float, now: float) -> float:
    """The moment that the next one is counted from: as planned if a sleep merely ended late, else now."""
    return planned if now - planned < _TICK_S else now


RETRYABLE: frozenset[FailureKind] = frozenset(
    {"rate_limited", "server_error", "connection", "timeout", "malformed", "empty"}
)


FIRST_PAUSE_S = 0.5
"""Before a prompt is sent again; each further pause is twice as long, as the clients of hosted models do it."""
LONGEST_PAUSE_S = 60.0
"""Unless the server asks for a longer one: most limits are per minute."""


class RetryConfig(Config):
    """Attempts, timeouts and pauses of a prompt."""

    attempts: int = Field(default=6, gt=0)
    """Most requests per prompt; those answered by rate limiting (429) are not counted."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Of one request, from sending to the last byte of its reply. Keep it above 30 s, for which another process may
    lock the answer cache; meanwhile no reply is read."""
    deadline_s: float = Field(default=900.0, gt=0)
    """Of all requests of a prompt with the pauses between them; waiting for the limits is not counted."""

    retired: ClassVar = {"base_s": FIRST_PAUSE_S, "cap_s": LONGEST_PAUSE_S}


class Backoff:
    """The pauses of one prompt.

    Args:
        config: See ``RetryConfig``.
        rng: Jitter, so that many clients do not retry at once; no result depends on it.
    """

    def __init__(self, config: RetryConfig, rng: np.random.Generator) -> None:
        self._config = config
        self._rng = rng
        self._counted = 0
        self._pauses = 0
        self.spent = 0.0
        """Seconds of the deadline that are used up; the caller adds the time of its requests."""

    @property
    def timeout(self) -> float:
        """Seconds the next request may take."""
        return min(self._config.timeout_s, max(0.0, self._config.deadline_s - self.spent))

    def pause(self, kind: FailureKind, retry_after: float | None) -> float | None:
        """Seconds to wait after a failure, already added to ``spent``; None: give up."""
        self._counted += kind != "rate_limited"
        if kind not in RETRYABLE or self._counted >= self._config.attempts:
            return None
        grown = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._pauses, 30))
        wait = max(retry_after or 0.0, grown * self._rng.uniform(0.5, 1.0))
        if self.spent + wait >= self._config.deadline_s:
            return None
        self._pauses += 1
        self.spent += wait
        return wait


def wait_asked_for(headers: Mapping[str, str], body: Any = None, *, limited: bool = False) -> float | None:
    """Seconds that a server asks to wait; None: it does not say.

    Sources, in this order: ``retry-after-ms`` and ``Retry-After`` (seconds or a date); ``RetryInfo.retryDelay``, then
    "try again in 1.2s" and the like, in the body; the reset times of the rate limits.

    Args:
        headers: Of the response.
        body: Of the response, parsed, or its text.
        limited: The response is about a rate limit, so ``x-ratelimit-reset-*`` counts; some servers send it with every
            reply.

    Example:
        >>> wait_asked_for({"retry-after": "2"})
        2.0
        >>> wait_asked_for({}, {"error": {"message": "Please try again in 1m0.5s."}})
        60.5
    """
    given = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        if name in given and (wait := _seconds(given[name])) is not None:
            return wait * unit
    if (wait := _asked_in(body)) is not None or not limited:
        return wait
    return _reset(given)


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT = r"(?:ns|us|µs|ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)"
_PIECE = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![a-zµ])\s*", re.IGNORECASE)
_PROSE = re.compile(
    rf"(?:try again|retry|retrying|wait|available)(?: again)?(?: in| after| for)?:?\s+"
    rf"((?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-zµ])\s*)+)",
    re.IGNORECASE,
)
_RESET = re.compile(r"(?:x-)?(?:[a-z]+-)?ratelimit(?:-([a-z]+))?-reset(?:-([a-z-]+))?")
_DEEPEST = 8


def _asked_in(body: Any) -> float | None:
    """The wait in the body of an error response, in a field or in its message."""
    texts: list[str] = []
    for name, value in _leaves(body):
        if name in ("retrydelay", "retry_delay", "retry_after", "retryafter") and isinstance(value, str | int | float):
            if (wait := _seconds(str(value))) is not None:
                return wait
        elif isinstance(value, str):
            texts.append(value[:4000])
    for text in texts:
        if (found := _PROSE.search(text)) is not None:
            return _duration(found[1])
    return None


def _leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The values in parsed JSON, with the names of their fields in lower case."""
    if depth < _DEEPEST and isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, str(key).lower(), depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value[:100]:
            yield from _leaves(inner, name, depth + 1)
    else:
        yield name, value


def _reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the used-up limits are reset."""
    waits: dict[bool, list[float]] = {True: [], False: []}
    for name, value in headers.items():
        if not _RESET.fullmatch(name) or (wait := _seconds(value)) is None:
            continue
        left = headers.get(name.replace("reset", "remaining"), "0").strip()
        waits[left.partition(".")[0] in ("", "0")].append(wait)
    found = waits[True] or waits[False]
    return max(found) if found else None


def _seconds(value: str) -> float | None:
    """Seconds from now: of a number, a duration (``6m0s``), a time since the epoch or a date."""
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        return _duration(value) if _PIECE.match(value) else _until(value)
    if not math.isfinite(number):
        return None
    for above, unit in ((1e12, 1e-3), (1e9, 1.0)):  # milliseconds or seconds since the epoch
        if number > above:
            return max(0.0, number * unit - time.time())
    return max(0.0, number)


def _duration(value: str) -> float:
    """Seconds of ``1h2m3.5s``, ``120ms`` or ``20 seconds``."""
    total = 0.0
    for number, unit in _PIECE.findall(value):
        short = unit.lower()
        total += float(number) * _UNITS[short if short in _UNITS else short[0]]
    return total


def _until(date: str) -> float | None:
    """Seconds until a date of HTTP or ISO 8601."""
    for read in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            return max(0.0, read(date).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError, OSError):
            continue
    return None
