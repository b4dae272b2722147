"""The HTTP layer beneath the official client, relieved of what is the same for every request to an endpoint."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

from idiolect.errors import require

EXTRA = "openai"


def http_client(concurrency: int) -> Any:
    """For ``AsyncOpenAI(http_client=...)``: over aiohttp where that is installed, for it halves what a request costs.

    Args:
        concurrency: Connections that are kept open.

    Raises:
        MissingDependencyError: The official client is not installed.
    """
    openai, httpx = require("openai", extra=EXTRA), require("httpx2", extra=EXTRA)
    fast = importlib.util.find_spec("aiohttp") is not None
    parsed = lru_cache(maxsize=8)(httpx.URL)

    class Client(openai.DefaultAioHttpClient if fast else openai.DefaultAsyncHttpxClient):
        def build_request(self, method: str, url: str, *, headers: Any, content: Any, timeout: Any, **_: Any) -> Any:
            """The request as the official client made it: here are no further headers, cookies or fields to merge."""
            extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
            return httpx.Request(method, parsed(url), headers=headers, content=content, extensions=extensions)

    return Client(limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency))
