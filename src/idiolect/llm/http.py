"""The official client, relieved of what is the same for every request to an endpoint."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any

from idiolect.errors import require

_EXTRA = "openai"
_ABOUT_US = "x-stainless-"
"""What headers begin with that tell the endpoint of this machine, its Python and its retries."""
_ITS_OWN = ("content-length", "content-encoding", "transfer-encoding", "cookie")
"""Headers that no other request may be sent with."""


class ChatClient:
    """Posts JSON bodies to one address, over aiohttp where that is installed, for it halves what a request costs.

    The official client makes requests until one is answered. It would check its options, make copies of them and take
    the reply apart for every other, which costs as much as sending it: a later request is the first with a body of its
    own, sent by the same HTTP client.

    Args:
        base_url: Up to and with ``/v1``.
        key: Sent as the bearer.
        path: What is posted to, below ``base_url``.
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
        self._http = layer(limits=limits)
        # Retries are ours, so that they are counted and end at a deadline.
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=key, http_client=self._http, timeout=timeout, max_retries=0
        )
        named = (*self._client.default_headers, f"{_ABOUT_US}retry-count", f"{_ABOUT_US}read-timeout")
        unsaid = {name: openai.Omit() for name in named if name.lower().startswith(_ABOUT_US)}
        # The typed method walks and validates every message, which costs more than all else here.
        self._first = partial(self._client.post, path, cast_to=self._httpx.Response, options={"headers": unsaid})
        self._later: Any = None

    async def post(self, body: dict[str, Any]) -> Any:
        """The response to a body, an ``httpx2.Response`` with its content.

        Raises:
            openai.APIError: The official client's request failed, or was refused.
            httpx2.RequestError: A later one failed; where that was refused, the response says so.
        """
        if self._later is not None:
            return await self._http.send(self._later(json=body))
        response = await self._first(body=body)
        self._later = self._like((response.history or [response])[0].request)
        return response

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    def _like(self, request: Any) -> Any:
        """Makes requests that differ from ``request`` in nothing but the body."""
        headers = request.headers.copy()
        for name in _ITS_OWN:
            headers.pop(name, None)
        return partial(self._httpx.Request, request.method, request.url, headers=headers, extensions=request.extensions)
