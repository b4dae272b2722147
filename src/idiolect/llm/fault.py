"""Exceptions and refusals as failures: every way in which a request can go wrong, in one place."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
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
    openai, httpx = require("openai", extra="openai"), require("httpx2", extra="openai")
    if isinstance(error, openai.APIStatusError):
        return refusal(error.response)
    wrapped = isinstance(error, openai.APIConnectionError)  # by the official client; the rest is by the HTTP client
    cause = error.__cause__ or error if wrapped else error
    # A connection that was dropped arrives as one that could not be made in time when the client runs on aiohttp.
    if isinstance(cause, TimeoutError | httpx.TimeoutException) and not isinstance(cause, httpx.ConnectTimeout):
        return Fault(Failure(kind="timeout", message="no reply in time"))
    if wrapped or isinstance(cause, (httpx.RequestError, OSError, *_of_the_layers_below())):
        return Fault(Failure(kind="connection", message=one_line(str(cause) or type(cause).__name__)))
    return None


@lru_cache
def _of_the_layers_below() -> tuple[type[Exception], ...]:
    """What the HTTP client lets through: a reply that is no HTTP, a stream that ends too soon."""
    below = (("aiohttp", "ClientError"), ("anyio", "EndOfStream"))
    return tuple(getattr(import_module(name), what) for name, what in below if find_spec(name))


def refusal(response: Any) -> Fault:
    """What a response with the status of an error means."""
    status, words = response.status_code, response.text
    failure = Failure(kind=_kind(status, words), message=one_line(f"status {status}: {_message(words)}"))
    return Fault(failure, retry_after(response.headers))


def _message(words: str) -> str:
    """The endpoint's own words, which most wrap in JSON."""
    try:
        found = json.loads(words)
        found = found.get("error", found)
        return str(found["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return words


def _kind(status: int, words: str) -> FailureKind:
    if status in (401, 402, 404) or (status == 429 and _NO_CREDIT.search(words)):
        return "denied"
    if status == 429:
        return "rate_limited"
    if status >= 500 or status in (408, 409, 425):
        return "server_error"
    return "context_too_long" if status == 413 or _TOO_LONG.search(words) else "refused"
