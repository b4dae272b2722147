"""A chat request in a user's voice, and its answer by an upstream or by the model in this process."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from idiolect.llm.base import one_line
from idiolect.llm.streaming import Listener
from idiolect.methods.base import METHODS
from idiolect.server.http import UNITS_HELP, ApiError, Caller, Rating, Services, UnitFactors
from idiolect.server.personalization import Answer, AnswerError, Personalization, Voice
from idiolect.server.streaming import Writes, spoken, whole
from idiolect.types import Role

PREFIX = "idiolect/"
"""Of the names of models that are methods."""
PASSED_ON = frozenset(
    {
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "stop", "seed", "presence_penalty",
        "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
        "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier", "safety_identifier", "prompt_cache_key",
    }
)  # fmt: skip
"""Fields that an upstream is sent; ``user`` is not among them."""
_CONTENT = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
"""Accepted parts of messages; embeddings are not, because a server that accepts them must trust its clients."""


class VoiceFields(BaseModel):
    """The object ``idiolect`` of a request."""

    model_config = ConfigDict(extra="forbid")
    user: str | None = Field(None, min_length=1, max_length=512, description="Whose voice.")
    item: str | None = Field(None, max_length=512, description="What is written about.")
    rating: Rating = None
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
    personalize = partial(services.voices.personalize, caller.tenant, voice, query)
    how = await anyio.to_thread.run_sync(personalize, limiter=services.prompting)
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
    if first["role"] in ("system", "developer"):
        own = first["content"]
        joined = f"{own}\n\n{system}" if isinstance(own, str) else [*own, {"type": "text", "text": system}]
        return [{**first, "content": joined}, *others]
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
        if not isinstance(kind := part.get("type"), str) or kind not in _CONTENT:
            raise ApiError(400, f"{where}.content has a part of a kind that is not taken", param=f"{where}.content")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise ApiError(400, f"{where}.content has a part without text", param=f"{where}.content")
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _voice(services: Services, request: Request, asked: ChatRequest) -> Voice:
    """Whose voice: the body's, else the model name's, else a trusted proxy's header's, else the legacy ``user``.

    Raises:
        ApiError: There is no such model.
    """
    method, by_model = of_model(services, asked.model)
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


def of_model(services: Services, model: str) -> tuple[str, str]:
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


async def chunks(chat: Chat) -> AsyncGenerator[dict[str, Any]]:
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
        async with _own_errors(), aclosing(spoken(write, stops, chat.services.gate.thread)) as parts:
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
            answers.append(await whole(write, _stops(chat), chat.services.gate.thread))
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


def whole_headers(chat: Chat, found: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a whole answer, which knows more than its request."""
    about = found["idiolect"]
    how = replace(chat.how, evidence=tuple(about["evidence"]), peer_scopes=about["peer_scope"])
    return replace(chat, how=how).headers
