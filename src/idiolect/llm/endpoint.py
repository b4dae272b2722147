"""One OpenAI-compatible chat endpoint: a prompt in, a completion or a failure out. Does not import openai."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from pydantic import AfterValidator, PlainSerializer

from idiolect.config import Config
from idiolect.errors import without_passwords
from idiolect.llm.base import Completion, Failure, Price, SamplingParams, Schema
from idiolect.llm.client import ChatClient
from idiolect.llm.failures import classify_exception, classify_response
from idiolect.llm.request import (
    Reply,
    RequestConfig,
    estimate_tokens,
    failed,
    kept_entries,
    read_reply,
    request_body,
    seems_cut,
)
from idiolect.llm.retry import Backoff, LimitConfig, RateLimiter, RetryConfig
from idiolect.llm.thinking import Tags
from idiolect.types import Prompt


def _web_address(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError(f"{without_passwords(value)!r} is no address such as http://localhost:8000/v1")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address), PlainSerializer(without_passwords, when_used="json")]
"""An address of a server; JSON gets it without a password."""


class OpenAIConfig(Config):
    """An endpoint, one of its models, and the settings of requests."""

    model: str
    """The endpoint's name of the model."""
    revision: str = ""
    """Version of the weights behind the name; change it when they change, because it is part of the cache keys."""
    base_url: WebAddress = "https://api.openai.com/v1"
    """Up to and with ``/v1``, without a query. A name and password in it (``https://name:password@host/v1``) are sent,
    but never recorded."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key, if the server needs one."""
    reasoning_model: bool = False
    """The model thinks before every answer, so a reply without a closing tag is unfinished thinking."""
    thinking_tags: Tags = ()
    """Further tags around thinking, in addition to the known ones: ``plan`` for ``<plan>...</plan>``, ``[PLAN]``, or a
    pair of an opening and a closing mark."""
    schemas: bool = True
    """The endpoint can enforce a JSON schema (``response_format``)."""
    request: RequestConfig = RequestConfig()
    limits: LimitConfig = LimitConfig()
    retry: RetryConfig = RetryConfig()
    price: Price = Price()

    def identity(self) -> str:
        """Everything that an answer depends on, except prompt, parameters and schema; without credentials."""
        where = without_passwords(self.base_url).rstrip("/")
        settings = self.model_dump(mode="json", include={"model", "revision", "request"})
        settings["thinks"] = self.reasoning_model  # the name in the keys of existing caches
        settings |= {"thinking_tags": self.thinking_tags} if self.thinking_tags else {}
        settings["request"]["omit"].sort()
        return json.dumps({"endpoint": where, **settings}, sort_keys=True)


_ENOUGH_COUNTS = 2
"""Different counts of prompts that show that an endpoint counts: some report one number whatever they are sent."""
_SMALLEST_CONTEXT = 1024
"""Tokens. A prompt that is cut counts as many tokens as the context has, and no placeholder is as large."""


@dataclass(frozen=True, slots=True)
class Question:
    """Parameters and schema of a batch."""

    params: SamplingParams
    schema: Schema | None = None


class _Received(NamedTuple):
    """The last reply to a prompt, the number of requests, and the usage of all replies."""

    reply: Reply
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0

    def then(self, reply: Reply) -> _Received:
        """The state after one more request; replies that cannot be used are billed, too."""
        return _Received(
            reply,
            self.requests + 1,
            self.prompt_tokens + reply.prompt_tokens,
            self.completion_tokens + reply.completion_tokens,
            self.thinking_tokens + reply.thinking_tokens,
        )


class Endpoint:
    """Sends one prompt per call, with retries; any number of tasks of one event loop may share it.

    Args:
        config: Endpoint, model and requests.
        rng: Jitter of retries.

    Raises:
        MissingDependencyError: The official client is not installed.
    """

    def __init__(self, config: OpenAIConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._client = ChatClient(
            config.base_url,
            os.environ.get(config.api_key_env) or "none",
            "/chat/completions",
            concurrency=config.limits.concurrency,
            timeout=config.retry.timeout_s,
        )
        self._counts: set[int] = set()
        self._places, self._limiter = asyncio.Semaphore(config.limits.concurrency), RateLimiter(config.limits)

    @asynccontextmanager
    async def complete(self, prompt: Prompt, question: Question) -> AsyncIterator[Completion]:
        """The completion of a prompt, or its ``Completion.failure``.

        The prompt keeps its place in the limit of concurrent requests until the ``async with`` block ends, so that at
        most that many answers are unrecorded.
        """
        started, config = time.perf_counter(), self._config
        kept = kept_entries(prompt, config.request.max_prompt_chars)
        body = request_body(
            prompt, question.params, config.request, model=config.model, kept=kept, schema=question.schema
        )
        async with self._answered(body, question.params.max_new_tokens) as received:
            done = self._completion(received, question.params, kept, time.perf_counter() - started)
            yield replace(done, cut_prompt=self._cut(body, received.reply))

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    def _cut(self, body: dict[str, Any], reply: Reply) -> bool:
        """Whether the endpoint's count says that it read a part of the prompt, and is a count and no placeholder."""
        if not reply.counted_prompt:
            return False
        if len(self._counts) < _ENOUGH_COUNTS:
            self._counts.add(reply.prompt_tokens)
        counts = len(self._counts) == _ENOUGH_COUNTS or reply.prompt_tokens >= _SMALLEST_CONTEXT
        return counts and seems_cut(body, reply.prompt_tokens)

    def _completion(
        self, received: _Received, params: SamplingParams, kept: tuple[int, ...], seconds: float
    ) -> Completion:
        reply = received.reply
        return Completion(
            text=reply.text,
            prompt_tokens=received.prompt_tokens,
            completion_tokens=received.completion_tokens,
            kept_entries=kept,
            seconds=seconds,
            thinking=reply.thinking,
            thinking_tokens=received.thinking_tokens,
            truncated=_truncated(reply, params.max_new_tokens),
            failure=reply.failure,
            requests=received.requests,
            cost=self._config.price.of(received.prompt_tokens, received.completion_tokens),
        )

    @asynccontextmanager
    async def _answered(self, body: dict[str, Any], max_new_tokens: int) -> AsyncIterator[_Received]:
        """The last reply to a request, which keeps its place; it gives up the place while it waits for a retry."""
        prompt_tokens, backoff = estimate_tokens(body), Backoff(self._config.retry, self._rng)
        received, most = _Received(Reply()), self._config.limits.reply_bytes(max_new_tokens)
        while True:
            async with self._places:
                await self._limiter.wait(prompt_tokens + max_new_tokens)
                reply = await self._attempt(body, prompt_tokens, backoff, most)
                received = received.then(reply)
                self._limiter.reconcile(prompt_tokens + max_new_tokens, reply.prompt_tokens + reply.completion_tokens)
                pause = backoff.pause(reply.failure.kind, reply.retry_after) if reply.failure else None
                if pause is None:
                    yield received
                    return
            if reply.retry_after:
                self._limiter.pause(reply.retry_after)
            await asyncio.sleep(pause)

    async def _attempt(self, body: dict[str, Any], prompt_tokens: int, backoff: Backoff, max_bytes: int) -> Reply:
        """One request: its reply, or a failure."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(backoff.timeout):
                response = await self._client.post(body, max_reply_bytes=max_bytes)
            if not response.is_success:
                return failed(*classify_response(response))
            return read_reply(
                response.content,
                prompt_tokens=prompt_tokens,
                reasoning_model=self._config.reasoning_model,
                tags=self._config.thinking_tags,
            )
        except Exception as error:
            known = classify_exception(error)
            if known is None:
                raise
            return failed(*known)
        finally:
            backoff.spent += time.monotonic() - started


def denied(failure: Failure) -> Completion:
    """The completion of a prompt that was not sent, because the endpoint refuses every request."""
    return Completion(text="", prompt_tokens=0, completion_tokens=0, failure=failure, requests=0)


def _truncated(reply: Reply, max_new_tokens: int) -> bool:
    """Whether the text was cut off: by the finish reason or, without one, by the number of tokens."""
    if reply.truncated is not None:
        return reply.truncated
    return reply.counted and reply.completion_tokens >= max_new_tokens
