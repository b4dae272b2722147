"""When a request is made again: exponential backoff with jitter, never before the server says so, within a deadline."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.llm.failure import FailureKind

RETRYABLE: frozenset[FailureKind] = frozenset(
    {"rate_limited", "server_error", "connection", "timeout", "malformed", "empty"}
)


class RetryConfig(Config):
    """How long a prompt is tried for."""

    attempts: int = Field(default=6, gt=0)
    """Requests a prompt may take; those the server put off by rate limiting (429) are not counted."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Of one request, from sending to the last byte of its reply. Longer than another process may keep the record of
    answers locked (30 s): replies are not read meanwhile."""
    deadline_s: float = Field(default=900.0, gt=0)
    """Of all requests of a prompt and the pauses between them; waiting for a free place is not counted."""
    base_s: float = Field(default=0.5, gt=0)
    """First pause; each further one is twice as long."""
    cap_s: float = Field(default=60.0, gt=0)
    """Longest pause, unless the server asks for a longer one."""


class Backoff:
    """The pauses of one prompt.

    Args:
        config: See ``RetryConfig``.
        rng: Jitter, so that many clients do not come back at once; no result depends on it.
    """

    def __init__(self, config: RetryConfig, rng: np.random.Generator) -> None:
        self._config = config
        self._rng = rng
        self._counted = 0
        self._pauses = 0
        self.spent = 0.0
        """Seconds of the deadline used up; the caller adds what its requests took."""

    @property
    def timeout(self) -> float:
        """Seconds the next request may take."""
        return min(self._config.timeout_s, max(0.0, self._config.deadline_s - self.spent))

    def pause(self, kind: FailureKind, retry_after: float | None) -> float | None:
        """Seconds to wait after a failure, already counted as spent; None: give up."""
        self._counted += kind != "rate_limited"
        if kind not in RETRYABLE or self._counted >= self._config.attempts:
            return None
        grown = min(self._config.cap_s, self._config.base_s * 2.0 ** min(self._pauses, 30))
        wait = max(retry_after or 0.0, grown * self._rng.uniform(0.5, 1.0))
        if self.spent + wait >= self._config.deadline_s:
            return None
        self._pauses += 1
        self.spent += wait
        return wait


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to be left alone for: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None
