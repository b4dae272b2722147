"""OpenAI's routes for models and chat completions, as the official clients expect them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.concurrency import run_in_threadpool

from idiolect.errors import require, without_passwords
from idiolect.llm.base import one_line
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.streaming import Listener
from idiolect.methods.base import METHODS
from idiolect.server.http import ERRORS, UNITS_HELP, ApiError, Caller, MayRead, Services, UnitFactors, api_error
from idiolect.server.personalization import Answer, AnswerError, Personalization, Voice
from idiolect.server.streaming import Writes, spoken, whole
from idiolect.types import Role

router = APIRouter(prefix="/v1", responses=ERRORS)
PREFIX = "idiolect/"
_CREATED = 1_790_000_000
"""Of the models; clients want a number."""

PASSED_ON = frozenset(
    {
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "stop", "seed", "presence_penalty",
        "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
        "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier", "safety_identifier", "prompt_cache_key",
    }
)  # fmt: skip
"""Fields that an upstream is sent; ``user`` is not among them."""
_IDLE_SECONDS = 2.0
"""After which a connection to an upstream is not used again: at five seconds, servers (uvicorn, vLLM) close theirs, and
a request that is sent just then fails."""
_CONTENT = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
"""Accepted parts of messages; embeddings are not, because a server that accepts them must trust its clients."""


class VoiceFields(BaseModel):
    """The object ``idiolect`` of a request."""

    model_config = ConfigDict(extra="forbid")
    user: str | None = Field(None, min_length=1, max_length=512, description="Whose voice.")
    item: str | None = Field(None, max_length=512, description="What is written about.")
    rating: float | None = Field(None, ge=0, le=100)
    title: str = Field("", max_length=2000)
    method: str | None = Field(None, max_length=64, description=f"One of {', '.join(METHODS)}.")
    k: int | None = Field(None, ge=1, le=100, description="Past texts that are shown.")
    off: bool = Field(False, description="Pass the request through unchanged.")
    corrections: bool = Field(True, description="Whether the user's corrections count; false shows what they change.")
    units: UnitFactors = Field(default={}, max_length=100_000, description=UNITS_HELP)


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion; fields of the allow-list are passed on, all others are left out and named in the answer."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1, max_length=256)
    messages: list[dict[str, JsonValue]] = Field(min_length=1, max_length=2048)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=1_000_000)
    n: int | None = Field(None, ge=1, le=16)
    seed: int | None = None
    user: str | None = Field(None, max_length=512)
    idiolect: VoiceFields | None = None


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
            content = await response.aread()
        try:
            found = json.loads(content)
            if not isinstance(found["choices"], list):
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
            ended = False
            async for line in response.aiter_lines():
                name, _, value = line.partition(":")
                if name != "data":
                    continue
                if value.strip() == "[DONE]":
                    return
                try:
                    chunk = json.loads(value)
                    if chunk.get("error"):
                        raise ApiError(502, _said(chunk), code="upstream_error")
                    ended = ended or any(choice.get("finish_reason") for choice in chunk.get("choices") or ())
                except (ValueError, AttributeError, RecursionError):
                    raise ApiError(502, "the upstream's stream cannot be read", code="upstream_error") from None
                yield chunk
            if not ended:
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
                raise _upstream_error(response.status_code, response.headers, await response.aread())
            yield response
        except self._httpx.TimeoutException:
            raise ApiError(504, "the upstream did not go on in time", code="upstream_timeout") from None
        except self._httpx.HTTPError:
            raise ApiError(502, "the upstream broke off", code="upstream_error") from None
        finally:
            await response.aclose()


def _upstream_error(status: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    try:
        body = json.loads(content[:65536])
    except ValueError:
        body = {}
    said_of = body.get("error") if isinstance(body, dict) else None
    error: dict[str, Any] = said_of if isinstance(said_of, dict) else {}
    code, param = error.get("code"), error.get("param")
    if status == 429:
        wait = {"Retry-After": headers["retry-after"]} if headers.get("retry-after", "").isdecimal() else {}
        return ApiError(429, "the upstream takes no more requests now", code="rate_limit_exceeded", headers=wait)
    if status in (400, 404, 413, 422):
        named = param if isinstance(param, str) else None
        said = code if isinstance(code, str) else "upstream_refused"
        return ApiError(400, f"the upstream refuses the request: {_said(body)}", code=said, param=named)
    if status in (401, 402, 403):
        return ApiError(502, "the upstream refuses the server's own key", code="upstream_error")
    return ApiError(502, f"the upstream failed with status {status}", code="upstream_error")


def _said(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return without_passwords(one_line(message)) if isinstance(message, str) and message else "no reason is given"


@dataclass(frozen=True, slots=True)
class Chat:
    """A request that is ready to be answered."""

    services: Services
    caller: Caller
    voice: Voice
    how: Personalization
    body: dict[str, Any]
    """What an upstream is sent, without stream fields."""
    model: str
    """As the client named it."""
    query: str
    dropped: tuple[str, ...]

    @property
    def id(self) -> str:
        """One for the whole answer."""
        return f"chatcmpl-{self.caller.trace.removeprefix('req_')}"

    @property
    def headers(self) -> dict[str, str]:
        """What can be said before the answer is there."""
        scope = ",".join(f"{scope}={n}" for scope, n in self.how.peer_scopes.items())
        return {
            "x-idiolect-trace": self.caller.trace,
            "x-idiolect-method": self.how.method,
            "x-idiolect-personalized": str(self.how.personalized).lower(),
            **({"x-idiolect-reason": self.how.reason} if self.how.reason else {}),
            **({"x-idiolect-peer-scope": scope} if scope else {}),
            "x-idiolect-evidence": ",".join(quote(id, safe="") for id in self.how.evidence[:20]),
        }

    @property
    def sampling(self) -> dict[str, Any]:
        """The fields that the model in this process knows."""
        most = self.body.get("max_completion_tokens") or self.body.get("max_tokens")
        given = {"temperature": self.body.get("temperature"), "top_p": self.body.get("top_p"), "max_new_tokens": most}
        given["seed"] = abs(self.body["seed"]) % 2**31 if self.body.get("seed") is not None else None
        return {name: value for name, value in given.items() if value is not None}

    def about(self, how: Personalization, usage: Mapping[str, Any] | None, model: str) -> dict[str, Any]:
        """The object ``idiolect`` of an answer."""
        found = {"trace_id": self.caller.trace, "model": model, **how.record()}
        if self.dropped:
            found["dropped"] = list(self.dropped)
        if usage is not None:
            found["cost"] = self._cost(usage)
        return found

    def _cost(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        prompt, completion = (token_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        endpoint = self.services.config.endpoint
        own = self.in_process and not self.services.config.prompt_embeds
        price = 0.0 if endpoint is None or own else endpoint.price.of(prompt, completion)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "price": price}

    @property
    def in_process(self) -> bool:
        """Whether the model in this process answers."""
        return self.services.upstream is None or self.how.own_prompt

    def counted(self, how: Personalization, usage: Mapping[str, Any]) -> None:
        """Note an answer in the metrics."""
        metrics = self.services.metrics
        metrics.answers.labels(how.method, str(how.personalized).lower()).inc()
        for kind in ("prompt", "completion"):
            metrics.tokens.labels(kind).inc(token_count(usage.get(f"{kind}_tokens")))


def token_count(value: Any) -> int:
    """A number of tokens that an upstream reports; 0 if it cannot be one."""
    return value if isinstance(value, int) and 0 <= value < 10_000_000 else 0


async def prepare(request: Request, caller: Caller, asked: ChatRequest) -> Chat:
    """Find out whose voice it is, and put it into the messages.

    Raises:
        ApiError: The request cannot be answered.
    """
    services: Services = request.app.state.services
    texts = [_text(message, place) for place, message in enumerate(asked.messages)]
    voice = _voice(services, request, asked)
    users = [text for message, text in zip(asked.messages, texts, strict=True) if message["role"] == "user"]
    query = users[-1] if users else texts[-1]
    how = await run_in_threadpool(services.voices.personalize, caller.tenant, voice, query)
    sent = asked.model_dump(exclude_unset=True)
    body = {name: value for name, value in sent.items() if name in PASSED_ON and value is not None}
    known = {*PASSED_ON, "model", "messages", "stream", "stream_options", "user", "idiolect"}
    if services.upstream is not None:
        config = services.upstream.config
        body["model"] = config.model if asked.model.startswith(PREFIX) else asked.model
        body = {name: value for name, value in body.items() if name not in config.request.omit}
    body["messages"] = with_system(asked.messages, how.system)
    dropped = tuple(sorted(name for name in sent if name not in known))
    return Chat(services, caller, voice, how, body, asked.model, query, dropped)


def with_system(messages: Sequence[dict[str, Any]], system: str) -> list[dict[str, Any]]:
    """The messages with a system turn, joined with the client's own if there is one: some models take only one."""
    if not system:
        return list(messages)
    first, *others = messages
    if first["role"] in ("system", "developer") and isinstance(first["content"], str):
        return [{**first, "content": f"{first['content']}\n\n{system}"}, *others]
    return [{"role": "system", "content": system}, *messages]


def _text(message: Mapping[str, Any], place: int) -> str:
    """The text of a message.

    Raises:
        ApiError: It is no message, or holds what is not passed on.
    """
    where = f"messages.{place}"
    if message.get("role") not in ("system", "developer", "user", "assistant", "tool", "function"):
        raise ApiError(400, f"{where}.role is none", param=f"{where}.role", code="invalid_value")
    content = message.get("content")
    if content is None and message["role"] == "assistant":
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ApiError(400, f"{where}.content is no text or list of parts", param=f"{where}.content")
    for part in content:
        if part.get("type") not in _CONTENT:
            raise ApiError(400, f"{where}.content has a part of a kind that is not taken", param=f"{where}.content")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise ApiError(400, f"{where}.content has a part without text", param=f"{where}.content")
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _voice(services: Services, request: Request, asked: ChatRequest) -> Voice:
    """Whose voice: the body's, else the model name's, else a trusted proxy's header's, else the legacy ``user``.

    Raises:
        ApiError: There is no such model.
    """
    method, by_model = _of_model(services, asked.model)
    fields = asked.idiolect or VoiceFields.model_validate({})
    candidates = {
        "body": fields.user or "",
        "model": by_model,
        "header": _by_proxy(services, request),
        "user": asked.user or "",
    }
    source = next((name for name, user in candidates.items() if user), "")
    return Voice(
        user=candidates.get(source, ""),
        source=source,
        item=fields.item or "",
        rating=fields.rating,
        title=fields.title,
        method=fields.method or method,
        k=fields.k,
        off=fields.off,
        corrections=fields.corrections,
        units={int(unit): factor for unit, factor in fields.units.items()},
    )


def _of_model(services: Services, model: str) -> tuple[str, str]:
    """Method and user of a model's name: ``idiolect/METHOD`` or ``idiolect/METHOD/USER``; others are the upstream's.

    Raises:
        ApiError: There is no such model.
    """
    if model.startswith(PREFIX):
        method, _, user = model.removeprefix(PREFIX).partition("/")
        if method == "auto" or method in services.voices.methods:
            return method, user
    elif model in served(services):
        return "auto", ""
    raise ApiError(404, "there is no such model", code="model_not_found", param="model")


def served(services: Services) -> list[str]:
    """The names of models."""
    config = services.config
    upstream = [config.endpoint.model, *config.models] if config.endpoint else []
    return [*dict.fromkeys([*upstream, f"{PREFIX}auto", *(PREFIX + name for name in services.voices.methods)])]


def _by_proxy(services: Services, request: Request) -> str:
    config, client = services.config, request.client
    if not config.user_header or client is None or client.host.lower() not in config.trusted_proxies:
        return ""
    return request.headers.get(config.user_header, "")


async def answer(chat: Chat) -> dict[str, Any]:
    """The whole answer as a chat completion.

    Raises:
        ApiError: There is none.
    """
    async with chat.services.gate():
        if not chat.in_process:
            found = await chat.services.upstream.post(chat.body)
            how, model = chat.how, str(found.get("model") or chat.body["model"])
        else:
            found, how, model = await _own_answer(chat)
    usage = found.get("usage") or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    chat.counted(how, usage)
    return {
        **found,
        "id": chat.id,
        "object": "chat.completion",
        "created": found.get("created") or int(time.time()),
        "model": chat.model,
        "usage": usage,
        "idiolect": chat.about(how, usage, model),
    }


class _Piece(NamedTuple):
    """A part of a streamed answer."""

    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None
    """Of the whole answer, with its last piece."""
    how: Personalization
    model: str


async def chunks(chat: Chat) -> AsyncIterator[dict[str, Any]]:
    """The answer in chunks of one id; the last one has the usage, and no choices.

    The first chunk has the object ``idiolect``, and so has any later one before which more became known.

    Raises:
        ApiError: There is none, or it breaks off.
    """
    frame = {"id": chat.id, "object": "chat.completion.chunk", "created": int(time.time()), "model": chat.model}
    usage, about, sent = None, chat.about(chat.how, None, ""), None
    how, model = chat.how, ""
    source: Any = _own_pieces(chat) if chat.in_process else _pieces(chat)
    async with chat.services.gate(), aclosing(source) as pieces:
        async for choices, used, how, model in pieces:
            usage, about = used or usage, chat.about(how, None, model)
            if choices:
                yield {**frame, "choices": choices, **({} if about == sent else {"idiolect": about})}
                sent = about
    usage = usage or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    chat.counted(how, usage)
    yield {**frame, "choices": [], "usage": usage, "idiolect": chat.about(how, usage, model)}


async def _pieces(chat: Chat) -> AsyncIterator[_Piece]:
    """Of the upstream's stream."""
    source: Any = chat.services.upstream.chunks(chat.body)
    async with aclosing(source) as sent:
        async for chunk in sent:
            yield _Piece(chunk.get("choices") or [], chunk.get("usage"), chat.how, str(chat.body.get("model", "")))


async def _own_pieces(chat: Chat) -> AsyncIterator[_Piece]:
    """Of the model in this process, as it generates."""
    stops, answers, known = _stops(chat), list[Answer](), (chat.how, chat.services.voices.model_name)
    for place, write in enumerate(_writes(chat)):
        begun = False
        async with _own_errors(), aclosing(spoken(write, stops)) as parts:
            async for part in parts:
                if not begun:  # an error before it is a plain response with a status
                    yield _Piece([_delta(place, {"role": "assistant", "content": ""})], None, *known)
                    begun = True
                if isinstance(part, str):
                    yield _Piece([_delta(place, {"content": part})], None, *known)
                else:
                    answers.append(part)
        known = (answers[0].how, answers[0].model)
        usage = _own_usage(answers)
        yield _Piece([_delta(place, {}, "length" if answers[-1].truncated else "stop")], usage, *known)


async def _own_answer(chat: Chat) -> tuple[dict[str, Any], Personalization, str]:
    """A chat completion of the model in this process."""
    answers = []
    for write in _writes(chat):
        async with _own_errors():
            answers.append(await whole(write, _stops(chat)))
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": one.text},
            "finish_reason": "length" if one.truncated else "stop",
            "logprobs": None,
        }
        for place, one in enumerate(answers)
    ]
    return {"choices": choices, "usage": _own_usage(answers)}, answers[0].how, answers[0].model


@asynccontextmanager
async def _own_errors() -> AsyncIterator[None]:
    try:
        yield
    except AnswerError as error:
        raise ApiError(502, one_line(str(error)), code="model_error") from None


def _own_usage(answers: Sequence[Answer]) -> dict[str, Any]:
    """Of one prompt and all its answers."""
    asked, said = answers[0].usage.prompt_tokens, sum(one.usage.completion_tokens for one in answers)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _writes(chat: Chat) -> Iterator[Writes]:
    """What writes each of the answers that are asked for.

    Raises:
        ApiError: A field needs what the model in this process cannot do.
    """
    for name in ("tools", "response_format", "logprobs", "logit_bias"):
        if chat.body.get(name) not in (None, False, {"type": "text"}):
            raise ApiError(400, f"the model in this process takes no {name}", param=name, code="unsupported_parameter")
    sampling = chat.sampling
    for place in range(chat.body.get("n") or 1):
        drawn = {**sampling, "seed": sampling.get("seed", 0) + 1_000_003 * place} if place else sampling
        yield partial(_own, chat, drawn)


def _own(chat: Chat, sampling: Mapping[str, Any], listener: Listener | None) -> Answer:
    voices, tenant = chat.services.voices, chat.caller.tenant
    if chat.how.own_prompt:
        return voices.write(tenant, chat.voice, chat.query, sampling, listener)
    turns: list[tuple[Role, str]] = [(_role(message["role"]), _text(message, 0)) for message in chat.body["messages"]]
    return voices.complete(turns, chat.how, sampling, listener)


def _role(role: str) -> Role:
    return "system" if role == "developer" else "user" if role in ("tool", "function") else role  # type: ignore[return-value]


def _stops(chat: Chat) -> list[str]:
    """The strings that end an answer."""
    stop = chat.body.get("stop")
    return [one for one in ([stop] if isinstance(stop, str) else stop or ()) if isinstance(one, str) and one]


def _delta(place: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": place, "delta": delta, "finish_reason": finish, "logprobs": None}


@router.get("/models", tags=["OpenAI"], summary="List the models")
async def list_models(request: Request, _: MayRead) -> dict[str, Any]:
    """The upstream's models, and one per method."""
    return {"object": "list", "data": [_model(name) for name in served(request.app.state.services)]}


@router.get("/models/{model:path}", tags=["OpenAI"], summary="One model")
async def get_model(model: str, request: Request, _: MayRead) -> dict[str, Any]:
    """A model by its name."""
    _of_model(request.app.state.services, model)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    owner = "idiolect" if name.startswith(PREFIX) else "upstream"
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": owner}


@router.post("/chat/completions", tags=["OpenAI"], summary="Answer a chat in a user's voice", response_model=None)
async def chat_completions(asked: ChatRequest, request: Request, caller: MayRead) -> Response:
    """A chat completion, whole or as a stream.

    `idiolect.user` names the user, else the model name (`idiolect/METHOD/USER`), else a trusted proxy's header, else
    `user`. Without a known user, or with `idiolect.off`, the request passes through unchanged. With the method
    `nonpersonalized` and an item, the model gets the item, rating and title, and nothing of the user.
    """
    chat = await prepare(request, caller, asked)
    if not asked.stream:
        found = await answer(chat)
        cost = found["idiolect"]["cost"]
        return JSONResponse(found, headers={**whole_headers(chat, found), "x-idiolect-cost": json.dumps(cost)})
    include = asked.stream_options is not None and asked.stream_options.include_usage
    first, rest = await begun(chunks(chat))

    async def events() -> AsyncIterator[str]:
        async for chunk in with_first(first, rest):
            if chunk["choices"] or include:
                yield event_line({"usage": None, **chunk} if include else chunk)
        yield "data: [DONE]\n\n"

    return StreamingResponse(with_error_event(events()), media_type="text/event-stream", headers=chat.headers)


def whole_headers(chat: Chat, found: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a whole answer, which knows more than its request."""
    about = found["idiolect"]
    how = replace(chat.how, evidence=tuple(about["evidence"]), peer_scopes=about["peer_scope"])
    return replace(chat, how=how).headers


def event_line(data: Mapping[str, Any], name: str = "") -> str:
    """A server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def begun(source: AsyncIterator[dict[str, Any]]) -> tuple[dict[str, Any], AsyncIterator[dict[str, Any]]]:
    """The first chunk and the others: an error before the first is a plain response with a status."""
    return await anext(source), source


async def with_first(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The chunks again as one stream, which closes its source."""
    async with aclosing(rest) as others:  # type: ignore[type-var]
        yield first
        async for one in others:
            yield one


async def with_error_event(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The events, and an error that breaks them off as an event."""
    try:
        async with aclosing(events) as source:  # type: ignore[type-var]
            async for one in source:
                yield one
    except Exception as error:
        yield event_line(api_error(error).body)
