"""Requests and replies of an OpenAI-compatible chat endpoint: a prompt to a body, a body to a reply or a failure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import Field, JsonValue

from idiolect.config import Config
from idiolect.data.control_tokens import neutralised
from idiolect.llm.base import Failure, SamplingParams, Schema, one_line
from idiolect.llm.failures import classify_error
from idiolect.llm.thinking import Tag, part
from idiolect.types import Block, Prompt

CHARS_PER_TOKEN = 4
"""For English text and common tokenizers; used only if the endpoint gives no count."""

_MOST_CHARS_PER_TOKEN = 12
_FEWEST_CHARS = 300
"""For shorter prompts the count is not reliable."""


class RequestConfig(Config):
    """How requests are made."""

    max_prompt_chars: int | None = Field(default=None, gt=0)
    """Budget of a prompt; history that does not fit is dropped, last entry first. None: the endpoint decides."""
    merge_system: bool = False
    """Put the system turn at the beginning of the first user turn, as some reasoning models need."""
    omit: tuple[str, ...] = ()
    """Fields not to send (``temperature``, ``top_p``, ``seed``), for endpoints that refuse them."""
    limit_field: str = "max_tokens"
    """The field that limits the reply; OpenAI's own reasoning models take ``max_completion_tokens``."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Further fields of every request, for instance ``chat_template_kwargs``."""


def kept_entries(prompt: Prompt, max_chars: int | None) -> tuple[int, ...]:
    """The history entries that fit a budget of characters, the last ones dropped first."""
    blocks = [block for message in prompt.messages for block in message.blocks]
    entries = sorted({block.entry for block in blocks if block.entry is not None})
    if max_chars is None:
        return tuple(entries)
    sizes = Counter[int | None]()
    for block in blocks:
        sizes[block.entry] += len(_text(block))
    total = sizes.total()
    while entries and total > max_chars:
        total -= sizes[entries.pop()]
    return tuple(entries)


def request_body(
    prompt: Prompt,
    params: SamplingParams,
    config: RequestConfig,
    *,
    model: str,
    kept: tuple[int, ...],
    schema: Schema | None = None,
) -> dict[str, Any]:
    """The body of one request, with the entries of ``kept`` only."""
    fields: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed,
        config.limit_field: params.max_new_tokens,
    }
    if schema is not None:
        answer = {"name": "answer", "schema": dict(schema), "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": answer}
    fields = {name: value for name, value in fields.items() if name not in config.omit}
    return {"model": model, "messages": _messages(prompt, kept, merge=config.merge_system), **fields, **config.extra}


def estimate_tokens(body: Mapping[str, Any]) -> int:
    """Estimated number of tokens of a request's messages."""
    return math.ceil(sum(len(message["content"]) for message in body["messages"]) / CHARS_PER_TOKEN)


def seems_cut(body: Mapping[str, Any], prompt_tokens: int) -> bool:
    """Whether the endpoint's count is so low that it must have cut the request's messages.

    Common tokenizers take at most six characters of running text per token, white space aside; the threshold is twelve.
    A prompt that lost less than half may go unnoticed.
    """
    read = sum(len(" ".join(message["content"].split())) for message in body["messages"])
    return read > _FEWEST_CHARS and read > _MOST_CHARS_PER_TOKEN * prompt_tokens


def valid_unicode(text: str) -> str:
    """``text`` with ``?`` for lone surrogates, which cannot be encoded as UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _messages(prompt: Prompt, kept: tuple[int, ...], *, merge: bool) -> list[dict[str, str]]:
    shown = frozenset(kept)
    turns = [
        (message.role, "".join(_text(b) for b in message.blocks if b.entry is None or b.entry in shown))
        for message in prompt.messages
    ]
    if merge and len(turns) > 1 and (turns[0][0], turns[1][0]) == ("system", "user"):
        turns[:2] = [("user", f"{turns[0][1]}\n\n{turns[1][1]}")]
    return [{"role": role, "content": valid_unicode(neutralised(text))} for role, text in turns]


def _text(block: Block) -> str:
    return "".join(segment for segment in block.segments if isinstance(segment, str))


_WHOLE = frozenset(
    {"stop", "stop_sequence", "end_turn", "end_of_turn", "eos", "eos_token", "complete", "tool_calls", "tool_call"}
    | {"tool_use", "function_call", "finish"}
)
"""Finish reasons, in lower case, of a complete reply."""
_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "max_length", "model_length"})
_FILTERED = frozenset({"content_filter", "content_filtered", "safety", "recitation", "refusal", "sensitive"})
_MOST_TOKENS = 10_000_000
"""A larger count of tokens is not plausible and is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply; ``text`` is empty if it is a failure."""

    text: str = ""
    thinking: str = ""
    truncated: bool | None = False
    """Whether the text was cut off at the token limit; None: there is no finish reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    counted_prompt: bool = False
    """``prompt_tokens`` is the endpoint's own count, not an estimate."""
    counted: bool = False
    """So is ``completion_tokens``."""
    failure: Failure | None = None
    retry_after: float | None = None
    """Seconds that the endpoint asks to wait."""


def failed(failure: Failure, retry_after: float | None = None) -> Reply:
    """A failed request as a reply."""
    return Reply(failure=failure, retry_after=retry_after)


def read_reply(body: bytes, *, prompt_tokens: int, reasoning_model: bool = False, tags: Sequence[Tag] = ()) -> Reply:
    """The first choice of a chat completion. A failure still has the endpoint's counts.

    A reply is an answer only if it has a known finish reason and no error; other text is incomplete.

    Args:
        body: JSON, or the events of a stream that was not requested.
        prompt_tokens: An estimate, used if the endpoint gives no count.
        reasoning_model: See ``thinking.part``.
        tags: See ``thinking.part``.
    """
    data: Any = None
    try:
        data = _of_events(body) if _is_stream(body) else json.loads(body)
        if data.get("error"):  # some gateways report errors of their upstream with status 200
            return _billed(data, *classify_error(data))
        choice = data["choices"][0]
        if choice.get("error"):
            return _billed(data, *classify_error(choice))
        return _read(choice, _usage(data), prompt_tokens, reasoning_model, tags)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        shown = one_line(body[:300].decode("utf-8", "replace"))
        return _billed(data, Failure(kind="malformed", message=f"not a chat completion: {shown}"))


def _is_stream(body: bytes) -> bool:
    return body.lstrip()[:6].startswith((b"data:", b"event:", b":", b"id:", b"retry:"))


def _of_events(body: bytes) -> dict[str, Any]:
    """The reply that the events of a stream make up.

    Raises:
        ValueError: An event is not JSON.
    """
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": []}
    whole: dict[str, Any] = {"usage": None}
    finish, ended = None, False
    for event in _events(body):
        if event is None:
            ended = True
            continue
        whole["usage"] = event.get("usage") or whole["usage"]
        for broken in (event, *_choices(event)):
            if broken.get("error"):
                return {**whole, "error": broken["error"]}
        for choice in _choices(event)[:1]:
            finish = choice.get("finish_reason") or finish
            said = choice.get("delta") or choice.get("message") or {}
            texts["content"].append(said.get("content") or "")
            texts["reasoning_content"].append(said.get("reasoning_content") or said.get("reasoning") or "")
    if not ended and finish is None:
        return {**whole, "error": {"message": "the stream broke off before its end", "type": "server_error"}}
    message = {name: "".join(pieces) for name, pieces in texts.items()}
    return {**whole, "choices": [{"message": message, "finish_reason": finish}]}


def _events(body: bytes) -> Iterator[dict[str, Any] | None]:
    """The parsed events that have data; None marks the end of the stream."""
    kind = ""
    for line in body.decode("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "event":
            kind = value.strip()
        elif name == "data" and value.strip() == "[DONE]":
            yield None
        elif name == "data":
            event = json.loads(value)
            yield {"error": event.get("error") or event} if kind == "error" else event
        elif not line:
            kind = ""
    # An incomplete line is not JSON, so it raised above.


def _choices(event: dict[str, Any]) -> list[dict[str, Any]]:
    return event.get("choices") or []


def _billed(data: Any, failure: Failure, retry_after: float | None = None) -> Reply:
    """A reply that is a failure, with the endpoint's counts."""
    usage = _usage(data)
    return Reply(
        failure=failure,
        retry_after=retry_after,
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        completion_tokens=_count(usage.get("completion_tokens")) or 0,
    )


def _usage(data: Any) -> dict[str, Any]:
    usage = data.get("usage") if isinstance(data, dict) else None
    return usage if isinstance(usage, dict) else {}


def _count(value: Any) -> int | None:
    """A count of tokens; None if it is absent, negative, not a number or implausible."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def _read(
    choice: dict[str, Any], usage: dict[str, Any], prompt_tokens: int, reasoning_model: bool, tags: Sequence[Tag]
) -> Reply:
    message, finish = choice["message"], choice.get("finish_reason") or ""
    ended = finish.lower()
    content = _content(message.get("content"))
    apart = str(message.get("reasoning_content") or message.get("reasoning") or "").strip()
    inner = part(content, always=reasoning_model and not apart, tags=tags)
    thinking = "\n\n".join(filter(None, (apart, inner.thinking)))
    # Some servers that do not count report 0.
    asked, said = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    completion = said or math.ceil((len(content) + len(apart)) / CHARS_PER_TOKEN)
    parsed = _Parsed(message, ended, inner.answer, thinking, apart, inner.finished)
    failure = _failure(parsed)
    return Reply(
        text="" if failure else inner.answer,
        thinking=thinking,
        truncated=ended in _CUT_OFF if ended else None,
        prompt_tokens=asked or prompt_tokens,
        completion_tokens=completion,
        thinking_tokens=_thinking_tokens(usage, completion, thinking, inner.answer),
        counted_prompt=bool(asked),
        counted=bool(said),
        failure=failure,
    )


def _content(content: Any) -> str:
    """A message's text, which some endpoints send in parts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("content is neither text nor parts")
    return valid_unicode(content or "")


class _Parsed(NamedTuple):
    """A reply's message and finish reason."""

    message: dict[str, Any]
    ended: str
    answer: str
    thinking: str
    apart: str
    """Thinking in a separate field."""
    finished: bool
    """Thinking within the text has a closing tag."""


def _failure(parsed: _Parsed) -> Failure | None:
    """The failure of a reply; None: it is an answer."""
    if parsed.message.get("refusal"):
        return Failure(kind="refused", message=one_line(str(parsed.message["refusal"])))
    if parsed.ended in _FILTERED:
        return Failure(kind="refused", message="the endpoint's content filter stopped the reply")
    if parsed.ended and parsed.ended not in _WHOLE | _CUT_OFF:
        return Failure(
            kind="server_error", message=one_line(f"the reply broke off: finish_reason {parsed.ended!r}", 120)
        )
    if not parsed.finished or (parsed.ended in _CUT_OFF and parsed.thinking and not parsed.answer):
        return Failure(kind="unfinished_thinking", message="the reply ended within its thinking; allow more tokens")
    if parsed.apart and not parsed.answer and not parsed.message.get("tool_calls"):
        return Failure(kind="wrong_field", message="the reply is in reasoning_content, and content has no text")
    if not parsed.answer:
        return Failure(kind="empty", message="the reply has no text")
    return None


def _thinking_tokens(usage: dict[str, Any], completion: int, thinking: str, answer: str) -> int:
    """The endpoint's count, else the thinking's share of the characters."""
    details = usage.get("completion_tokens_details")
    counted = _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    if counted is not None and counted <= completion:
        return counted
    return round(completion * len(thinking) / max(1, len(thinking) + len(answer)))
