"""Transport of requests to an endpoint: connections, rate limits, retries, and the classification of errors.

- ``ChatClient`` sends bodies with the official client's HTTP client.
- ``RateLimiter`` keeps to requests and tokens per minute.
- ``Backoff`` is exponential backoff with jitter within a deadline, never before the server's requested wait.
- ``classify*`` turn exceptions and error responses into failures: by status, code, type, parameter and requested wait;
  by the text of the message only if an endpoint gives nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import importlib.util
import json
import math
import re
import time
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.errors import require, without_passwords
from idiolect.llm.base import Failure, one_line
from idiolect.types import FailureKind

_EXTRA = "openai"
_ABOUT_US = "x-stainless-"
"""Prefix of headers that describe this machine, its Python and its retries; they are removed."""
_ITS_OWN = ("content-length", "content-encoding", "transfer-encoding", "cookie")
"""Headers that are not copied from the first request to later ones."""
_REFUSAL_BYTES = 64 * 1024
"""Bytes that are read of an error response."""
_limit: ContextVar[int] = ContextVar("max_reply_bytes", default=_REFUSAL_BYTES)


class OversizedError(Exception):
    """A reply is longer than any answer to the request can be."""


class ElsewhereError(Exception):
    """An endpoint redirects to another server, or so that the prompt would be lost."""


class ChatClient:
    """Posts JSON bodies to one address, over aiohttp if it is installed, which halves the cost of a request.

    The official client makes requests until one is answered. Later requests copy the first one with another body and
    use the same HTTP client, because the official client's processing per request costs as much as sending it.

    Prompts are sent to ``base_url``'s server only: a redirect is followed within that server, or to its ``https``.

    Args:
        base_url: Up to and with ``/v1``.
        key: The bearer token.
        path: Path of the route, below ``base_url``.
        concurrency: Connections that are kept open.
        timeout: Seconds without a byte after which a request has failed.

    Raises:
        MissingDependencyError: The official client is not installed.
    """

    def __init__(self, base_url: str, key: str, path: str, *, concurrency: int, timeout: float) -> None:
        openai, self._httpx = require("openai", extra=_EXTRA), require("httpx2", extra=_EXTRA)
        fast = importlib.util.find_spec("aiohttp") is not None
        layer = openai.DefaultAioHttpClient if fast else openai.DefaultAsyncHttpxClient
        limits = self._httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        account, base_url = _account(base_url), without_passwords(base_url)
        hooks = {"request": [partial(_stay, self._httpx.URL(base_url))], "response": [self._bound]}
        self._http = layer(limits=limits, event_hooks=hooks)
        # No retries here: they are counted, and end at a deadline, in ``Backoff``.
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key,
            http_client=self._http,
            timeout=timeout,
            max_retries=0,
            default_headers=account,
        )
        named = (*self._client.default_headers, f"{_ABOUT_US}retry-count", f"{_ABOUT_US}read-timeout")
        unsaid = {name: openai.Omit() for name in named if name.lower().startswith(_ABOUT_US)}
        headers = {**unsaid, "Accept-Encoding": "identity"}
        # The typed method validates every message, which costs more than everything else here.
        self._first = partial(self._client.post, path, cast_to=self._httpx.Response, options={"headers": headers})
        self._later: Any = None

    async def post(self, body: dict[str, Any], *, max_reply_bytes: int) -> Any:
        """The response to a body, an ``httpx2.Response`` with its content.

        Args:
            body: Of the request.
            max_reply_bytes: Largest reply.

        Raises:
            openai.APIError: The official client's request failed, or got an error response.
            httpx2.RequestError: A later request failed; error responses are returned.
            OversizedError: The reply is longer; the official client wraps it.
            ElsewhereError: The endpoint redirects to another server; the official client wraps it.
        """
        _limit.set(max_reply_bytes)
        if self._later is not None:
            return await self._http.send(self._later(json=body))
        response = await self._first(body=body)
        self._later = self._like((response.history or [response])[0].request)
        return response

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    def _like(self, request: Any) -> Any:
        """Makes copies of ``request`` with another body."""
        headers = request.headers.copy()
        for name in _ITS_OWN:
            headers.pop(name, None)
        return partial(self._httpx.Request, request.method, request.url, headers=headers, extensions=request.extensions)

    async def _bound(self, response: Any) -> None:
        """Read at most the limit of a reply, also when decompressed; of an error response the first bytes."""
        packed, stream = response.headers.pop("content-encoding", "identity").strip().lower(), response.stream
        limit = _limit.get() if response.is_success else _REFUSAL_BYTES
        try:
            content = await _read(stream, packed, limit)
        finally:
            await stream.aclose()
        if len(content) > limit and response.is_success:
            raise OversizedError(f"the reply is longer than {limit} bytes")
        response.stream = self._httpx.ByteStream(content[:limit])


async def _read(stream: AsyncIterable[bytes], packed: str, limit: int) -> bytes:
    """The first bytes of a reply, at most one more than the limit, which shows that it is longer."""
    if packed not in ("identity", "", "gzip", "x-gzip", "deflate"):
        return b"(a reply that is packed, which was not asked for)"
    unpack = None if packed in ("identity", "") else zlib.decompressobj(wbits=47)  # gzip or zlib, by the header
    content = bytearray()
    async for piece in stream:
        missing = limit + 1 - len(content)
        try:
            content += piece[:missing] if unpack is None else unpack.decompress(piece, missing)
        except zlib.error:
            return b"(a reply that is not packed as it says)"
        if len(content) > limit:
            break
    return bytes(content)


def _account(url: str) -> dict[str, str]:
    """The header for the name and password in an address; in the address they would be logged."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return {}
    account = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(account).decode()}"}


async def _stay(home: Any, request: Any) -> None:
    """Refuse a redirect that would send the prompt or the key to another server."""
    url = request.url
    same = (url.scheme, url.host, _port(url)) == (home.scheme, home.host, _port(home))
    safer = (home.scheme, url.scheme) == ("http", "https") and url.host == home.host
    if not same and not (safer and (_port(home), _port(url)) == (80, 443)):
        where = without_passwords(str(url)).partition("?")[0]
        raise ElsewhereError(f"it redirects to another server, {where}, where no prompt is sent")
    if request.method != "POST":
        raise ElsewhereError("it redirects with a status that loses the prompt")


def _port(url: Any) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


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
    wrapped = isinstance(
        error, openai.APIConnectionError
    )  # raised by the official client; the others by the HTTP client
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
