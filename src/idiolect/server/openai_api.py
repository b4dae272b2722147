"""OpenAI's routes for models and chat completions, as the official clients expect them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from idiolect.server.chat import PREFIX, ChatRequest, answer, chunks, of_model, prepare, served, whole_headers
from idiolect.server.http import ERRORS, MayRead, api_error, while_connected

router = APIRouter(prefix="/v1", responses=ERRORS)
_CREATED = 1_790_000_000
"""Of the models; clients want a number."""


@router.get("/models", tags=["OpenAI"], summary="List the models")
async def list_models(request: Request, _: MayRead) -> dict[str, Any]:
    """The upstream's models, and one per method."""
    return {"object": "list", "data": [_model(name) for name in served(request.app.state.services)]}


@router.get("/models/{model:path}", tags=["OpenAI"], summary="One model")
async def get_model(model: str, request: Request, _: MayRead) -> dict[str, Any]:
    """A model by its name."""
    of_model(request.app.state.services, model)
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
        found = await while_connected(request, answer(chat))
        cost = found["idiolect"]["cost"]
        return JSONResponse(found, headers={**whole_headers(chat, found), "x-idiolect-cost": json.dumps(cost)})
    include = asked.stream_options is not None and asked.stream_options.include_usage
    first, rest = await begun(request, chunks(chat))

    async def events() -> AsyncIterator[str]:
        async for chunk in with_first(first, rest):
            if chunk["choices"] or include:
                yield event_line({"usage": None, **chunk} if include else chunk)
        yield "data: [DONE]\n\n"

    return StreamingResponse(with_error_event(events()), media_type="text/event-stream", headers=chat.headers)


def event_line(data: Mapping[str, Any], name: str = "") -> str:
    """A server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def begun(
    request: Request, source: AsyncGenerator[dict[str, Any]]
) -> tuple[dict[str, Any], AsyncGenerator[dict[str, Any]]]:
    """The first chunk and the others: an error before the first is a plain response with a status."""
    return await while_connected(request, source.__anext__()), source


async def with_first(first: dict[str, Any], rest: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The chunks again as one stream, which closes its source."""
    async with aclosing(rest) as others:
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
