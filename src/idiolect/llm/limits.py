"""Keeping to an endpoint's requests and tokens a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from pydantic import Field

from idiolect.config import Config

# A waiter looks again this often, for replies that took less than was reserved let it go earlier.
_TICK_S = 0.1
_REPLY_BYTES = 256 * 1024
_TOKEN_BYTES = 512
"""An event of a stream, which holds one token, takes some 300."""


class LimitConfig(Config):
    """What an endpoint may be asked; None: as fast as it answers."""

    concurrency: int = Field(default=64, gt=0)
    """Requests under way at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Spread evenly."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Prompt and completion together; what a reply may take is reserved, and corrected when it is there."""
    max_reply_bytes: int | None = Field(default=None, gt=0)
    """No more is read of a reply, and a longer one is a failure. None: 256 KiB, and 512 bytes for every token that the
    reply may take; more than that is needed where ``request.extra`` asks for likelihoods of tokens."""

    def reply_bytes(self, max_new_tokens: int) -> int:
        """The bound of a reply that may take so many tokens."""
        return self.max_reply_bytes or _REPLY_BYTES + _TOKEN_BYTES * max_new_tokens


class Pace:
    """Lets requests through in the order they came, as fast as the limits allow.

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
        self._next_request = self._next_token = self._held_until = 0.0

    async def wait(self, tokens: int) -> None:
        """Return when a request that may take ``tokens`` may be sent."""
        async with self._queue:
            while (delay := max(self._next_request, self._next_token, self._held_until) - self._clock()) > 0:
                await self._sleep(min(delay, _TICK_S))
            now = self._clock()
            self._next_request = max(self._next_request, now) + self._request_s
            self._next_token = max(self._next_token, now) + tokens * self._token_s

    def settle(self, reserved: int, used: int) -> None:
        """Correct a reservation by what was used."""
        self._next_token += (used - reserved) * self._token_s

    def hold(self, seconds: float) -> None:
        """Let nothing through for ``seconds``: the server asked for it."""
        self._held_until = max(self._held_until, self._clock() + seconds)
