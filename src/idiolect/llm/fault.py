"""Exceptions of the OpenAI client as failures: every way in which a request can go wrong, in one place."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from idiolect.errors import require
from idiolect.llm.failure import Failure, FailureKind, one_line
from idiolect.llm.retry import retry_after

_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}(context|length)|max_model_len|too (long|many tokens)"
    r"|exceeds? .*tokens",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota|billing", re.IGNORECASE)


class Fault(NamedTuple):
    """A failure, and how long the endpoint asks to be left alone."""

    failure: Failure
    retry_after: float | None = None


def fault_of(error: Any) -> Fault | None:
    """What an exception of a request means; None for one that is nobody's but a programmer's."""
    openai = require("openai", extra="openai")
    # A connection that was dropped arrives as one that could not be made in time when the client runs on aiohttp.
    unconnected = isinstance(getattr(error, "__cause__", None), require("httpx2", extra="openai").ConnectTimeout)
    if isinstance(error, TimeoutError | openai.APITimeoutError) and not unconnected:
        return Fault(Failure(kind="timeout", message="no reply in time"))
    if isinstance(error, openai.APIStatusError):
        message = one_line(str(error.message))
        failure = Failure(kind=_kind(error.status_code, f"{error.message} {error.body}"), message=message)
        return Fault(failure, retry_after(error.response.headers))
    if isinstance(error, openai.APIConnectionError):
        return Fault(Failure(kind="connection", message=one_line(str(error.__cause__ or error))))
    return None


def _kind(status: int, words: str) -> FailureKind:
    if status in (401, 402, 404) or (status == 429 and _NO_CREDIT.search(words)):
        return "denied"
    if status == 429:
        return "rate_limited"
    if status >= 500 or status in (408, 409, 425):
        return "server_error"
    return "context_too_long" if status == 413 or _TOO_LONG.search(words) else "refused"
