"""Processing of every request: checks of host, origin, body, key, rate and time; errors, logs and metrics.

Errors have OpenAI's form on every route. Logs are JSON lines with the route's template instead of the path, and without
any text of users or clients.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

import anyio
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pydantic import BaseModel, BeforeValidator, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match

from idiolect.errors import ArtifactError, IdiolectError, InputError, NotFoundError
from idiolect.llm.base import EndpointError
from idiolect.server.keys import ApiKey, ApiKeys, Scope
from idiolect.server.parts import REMEDIES, PartError, part_of
from idiolect.server.settings import ServerConfig
from idiolect.server.tenants import Tenant, Tenants
from idiolect.server.voice import Voices
from idiolect.store.single_review import read_rating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as Connection

STUDIO_FILES = "/studio/"
"""Where the studio's own files are: the same for everybody, so that they need no key."""

MCP_PATH = "/mcp"
METADATA_PATH = "/.well-known/oauth-protected-resource"
"""Where clients look up what a resource asks for (RFC 9728), the resource's path behind it."""
PUBLIC = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json", METADATA_PATH, METADATA_PATH + MCP_PATH})
"""Paths that need no key; they contain no data of a tenant."""

T = TypeVar("T")
_log = logging.getLogger("idiolect.server")
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_KEYS_IN_MEMORY = 10_000
_PROMPTS = 40
"""Prompts that are made at the same time."""
_NETLOC = re.compile(r"[a-z0-9.\-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?", re.IGNORECASE)


class ErrorDetails(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """A refusal, as OpenAI's clients read it."""

    error: ErrorDetails


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request is refused."},
    "5XX": {"model": ErrorBody, "description": "The server or the model failed."},
}
"""For the OpenAPI page."""

_Score = Annotated[float, Field(ge=0, le=100)]


def _as_files_have_it(rating: object) -> object:
    if not isinstance(rating, str):
        return rating
    try:
        return read_rating(rating)
    except InputError as error:
        raise ValueError(f"this is no rating ({error.hint})") from None


Rating = Annotated[
    _Score | None,
    BeforeValidator(_as_files_have_it, json_schema_input_type=_Score | str | None),
]
"""A number, or a text such as ``4/5``, in bodies of requests."""
UnitFactors = dict[Annotated[str, Field(pattern=r"^\d{1,7}$")], Annotated[float, Field(ge=0, le=10)]]
"""Factors of units of an adapter's code, in bodies of requests."""
UNITS_HELP = "Of DEP: factors of units of its code; 0 silences one."


class ApiError(Exception):
    """An error in OpenAI's form.

    Args:
        status: HTTP status.
        message: The error in one line, without a user's text.
        code: For programs.
        param: The field that is wrong.
        headers: Further headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kind = _TYPES.get(self.status) or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The response."""
        return JSONResponse(self.body, self.status, headers=self.headers)


def api_error(error: Exception) -> ApiError:
    """The API error for any exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail), headers=dict(error.headers or {}))
    if isinstance(error, NotFoundError):
        return ApiError(404, error.message, code="not_found")
    if isinstance(error, EndpointError):
        return ApiError(502, "the upstream gave no answer", code="upstream_error")
    if isinstance(error, PartError):
        _log.error(f"the {error.part} cannot be used", extra={"fields": {**where_of(error), "reason": str(error)}})
        return ApiError(503, f"{REMEDIES[error.part]}; its log says more", code=f"{error.part}_error")
    if isinstance(error, ArtifactError):
        _log.error("the store cannot be used", extra={"fields": where_of(error)})
        return ApiError(503, "the store cannot be used now", code="store_error", headers={"Retry-After": "5"})
    if isinstance(error, IdiolectError):
        return ApiError(400, error.message, code="invalid_value")
    _log.error("unexpected error", extra={"fields": where_of(error)})
    return ApiError(500, "the server failed; its log says where", code="internal_error")


def _invalid(error: RequestValidationError) -> ApiError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    message = f"{'.'.join(where) or 'the body'}: {first['msg']}"
    if first["type"] == "json_invalid":
        message, where = "the body is not JSON", []
    elif isinstance(first.get("input"), bytes):  # FastAPI reads a body as JSON only if its header says so
        message = "the body is not read as JSON: send it with the header Content-Type: application/json"
    return ApiError(400, message, param=".".join(where) or None, code="invalid_value")


def where_of(error: Exception) -> dict[str, Any]:
    """Type and place of an error without its message, which may contain a user's text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return {"error": type(error).__name__, "at": [f"{frame.filename}:{frame.lineno}" for frame in frames]}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    key: ApiKey
    tenant: Tenant
    trace: str
    """Id of the request."""


class Allow:
    """The dependency that checks the key's scope and opens its tenant's store.

    Args:
        scope: Scope of the route.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope

    async def __call__(self, request: Request) -> Caller:
        """The caller.

        Raises:
            ApiError: The key lacks the scope.
        """
        key: ApiKey | None = request.scope.get("idiolect.key")
        if key is None:
            raise ApiError(401, "no valid API key", code="invalid_api_key")
        if self.scope not in key.scopes:
            raise ApiError(403, f"the key lacks the scope {self.scope}", code="missing_scope")
        services: Services = request.app.state.services
        tenant = services.tenants.opened(key.tenant) or await run_in_threadpool(services.tenants.get, key.tenant)
        return Caller(key, tenant, request.scope["idiolect.trace"])


MayRead = Annotated[Caller, Depends(Allow("read"))]
MayWrite = Annotated[Caller, Depends(Allow("write"))]
MayErase = Annotated[Caller, Depends(Allow("erase"))]
MayAdmin = Annotated[Caller, Depends(Allow("admin"))]


async def while_connected(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns; it is cancelled if the client goes away, so that nobody's request keeps a place.

    Raises:
        ApiError: The client went away.
    """
    working, leaving = asyncio.create_task(answering), asyncio.create_task(_gone(request))
    both = (working, leaving)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ApiError(499, "the client went away", code="client_gone")
        return working.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
        _read_errors(*both)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _read_errors(*tasks: asyncio.Task[Any]) -> None:
    """Asyncio warns of an error that nobody reads."""
    for task in tasks:
        if not task.cancelled():
            task.exception()


class Gate:
    """Limits concurrent requests to a model; some more wait, and others are refused.

    What waits for a model has threads of its own: in those of the other routes it would keep all of them waiting.

    Args:
        concurrency: Concurrent requests.
        waiting: Waiting requests.
    """

    def __init__(self, concurrency: int, waiting: int) -> None:
        self._slots, self._most, self._here = asyncio.Semaphore(concurrency), concurrency + waiting, 0
        self._threads, self._running = anyio.CapacityLimiter(concurrency), set[asyncio.Task[Any]]()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """A place among the concurrent requests.

        Raises:
            ApiError: Too many wait already.
        """
        if self._here >= self._most:
            raise ApiError(
                429, "too many requests to the model at once", code="overloaded", headers={"Retry-After": "1"}
            )
        self._here += 1
        try:
            async with self._slots:
                yield
        finally:
            self._here -= 1

    async def thread(self, function: Callable[[], T]) -> T:
        """What a function returns that waits for a model, for those who have a place."""
        return await anyio.to_thread.run_sync(function, limiter=self._threads)

    async def run(self, function: Callable[[], T]) -> T:
        """The same with a place, which is kept until the function ends, also if nobody waits for it any more.

        Raises:
            ApiError: Too many wait already.
        """
        left = False

        async def held() -> T | None:
            async with self():
                return None if left else await self.thread(function)

        working = asyncio.create_task(held())
        self._running.add(working)  # the loop itself keeps no task alive
        working.add_done_callback(self._running.discard)
        working.add_done_callback(_read_errors)
        try:
            return await asyncio.shield(working)  # type: ignore[return-value]
        except asyncio.CancelledError:
            left = True
            raise


class RateLimiter:
    """Token buckets, one per key or address.

    Args:
        per_minute: Rate at which a bucket fills.
        burst: Its size.
        now: Monotonic clock, in seconds.
    """

    def __init__(self, per_minute: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._now = per_minute / 60, burst, now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, who: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        now = self._now()
        left, since = self._buckets.pop(who, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        taken = left >= 1
        self._buckets[who] = (left - 1 if taken else left, now)
        if len(self._buckets) > _KEYS_IN_MEMORY:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate


class Metrics:
    """What Prometheus scrapes."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        names = ("method", "route", "status")
        self.requests = Counter("idiolect_requests", "Requests.", names, registry=registry)
        self.seconds = Histogram("idiolect_request_seconds", "Time to the response.", ("route",), registry=registry)
        self.in_flight = Gauge("idiolect_requests_in_flight", "Requests under way.", registry=registry)
        self.tokens = Counter("idiolect_model_tokens", "Tokens of models.", ("kind",), registry=registry)
        self.answers = Counter("idiolect_answers", "Answers of models.", ("method", "personalized"), registry=registry)
        self.reviews = Counter("idiolect_reviews_added", "Reviews added.", registry=registry)
        self.erasures = Counter("idiolect_users_forgotten", "Users forgotten.", registry=registry)


@dataclass(slots=True)
class Services:
    """Shared state of the routes."""

    config: ServerConfig
    keys: ApiKeys
    tenants: Tenants
    voices: Voices
    gate: Gate
    metrics: Metrics
    prompting: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_PROMPTS))
    """Threads that make prompts, for which a method may ask a model."""
    upstream: Any = None
    """``idiolect.server.upstream.Upstream``; None: the model in this process answers."""


class Guard:
    """The middleware around all routes, including MCP, which refuses what is not allowed.

    Args:
        app: The application.
        config: Limits, trusted proxies and hosts.
        keys: The API keys.
        metrics: The metrics.
    """

    def __init__(self, app: ASGIApp, config: ServerConfig, keys: ApiKeys, metrics: Metrics) -> None:
        self.app, self.config, self.keys, self.metrics = app, config, keys, metrics
        self._limiter = RateLimiter(config.rate_per_minute, config.burst)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})  # nothing is served over WebSocket
            return
        trace = scope["idiolect.trace"] = f"req_{secrets.token_hex(12)}"
        started, answered = time.perf_counter(), _Answered()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.status, answered.seconds = message["status"], time.perf_counter() - started
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = trace
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
            elif not message.get("more_body", False):
                # Recorded before the client sees the end, so that a finished answer is always counted.
                self._record(scope, answered, time.perf_counter() - started)
            await send(message)

        self.metrics.in_flight.inc()
        try:
            await self._answer(scope, receive, sent, answered)
        except asyncio.CancelledError:
            answered.note = "the client went away"
            raise
        finally:
            self.metrics.in_flight.dec()
            self._record(scope, answered, time.perf_counter() - started)

    async def _answer(self, scope: Connection, receive: Receive, send: Send, answered: _Answered) -> None:
        try:
            self._check_origin(Headers(scope=scope))
            self._authenticate(scope)
            body = await self._body(scope, receive)
            async with asyncio.timeout(self.config.timeout_seconds) as limit:

                async def sent(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        limit.reschedule(None)  # a stream has its own limit
                    await send(message)

                await self.app(scope, _replayed(body, receive), sent)
        except TimeoutError:
            await self._refuse(ApiError(504, "not answered in time", code="timeout"), scope, receive, send, answered)
        except Exception as error:
            await self._refuse(api_error(error), scope, receive, send, answered)

    async def _refuse(
        self, error: ApiError, scope: Connection, receive: Receive, send: Send, answered: _Answered
    ) -> None:
        if answered.status is None:
            await error.response()(scope, receive, send)

    def _check_origin(self, headers: Headers) -> None:
        """Refuse other hosts, as after DNS rebinding, and other sites' pages."""
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if "*" not in self.config.trusted_hosts and _host(host) not in self.config.trusted_hosts:
            raise ApiError(421, "this host is not served here", code="untrusted_host")
        same = urlsplit(origin).netloc == host if origin else True
        if not same and origin not in self.config.origins and "*" not in self.config.origins:
            raise ApiError(403, "this origin is not allowed", code="untrusted_origin")

    def _authenticate(self, scope: Connection) -> None:
        if scope["path"] in PUBLIC or scope["path"].startswith(STUDIO_FILES):
            return
        kind, _, sent = Headers(scope=scope).get("authorization", "").partition(" ")
        with part_of("keys"):
            key = self.keys.find(sent.strip()) if kind.lower() == "bearer" else None
        who = f"address {(scope.get('client') or ('',))[0]}" if key is None else f"key {key.id}"
        if (wait := self._limiter.wait(who)) > 0:
            retry = {"Retry-After": str(max(1, round(wait + 0.5)))}
            raise ApiError(429, "too many requests", code="rate_limit_exceeded", headers=retry)
        if key is None:
            asked = 'Bearer realm="idiolect"'
            if self.config.mcp and scope["path"].startswith(MCP_PATH):
                asked += f', resource_metadata="{address(self.config, scope)}{METADATA_PATH}{MCP_PATH}"'
            raise ApiError(401, "no valid API key", code="invalid_api_key", headers={"WWW-Authenticate": asked})
        scope["idiolect.key"] = key

    async def _body(self, scope: Connection, receive: Receive) -> bytes:
        """The complete body, if it is small enough and arrives in time."""
        most = self.config.max_body_bytes
        stated = Headers(scope=scope).get("content-length", "0")
        if stated.isdecimal() and int(stated[:18]) > most:
            raise ApiError(413, f"the body is larger than {most} bytes", code="too_large")
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(self.config.body_seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the body broke off", code="incomplete")
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > most:
                        raise ApiError(413, f"the body is larger than {most} bytes", code="too_large")
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time", code="timeout") from None
        return b"".join(parts)

    def _record(self, scope: Connection, answered: _Answered, seconds: float) -> None:
        """Log and count a request, once."""
        if answered.recorded:
            return
        answered.recorded = True
        route = getattr(scope.get("route"), "path", "other")
        status, key = answered.status or 499, scope.get("idiolect.key")
        self.metrics.requests.labels(scope["method"], route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(answered.seconds or seconds)
        fields = {
            "trace": scope["idiolect.trace"],
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
            **({"tenant": key.tenant, "key": key.id} if key else {}),
            **({"note": answered.note} if answered.note else {}),
        }
        _log.info("request", extra={"fields": fields})


@dataclass(slots=True)
class _Answered:
    status: int | None = None
    seconds: float | None = None
    note: str = ""
    recorded: bool = False


def address(config: ServerConfig, scope: Connection) -> str:
    """Where clients reach the server, without a final slash; the Host header was checked."""
    host = Headers(scope=scope).get("host", "")
    return config.public_url or f"{scope['scheme']}://{host if _NETLOC.fullmatch(host) else _host(host)}"


def _host(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Replays a body that was read, then the further messages."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


class JsonLines(logging.Formatter):
    """Log lines of the server as JSON; for other libraries only logger and level.

    Arguments of messages are left out, because they may contain ids and texts.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {"time": round(record.created, 3), "level": record.levelname, "logger": record.name}
        if record.name.startswith(("idiolect", "uvicorn")):
            line["message"] = str(record.msg)[:300]
        line |= getattr(record, "fields", {})
        if record.exc_info and isinstance(record.exc_info[1], Exception):
            line |= where_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]


async def handle(request: Request, error: Exception) -> JSONResponse:
    """Any error as a response."""
    response = api_error(error).response()
    if response.status_code == 405:  # the router names the methods of one route; others may have the same path
        found = [route.methods or () for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
        response.headers["allow"] = ", ".join(sorted({method for methods in found for method in methods}))
    return response
