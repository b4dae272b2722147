"""The body of an endpoint's reply, read into text, thoughts and counts, or into what is wrong with it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from idiolect.llm.failure import Failure, one_line
from idiolect.llm.request import CHARS_PER_TOKEN, valid_unicode
from idiolect.llm.thinking import part


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply; ``text`` is empty where there is a failure."""

    text: str = ""
    thinking: str = ""
    truncated: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    failure: Failure | None = None


def failed(failure: Failure) -> Reply:
    """A reply that never came."""
    return Reply(failure=failure)


def read_reply(body: bytes, *, prompt_tokens: int, always_thinks: bool = False) -> Reply:
    """The first choice of a chat completion. One that cannot be read still has the counts that the endpoint gave.

    Args:
        body: As it came.
        prompt_tokens: An estimate, used where the endpoint does not count.
        always_thinks: See ``thinking.part``.
    """
    data: Any = None
    try:
        data = json.loads(body)
        if data.get("error"):  # some gateways report faults of what stands behind them with status 200
            return _billed(Failure(kind="server_error", message=one_line(json.dumps(data["error"]))), data)
        usage = {"prompt_tokens": prompt_tokens, **(data.get("usage") or {})}
        return _read(data["choices"][0], usage, always_thinks)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        shown = one_line(body[:300].decode("utf-8", "replace"))
        return _billed(Failure(kind="malformed", message=f"not a chat completion: {shown}"), data)


def _billed(failure: Failure, data: Any) -> Reply:
    """A reply that is no answer, with the tokens that the endpoint counted all the same."""
    usage = data.get("usage") if isinstance(data, dict) else None
    counts = usage if isinstance(usage, dict) else {}
    return Reply(
        failure=failure,
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _read(choice: dict[str, Any], usage: dict[str, Any], always_thinks: bool) -> Reply:
    message, finish = choice["message"], choice.get("finish_reason")
    content = _content(message.get("content"))
    apart = str(message.get("reasoning_content") or message.get("reasoning") or "").strip()
    inner = part(content, always=always_thinks and not apart)
    thinking = "\n\n".join(filter(None, (apart, inner.thinking)))
    completion = int(usage.get("completion_tokens") or math.ceil((len(content) + len(apart)) / CHARS_PER_TOKEN))
    failure = _failure(message, finish, answer=inner.answer, thinking=thinking, finished=inner.finished)
    return Reply(
        text="" if failure else inner.answer,
        thinking=thinking,
        truncated=finish == "length",
        prompt_tokens=int(usage["prompt_tokens"] or 0),
        completion_tokens=completion,
        thinking_tokens=_thinking_tokens(usage, completion, thinking, inner.answer),
        failure=failure,
    )


def _content(content: Any) -> str:
    """A message's text, which some endpoints send in parts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("content is neither text nor parts")
    return valid_unicode(content or "")


def _failure(
    message: dict[str, Any], finish: str | None, *, answer: str, thinking: str, finished: bool
) -> Failure | None:
    if message.get("refusal"):
        return Failure(kind="refused", message=one_line(str(message["refusal"])))
    if finish == "content_filter":
        return Failure(kind="refused", message="the endpoint's content filter stopped the reply")
    if not finished or (finish == "length" and thinking and not answer):
        return Failure(kind="unfinished_thinking", message="the reply ended within its thinking; allow more tokens")
    if not answer:
        return Failure(kind="empty", message="the reply has no text")
    return None


def _thinking_tokens(usage: dict[str, Any], completion: int, thinking: str, answer: str) -> int:
    """The endpoint's count, else the thinking's share of the characters."""
    counted = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if counted is not None:
        return int(counted)
    return round(completion * len(thinking) / max(1, len(thinking) + len(answer)))
