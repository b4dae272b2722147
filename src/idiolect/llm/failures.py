"""What exceptions and error responses of an endpoint mean: the kind of failure, and the setting that helps.

They are classified by status, code, type, parameter and requested wait; by the text of the message only if an endpoint
gives nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from idiolect.errors import require
from idiolect.llm.base import Failure, one_line
from idiolect.llm.client import ElsewhereError, OversizedError
from idiolect.llm.retry import wait_asked_for
from idiolect.types import FailureKind

_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}(context|length)|max_model_len|too (long|many tokens)"
    r"|exceeds? .*tokens",
    re.IGNORECASE,
)
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_NO_CREDIT_CODES = frozenset(
    {
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_funds",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
        "credit_balance_too_low",
        "payment_required",
    }
)
_NO_ACCESS_CODES = frozenset(
    {
        "invalid_api_key",
        "incorrect_api_key",
        "api_key_invalid",
        "invalid_authentication",
        "authentication_error",
        "unauthenticated",
        "unauthorized",
        "account_deactivated",
        "organization_deactivated",
        "model_not_found",
        "model_not_exist",
        "unknown_model",
    }
)
_RATE_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"})
_WRONG_PATH = re.compile(
    r"(unexpected|unknown|invalid|unsupported|no such) (endpoint|path|route|url|method)|cannot (post|get) /"
    r"|(endpoint|path|route|url|page|resource) (was )?not found|no route|method not allowed",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|extra|forbidden|not permitted|not allowed"
    r"|does not support|deprecated|not available",
    re.IGNORECASE,
)
_NO_SYSTEM = re.compile(
    r"system.{0,10}(role|message|prompt|turn).{0,40}(not|n't|un)|(not|n't|un)\w*.{0,40}system.{0,10}(role|message)"
    r"|only (user|the user).{0,30}role|roles? must alternate",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(max_completion_tokens|max_tokens|temperature|top_p|seed|response_format)\b")
_ADDRESS = "check that endpoint.base_url is the server's address and ends in /v1"


class ClassifiedError(NamedTuple):
    """A failure, and the wait that the endpoint asks for."""

    failure: Failure
    retry_after: float | None = None


def classify_exception(error: Any) -> ClassifiedError | None:
    """The failure that an exception of a request means; None for a programming error."""
    openai, httpx = require("openai", extra="openai"), require("httpx2", extra="openai")
    if isinstance(error, openai.APIStatusError):
        return classify_response(error.response)
    # The official client wraps the HTTP client's errors.
    wrapped = isinstance(error, openai.APIConnectionError)
    cause = error.__cause__ or error if wrapped else error
    if isinstance(cause, OversizedError):
        return ClassifiedError(Failure(kind="oversized", message=str(cause)))
    if isinstance(cause, ElsewhereError | httpx.TooManyRedirects):
        hint = "set endpoint.base_url to that address, if you trust it"
        return ClassifiedError(Failure(kind="denied", message=one_line(str(cause)), hint=hint))
    # With aiohttp, a dropped connection is reported as a connect timeout.
    if isinstance(cause, TimeoutError | httpx.TimeoutException) and not isinstance(cause, httpx.ConnectTimeout):
        return ClassifiedError(Failure(kind="timeout", message="no reply in time"))
    if wrapped or isinstance(cause, (httpx.RequestError, OSError, *_of_the_layers_below())):
        return ClassifiedError(Failure(kind="connection", message=one_line(str(cause) or type(cause).__name__)))
    return None


@lru_cache
def _of_the_layers_below() -> tuple[type[Exception], ...]:
    """Errors that the HTTP client does not wrap: a reply that is not HTTP, a stream that ends too soon."""
    below = (("aiohttp", "ClientError"), ("anyio", "EndOfStream"))
    return tuple(getattr(import_module(name), what) for name, what in below if find_spec(name))


def classify_response(response: Any) -> ClassifiedError:
    """The failure that an error response means."""
    words = response.content.decode("utf-8", "replace")
    try:
        body: Any = json.loads(words)
    except (ValueError, RecursionError):
        body = words
    return classify_error(body, status=response.status_code, headers=response.headers)


def classify_error(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ClassifiedError:
    """The failure that an endpoint's error means, from the body of an error response or of a reply with status 200.

    Args:
        body: Parsed JSON, or the text if it is not JSON.
        status: Of the response; if it is 200, the status in the body counts.
        headers: Of the response.
    """
    said = _Said.of(body)
    own = status if status >= 300 else said.status
    wait = wait_asked_for(headers or {}, said.all, limited=own == 429 or bool(said.codes & _RATE_CODES))
    kind = _kind(own, said, wait)
    shown = f"status {own}: {said.message}" if own else said.message
    failure = Failure(kind=kind, message=one_line(shown), hint=_hint(kind, own, said))
    return ClassifiedError(failure, wait if kind in ("rate_limited", "server_error") else None)


class _Said(NamedTuple):
    """An error in the fields that endpoints use."""

    message: str
    codes: frozenset[str]
    """Codes and types, in lower case."""
    fields: frozenset[str]
    """The fields of the request that it names."""
    status: int
    """A status in the body; 0: none."""
    all: Any
    """The whole error."""

    @classmethod
    def of(cls, body: Any) -> _Said:
        found: Any = body[0] if isinstance(body, list) and body else body
        error: Any = (found.get("error") or found) if isinstance(found, dict) else found
        if not isinstance(error, dict):
            outside = found if isinstance(found, dict) else {}
            return cls(str(error), _codes(outside), frozenset(), _status(outside), body)
        details = [one for one in _listed(error.get("detail")) if isinstance(one, dict)]
        places = {str(place) for one in details for place in _listed(one.get("loc"))}
        fields = {str(error["param"])} if isinstance(error.get("param"), str) else set()
        return cls(_message(error, details), _codes(error), frozenset(places | fields), _status(error), body)

    def about(self, pattern: re.Pattern[str]) -> bool:
        """Whether the message matches a pattern."""
        return bool(pattern.search(self.message[:4000]))

    @property
    def field(self) -> str:
        """The request field that the endpoint does not accept, by the error's fields or else by its message."""
        (named, *_) = (*(field for field in sorted(self.fields) if _NAMED.fullmatch(field)), "")
        if not named and self.about(_UNSUPPORTED) and (found := _NAMED.search(self.message[:4000])):
            named = found[0]
        return named


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _message(error: Mapping[str, Any], details: list[dict[str, Any]]) -> str:
    """The endpoint's message."""
    if details:
        return "; ".join(f"{'.'.join(map(str, _listed(one.get('loc'))))}: {one.get('msg')}" for one in details)
    (said, *_) = (*(error[name] for name in ("message", "detail", "msg") if isinstance(error.get(name), str)), "")
    return said or json.dumps(error)


def _codes(error: Mapping[str, Any]) -> frozenset[str]:
    reasons = [one.get("reason") for one in _listed(error.get("details")) if isinstance(one, dict)]
    codes = [error.get(name) for name in ("code", "type", "status")]
    return frozenset(one.lower() for one in (*codes, *reasons) if isinstance(one, str))


def _status(error: Mapping[str, Any]) -> int:
    for value in (error.get("code"), error.get("status"), error.get("status_code")):
        status = int(value) if isinstance(value, str) and re.fullmatch(r"[1-9]\d\d", value) else value
        if type(status) is int and 300 <= status < 600:
            return status
    return 0


def _kind(status: int, said: _Said, wait: float | None) -> FailureKind:
    """Codes count before statuses, because many endpoints answer 400 or 429 to everything."""
    if status == 402 or "insufficient_quota" in said.codes or (wait is None and said.codes & _NO_CREDIT_CODES):
        return "denied"
    if status == 429 or said.codes & _RATE_CODES:
        return "rate_limited"
    if said.codes & _TOO_LONG_CODES:
        return "context_too_long"
    if status in (300, 301, 302, 303, 307, 308, 401, 404, 405) or said.codes & _NO_ACCESS_CODES:
        return "denied"
    if status >= 500 or status in (408, 409, 425):
        return "server_error"
    return _kind_of_refusal(status, said)


def _kind_of_refusal(status: int, said: _Said) -> FailureKind:
    if status == 413 or said.about(_TOO_LONG):
        return "context_too_long"
    if not status and said.about(_WRONG_PATH):
        return "denied"
    if any(_NAMED.fullmatch(field) for field in said.fields) and said.field in said.fields and said.about(_UNSUPPORTED):
        return "denied"  # every request of the run has this field
    return "refused" if status or "invalid_request_error" in said.codes else "server_error"


def _hint(kind: FailureKind, status: int, said: _Said) -> str:
    """The setting that helps; empty if there is none."""
    if kind in ("refused", "denied"):
        return "".join(_hints(status, said))
    return ""


def _hints(status: int, said: _Said) -> Iterator[str]:
    """At most one."""
    if status == 402 or said.codes & _NO_CREDIT_CODES:
        yield "the account has no credit left: see the provider's billing page"
    elif status in (401, 403):
        yield "check the key in the variable that endpoint.api_key_env names, and its permissions"
    elif said.field:
        yield _without(said.field, unsupported=said.about(_UNSUPPORTED))
    elif said.about(_NO_SYSTEM):
        yield "set endpoint.request.merge_system=true"
    elif status == 404 and said.codes & _NO_ACCESS_CODES:
        yield "check endpoint.model: the endpoint does not know it"
    elif status in (300, 301, 302, 303, 307, 308, 404, 405) or said.about(_WRONG_PATH):
        yield f"{_ADDRESS}, and that it serves endpoint.model"


def _without(field: str, *, unsupported: bool) -> str:
    """The setting that leaves a field out of requests."""
    if field == "max_tokens" and unsupported:
        return "set endpoint.request.limit_field=max_completion_tokens"
    if field == "max_completion_tokens" and unsupported:
        return "set endpoint.request.limit_field=max_tokens"
    if field in ("max_tokens", "max_completion_tokens"):
        return "lower sampling.max_new_tokens, or set endpoint.request.limit_field"
    if field == "response_format":
        return "set endpoint.schemas=false"
    return f"set endpoint.request.omit=[{field}]"
