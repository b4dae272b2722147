"""OpenAI's stateless Responses route: a response is a chat completion in another shape, with events of its own."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from idiolect.server.chat import (
    PASSED_ON,
    Chat,
    ChatRequest,
    VoiceFields,
    answer,
    chunks,
    prepare,
    token_count,
    whole_headers,
)
from idiolect.server.http import ERRORS, ApiError, MayRead, api_error, while_connected
from idiolect.server.openai_api import begun, event_line, with_first

router = APIRouter(prefix="/v1", responses=ERRORS)


class ResponsesRequest(BaseModel):
    """A response; nothing is stored, so that nothing earlier can be continued."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1, max_length=256)
    input: str | list[dict[str, JsonValue]]
    instructions: str | None = None
    stream: bool | None = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_output_tokens: int | None = Field(None, ge=1, le=1_000_000)
    tools: list[dict[str, JsonValue]] = Field(default_factory=list)
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None
    text: dict[str, JsonValue] | None = None
    reasoning: dict[str, JsonValue] | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: JsonValue = None
    background: bool | None = None
    user: str | None = Field(None, max_length=512)
    idiolect: VoiceFields | None = None


@router.post("/responses", tags=["OpenAI"], summary="Answer in a user's voice (stateless)", response_model=None)
async def responses(asked: ResponsesRequest, request: Request, caller: MayRead) -> Response:
    """A response, whole or as a stream of events; nothing is stored."""
    for name in ("previous_response_id", "conversation", "background", "store"):
        if getattr(asked, name) and name != "store":
            raise ApiError(400, f"{name} is not supported: nothing is stored", param=name, code="unsupported_parameter")
    chat = await prepare(request, caller, _as_chat(asked))
    if not asked.stream:
        found = await while_connected(request, answer(chat))
        done = _Response(chat, asked)
        for choice in found["choices"][:1]:
            done.take_message(choice["message"], choice.get("finish_reason"))
        body = done.record("completed", found["usage"], found["idiolect"])
        return JSONResponse(body, headers=whole_headers(chat, found))
    first, rest = await begun(request, chunks(chat))
    events = _Response(chat, asked).events(with_first(first, rest))
    return StreamingResponse(events, media_type="text/event-stream", headers=chat.headers)


def _as_chat(asked: ResponsesRequest) -> ChatRequest:
    """The same request as a chat completion.

    Raises:
        ApiError: An input item or tool is of a kind that a chat has not.
    """
    messages: list[dict[str, Any]] = []
    if asked.instructions:
        messages.append({"role": "system", "content": asked.instructions})
    given = [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    for place, item in enumerate(given):
        messages.append(_message(item, f"input.{place}"))
    if not messages:
        raise ApiError(400, "input is empty", param="input")
    fields: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_completion_tokens": asked.max_output_tokens,
        "tools": [_tool(tool) for tool in asked.tools] or None,
        "tool_choice": _tool_choice(asked.tool_choice) if asked.tools else None,
        "parallel_tool_calls": asked.parallel_tool_calls if asked.tools else None,
        "response_format": _format((asked.text or {}).get("format")),
        "reasoning_effort": (asked.reasoning or {}).get("effort"),
    }
    passed = {name: value for name, value in (asked.model_extra or {}).items() if name in PASSED_ON}
    given_fields = {name: value for name, value in {**passed, **fields}.items() if value is not None}
    return ChatRequest(
        model=asked.model, messages=_joined_calls(messages), user=asked.user, idiolect=asked.idiolect, **given_fields
    )


def _message(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = item.get("type", "message")
    if kind == "function_call":
        call = {"name": str(item.get("name")), "arguments": str(item.get("arguments", ""))}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": str(item.get("call_id")), "type": "function", "function": call}],
        }
    if kind == "function_call_output":
        output = item.get("output")
        text = output if isinstance(output, str) else json.dumps(output)
        return {"role": "tool", "tool_call_id": str(item.get("call_id")), "content": text}
    if kind != "message":
        raise ApiError(400, f"{where} is of a kind that is not taken", param=where, code="unsupported_parameter")
    content = item.get("content")
    if isinstance(content, list):
        content = [_part(part, where) for part in content]
        if all(part["type"] == "text" for part in content):
            content = "\n".join(part["text"] for part in content)
    return {"role": item.get("role"), "content": content}


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text") and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail") or "auto"}}
    raise ApiError(400, f"{where}.content has a part of a kind that is not taken", param=f"{where}.content")


def _joined_calls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Function calls that follow each other, or a text, as one turn."""
    joined: list[dict[str, Any]] = []
    for message in messages:
        before = joined[-1] if joined else None
        if before is not None and message.get("tool_calls") and before["role"] == "assistant":
            calls = [*before.get("tool_calls", ()), *message["tool_calls"]]
            joined[-1] = {**before, "tool_calls": calls}
        else:
            joined.append(message)
    return joined


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise ApiError(400, "only function tools are supported", param="tools", code="unsupported_parameter")
    named = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in named if tool.get(name) is not None}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _format(given: Any) -> dict[str, Any] | None:
    if not isinstance(given, dict) or given.get("type") == "text":
        return None
    if given.get("type") == "json_schema":
        named = ("name", "description", "schema", "strict")
        return {"type": "json_schema", "json_schema": {n: given[n] for n in named if given.get(n) is not None}}
    return {"type": given.get("type")}


class _Response:
    """One response, filled while a chat is answered."""

    def __init__(self, chat: Chat, asked: ResponsesRequest) -> None:
        self.chat, self.asked, self.created = chat, asked, int(time.time())
        self.tag = chat.caller.trace.removeprefix("req_")
        self.output: list[dict[str, Any]] = []
        self.text: str | None = None
        """Of a stream so far; None: it has not begun."""
        self.incomplete, self._number = "", -1

    def take_message(self, message: Mapping[str, Any], finish: str | None) -> None:
        """Take a whole message of a chat completion."""
        if message.get("content") or not message.get("tool_calls"):
            self.output.append(self._text_item(message.get("content") or message.get("refusal") or ""))
        for call in message.get("tool_calls") or ():
            self.output.append(self._call_item(call.get("id", ""), call["function"]))
        self._ended(finish)

    def _ended(self, finish: str | None) -> None:
        self.incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish or "", "")

    def _text_item(self, text: str, status: Literal["completed", "in_progress"] = "completed") -> dict[str, Any]:
        content = [_output_text(text)] if status == "completed" else []
        id = f"msg_{self.tag}{len(self.output)}"
        return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _call_item(self, call_id: str, call: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"fc_{self.tag}{len(self.output)}",
            "type": "function_call",
            "status": "completed",
            "call_id": call_id,
            "name": call.get("name") or "",
            "arguments": call.get("arguments") or "",
        }

    def record(
        self, status: str, usage: Mapping[str, Any] | None = None, about: Any = None, error: Any = None
    ) -> dict[str, Any]:
        """The response as plain data."""
        asked, incomplete = self.asked, self.incomplete if status == "completed" else ""
        return {
            "id": f"resp_{self.tag}",
            "object": "response",
            "created_at": self.created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": "incomplete" if incomplete else status,
            "background": False,
            "error": error,
            "frequency_penalty": self._given("frequency_penalty", 0.0),
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "max_tool_calls": None,
            "metadata": asked.metadata or {},
            "model": asked.model,
            "output": list(self.output),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "presence_penalty": self._given("presence_penalty", 0.0),
            "previous_response_id": None,
            "prompt_cache_key": self._given("prompt_cache_key", None),
            "reasoning": {"effort": None, "summary": None, **(asked.reasoning or {})},
            "safety_identifier": self._given("safety_identifier", None),
            "service_tier": self._given("service_tier", "default"),
            "store": False,
            "temperature": asked.temperature if asked.temperature is not None else 1.0,
            "text": {"format": {"type": "text"}, **(asked.text or {})},
            "tool_choice": asked.tool_choice or "auto",
            "tools": [_whole_tool(tool) for tool in asked.tools],
            "top_logprobs": self._given("top_logprobs", 0),
            "top_p": asked.top_p if asked.top_p is not None else 1.0,
            "truncation": "disabled",
            "usage": None if usage is None else _responses_usage(usage),
            "user": None,
            **({} if about is None else {"idiolect": about}),
        }

    def _given(self, name: str, default: Any) -> Any:
        """A field that is passed on as it was given; what no client can have meant is not repeated."""
        value, kind = (self.asked.model_extra or {}).get(name), str if default is None else type(default)
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
            return default
        return value

    async def events(self, source: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
        """The events of a stream."""
        yield self._event("response.created", response=self.record("in_progress"))
        yield self._event("response.in_progress", response=self.record("in_progress"))
        usage, about, calls = None, None, dict[int, dict[str, Any]]()
        try:
            async with aclosing(source) as parts:  # type: ignore[type-var]
                async for chunk in parts:
                    usage, about = chunk.get("usage") or usage, chunk.get("idiolect") or about
                    for choice in [one for one in chunk["choices"] if one.get("index", 0) == 0]:
                        for event in self._take(choice, calls):
                            yield event
        except Exception as error:
            said = api_error(error).body["error"]
            failed = {"code": said["code"] or "server_error", "message": said["message"]}
            yield self._event("response.failed", response=self.record("failed", error=failed))
            return
        if self.text is not None:
            for event in self._end_text(self.text):
                yield event
        for event in [one for call in calls.values() for one in self._whole_call(call)]:
            yield event
        kind = "response.incomplete" if self.incomplete else "response.completed"
        yield self._event(kind, response=self.record("completed", usage, about))

    def _take(self, choice: Mapping[str, Any], calls: dict[int, dict[str, Any]]) -> Iterator[str]:
        """The events of one chunk."""
        delta, finish = choice.get("delta") or {}, choice.get("finish_reason")
        for call in delta.get("tool_calls") or ():
            self._add(calls, call)
        said = delta.get("content") or delta.get("refusal") or ""
        if self.text is None and (said or (finish and not calls)):
            self.text = ""
            yield from self._begin_text()
        if said and self.text is not None:
            self.text += said
            yield self._text_event("response.output_text.delta", delta=said)
        if finish:
            self._ended(finish)

    @staticmethod
    def _add(calls: dict[int, dict[str, Any]], call: Mapping[str, Any]) -> None:
        """Add a piece of a function call to what is known of it."""
        held = calls.setdefault(call.get("index", 0), {"id": "", "name": "", "arguments": ""})
        function = call.get("function") or {}
        held["id"] = call.get("id") or held["id"]
        held["name"] += function.get("name") or ""
        held["arguments"] += function.get("arguments") or ""

    def _begin_text(self) -> Iterator[str]:
        item = self._text_item("", "in_progress")
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._text_event("response.content_part.added", part=_output_text(""))

    def _end_text(self, text: str) -> Iterator[str]:
        item = self._text_item(text)
        yield self._text_event("response.output_text.done", text=text)
        yield self._text_event("response.content_part.done", part=_output_text(text))
        self.output.append(item)
        yield self._event("response.output_item.done", output_index=0, item=item)

    def _whole_call(self, call: Mapping[str, Any]) -> Iterator[str]:
        place = len(self.output)
        item = self._call_item(call["id"], call)
        begun = {**item, "arguments": "", "status": "in_progress"}
        about = {"item_id": item["id"], "output_index": place}
        yield self._event("response.output_item.added", output_index=place, item=begun)
        yield self._event("response.function_call_arguments.delta", delta=item["arguments"], **about)
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield self._event("response.function_call_arguments.done", **done, **about)
        self.output.append(item)
        yield self._event("response.output_item.done", output_index=place, item=item)

    def _text_event(self, kind: str, **fields: Any) -> str:
        logprobs = {"logprobs": []} if "output_text" in kind else {}
        where = {"item_id": f"msg_{self.tag}0", "output_index": 0, "content_index": 0}
        return self._event(kind, **where, **fields, **logprobs)

    def _event(self, kind: str, **fields: Any) -> str:
        self._number += 1
        return event_line({"type": kind, "sequence_number": self._number, **fields}, kind)


def _whole_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function tool with all its fields, as a response repeats it."""
    return {"description": None, "parameters": None, "strict": None, **tool}


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _responses_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    asked, said = token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens"))
    details, more = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": token_count(details.get("cached_tokens"))},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": token_count(more.get("reasoning_tokens"))},
        "total_tokens": asked + said,
    }
