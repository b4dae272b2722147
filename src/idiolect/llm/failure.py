"""Why a prompt has no answer: a value, so that one bad reply never costs a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from idiolect.errors import IdiolectError

FailureKind = Literal[
    "rate_limited",
    "server_error",
    "connection",
    "timeout",
    "malformed",
    "empty",
    "context_too_long",
    "unfinished_thinking",
    "wrong_field",
    "oversized",
    "refused",
    "denied",
]
"""``refused``: this request is unacceptable. ``denied``: so is every other (wrong key, unknown model, no credit).
``wrong_field``: the answer is not where answers are. ``oversized``: the reply is longer than it can be."""

_REMEDIES = {
    "rate_limited": "ask less at once (endpoint.limits), or wait longer (endpoint.retry.deadline_s)",
    "connection": "check endpoint.base_url, and that something answers there",
    "timeout": "try again, or raise endpoint.retry.timeout_s",
    "malformed": "check endpoint.base_url: what answers there is no chat endpoint",
    "context_too_long": "set endpoint.request.max_prompt_chars, or a smaller context.k",
    "unfinished_thinking": "raise sampling.max_new_tokens",
    "wrong_field": "turn the server's reasoning parser off, or the model's thinking on",
    "oversized": "check that the server keeps to the token limit, or raise endpoint.limits.max_reply_bytes",
    "refused": "see what the endpoint says of the request",
    "denied": "check endpoint.base_url, endpoint.model and the key",
}
_REMEDY = " | remedy: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong at the last attempt."""

    kind: FailureKind
    message: str = ""
    """The endpoint's own words, or ours, in one line."""
    hint: str = ""
    """The remedy, where one is known that is better than the usual one of the kind."""

    def __str__(self) -> str:
        reason = f"{self.kind}: {self.message}" if self.message else self.kind
        return f"{reason}{_REMEDY}{self.hint}" if self.hint else reason


def reason_and_remedy(told: str) -> tuple[str, str]:
    """A failure that was written down as text, and what to do about it.

    Args:
        told: ``str`` of a ``Failure``.

    Example:
        >>> reason_and_remedy("timeout: no reply in time")
        ('timeout: no reply in time', 'try again, or raise endpoint.retry.timeout_s')
    """
    reason, found, hint = told.rpartition(_REMEDY)
    if not found:
        reason, hint = told, _REMEDIES.get(told.partition(":")[0], "try again later")
    return reason, hint


def one_line(text: str, limit: int = 300) -> str:
    """``text`` without line breaks, cut at ``limit`` characters."""
    line = " ".join(text[: 20 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class EndpointError(IdiolectError):
    """An endpoint refuses everything it is asked: wrong key, unknown model, no credit."""

    exit_code = 7
