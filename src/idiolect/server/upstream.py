"""The OpenAI-compatible endpoint behind the server: chat completions, whole or as a stream, and its errors."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from idiolect.errors import require, without_passwords
from idiolect.llm.base import one_line
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.retry import wait_asked_for
from idiolect.server.http import ApiError

_IDLE_SECONDS = 2.0
"""After which a connection to an upstream is not used again: at five seconds, servers (uvicorn, vLLM) close theirs, and
a request that is sent just then fails."""
_MOST_BYTES = 64_000_000
"""Of a reply, or of a line of a stream: far more than any model writes."""
_REFUSAL_BYTES = 65_536
"""Of the body of an error response that are read."""


class Upstream:
    """The endpoint that answers; requests are made once, because the client has its own retries.

    Args:
        config: Where, and with which key.
        timeout: Seconds without a byte after which a request has failed.
        connections: At most.
    """

    def __init__(self, config: OpenAIConfig, *, timeout: float, connections: int) -> None:
        self.config, self._httpx = config, require("httpx2", extra="serve")
        key = os.environ.get(config.api_key_env) or "none"
        headers = {} if urlsplit(config.base_url).username else {"Authorization": f"Bearer {key}"}
        self._http = self._httpx.AsyncClient(
            headers=headers,
            timeout=self._httpx.Timeout(timeout, connect=10),
            limits=self._httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=_IDLE_SECONDS,
            ),
        )
        self._url = config.base_url.rstrip("/") + "/chat/completions"

    async def close(self) -> None:
        """End all connections."""
        await self._http.aclose()

    async def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The chat completion that answers ``body``.

        Raises:
            ApiError: There is none.
        """
        async with self._sent(body) as response:
            content = await _read(response, _MOST_BYTES)
        if len(content) > _MOST_BYTES:
            raise _too_long()
        try:
            found = json.loads(content)
            if not isinstance(found["choices"], list) or not isinstance(found.get("usage") or {}, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ApiError(502, "the upstream's reply is no chat completion", code="upstream_error") from None
        return found

    async def chunks(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The chunks of a stream that answers ``body``.

        Raises:
            ApiError: There is none, or it breaks off.
        """
        async with self._sent({**body, "stream": True, "stream_options": {"include_usage": True}}) as response:
            begun, ended = set[Any](), set[Any]()
            async for line in _lines(response):
                name, _, value = line.partition(b":")
                if name != b"data":
                    continue
                if value.strip() == b"[DONE]":
                    return
                try:
                    chunk = json.loads(value)
                    if chunk.get("error"):
                        raise ApiError(502, _said(chunk), code="upstream_error")
                    choices = chunk.get("choices") or ()
                    begun.update(choice.get("index") for choice in choices)
                    ended.update(choice.get("index") for choice in choices if choice.get("finish_reason"))
                    if not isinstance(chunk.get("usage") or {}, dict):
                        raise TypeError
                except (ValueError, TypeError, AttributeError, RecursionError):
                    raise ApiError(502, "the upstream's stream cannot be read", code="upstream_error") from None
                yield chunk
            if not ended or begun - ended:
                raise ApiError(502, "the upstream's stream broke off", code="upstream_error")

    @asynccontextmanager
    async def _sent(self, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        request = self._http.build_request("POST", self._url, json={**body, **self.config.request.extra})
        try:
            response = await self._http.send(request, stream=True)
        except self._httpx.TimeoutException:
            raise ApiError(504, "the upstream did not answer in time", code="upstream_timeout") from None
        except self._httpx.HTTPError:
            raise ApiError(502, "the upstream cannot be reached", code="upstream_error") from None
        try:
            if response.status_code != 200:
                raise _upstream_error(response.status_code, response.headers, await _read(response, _REFUSAL_BYTES))
            yield response
        except self._httpx.TimeoutException:
            raise ApiError(504, "the upstream did not go on in time", code="upstream_timeout") from None
        except self._httpx.HTTPError:
            raise ApiError(502, "the upstream broke off", code="upstream_error") from None
        finally:
            await response.aclose()


async def _read(response: Any, limit: int) -> bytes:
    """The body; of one that is longer than the limit, only so much that this shows."""
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > limit:
            break
    return bytes(content)


async def _lines(response: Any) -> AsyncIterator[bytes]:
    """Lines of an event stream, without their ends."""
    rest = bytearray()
    async for part in response.aiter_bytes():
        for line in part.splitlines(keepends=True):
            rest += line
            if len(rest) > _MOST_BYTES:
                raise _too_long()
            if line.endswith((b"\n", b"\r")):
                yield bytes(rest).rstrip(b"\r\n")
                rest.clear()
    if rest:
        yield bytes(rest)


def _too_long() -> ApiError:
    return ApiError(502, f"the upstream's reply is longer than {_MOST_BYTES:,} bytes", code="upstream_error")


def _upstream_error(status: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    try:
        body = json.loads(content[:_REFUSAL_BYTES])
    except (ValueError, RecursionError):
        body = {}
    said_of = body.get("error") if isinstance(body, dict) else None
    error: dict[str, Any] = said_of if isinstance(said_of, dict) else {}
    code, param = error.get("code"), error.get("param")
    wait = _wait(wait_asked_for(headers, body, limited=status == 429))
    if status == 429:
        return ApiError(429, "the upstream takes no more requests now", code="rate_limit_exceeded", headers=wait)
    if status in (400, 404, 413, 422):
        named = param if isinstance(param, str) else None
        said = code if isinstance(code, str) else "upstream_refused"
        return ApiError(400, f"the upstream refuses the request: {_said(body)}", code=said, param=named)
    if status in (401, 402, 403):
        return ApiError(502, "the upstream refuses the server's own key", code="upstream_error")
    return ApiError(502, f"the upstream failed with status {status}", code="upstream_error", headers=wait)


def _wait(seconds: float | None) -> dict[str, str]:
    """When the upstream wants the request again, in whole seconds from now."""
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


def _said(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return without_passwords(one_line(message)) if isinstance(message, str) and message else "no reason is given"
