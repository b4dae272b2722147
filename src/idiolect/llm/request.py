"""A prompt as an OpenAI-compatible chat endpoint takes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from idiolect.config import Config
from idiolect.corpus.control import neutralised
from idiolect.llm.base import SamplingParams, Schema
from idiolect.types import Block, Prompt

CHARS_PER_TOKEN = 4
"""Of English text under common tokenizers; used only where an endpoint's own count is not to be had."""

_MOST_CHARS_PER_TOKEN = 12
_FEWEST_CHARS = 300
"""Of shorter prompts the count says little."""


class RequestConfig(Config):
    """What is sent beside the messages, and how."""

    max_prompt_chars: int | None = Field(default=None, gt=0)
    """Budget of a prompt; history that does not fit is dropped, last entry first. None: the endpoint decides."""
    merge_system: bool = False
    """Put the system turn in front of the first user turn, as reasoning models ask for."""
    omit: tuple[str, ...] = ()
    """Fields not to send (``temperature``, ``top_p``, ``seed``), for endpoints that refuse them."""
    limit_field: str = "max_tokens"
    """What the endpoint calls the longest reply; OpenAI's own reasoning models take ``max_completion_tokens``."""
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
    """The body of one request, with the entries of ``kept`` alone."""
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
    """About how many tokens a request's messages are."""
    return math.ceil(sum(len(message["content"]) for message in body["messages"]) / CHARS_PER_TOKEN)


def seems_cut(body: Mapping[str, Any], prompt_tokens: int) -> bool:
    """Whether an endpoint that counts so many tokens can hardly have read all of a request's messages.

    No tokenizer in use takes twelve characters for a token of running text, white space aside: English takes four to
    six, other scripts fewer. A prompt that lost less than half may go unnoticed.
    """
    read = sum(len(" ".join(message["content"].split())) for message in body["messages"])
    return read > _FEWEST_CHARS and read > _MOST_CHARS_PER_TOKEN * prompt_tokens


def valid_unicode(text: str) -> str:
    """``text`` with ``?`` for halves of surrogate pairs, which broken files have and no request or file can carry."""
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
