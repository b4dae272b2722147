"""When a request is made again: exponential backoff with jitter, never before the server says so, within a deadline."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

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


def wait_asked_for(headers: Mapping[str, str], body: Any = None, *, limited: bool = False) -> float | None:
    """Seconds a server asks to be left alone for; None: it does not say.

    Read in this order: ``retry-after-ms`` and ``Retry-After`` (seconds or a date); ``RetryInfo.retryDelay``, then "try
    again in 1.2s" and the like, in the body; the reset times of the rate limits.

    Args:
        headers: Of the response.
        body: Of the response, parsed, or its text.
        limited: The response is about a rate limit, so that ``x-ratelimit-reset-*``, which stand on every reply of some
            servers, say when to come back.

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
    """The wait that the body of a refusal names, in a field or in its prose."""
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
    """What stands in parsed JSON, with the name of its field in lower case."""
    if depth < _DEEPEST and isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, str(key).lower(), depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value[:100]:
            yield from _leaves(inner, name, depth + 1)
    else:
        yield name, value


def _reset(headers: Mapping[str, str]) -> float | None:
    """When the limits that are used up begin anew; those of which something is left are not in the way."""
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
