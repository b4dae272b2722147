"""HTTP client of an OpenAI-compatible endpoint: bounded replies, and prompts that reach no other server."""

from __future__ import annotations

import base64
import importlib.util
import zlib
from collections.abc import AsyncIterable
from contextvars import ContextVar
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from idiolect.errors import require, without_passwords

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
        openai, self._httpx = require("openai", extra="openai"), require("httpx2", extra="openai")
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
