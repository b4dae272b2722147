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
    "refused",
    "denied",
]
"""``refused``: this request is unacceptable. ``denied``: so is every other (wrong key, unknown model, no credit)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong at the last attempt."""

    kind: FailureKind
    message: str = ""
    """The endpoint's own words, or ours, in one line."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


def one_line(text: str, limit: int = 300) -> str:
    """``text`` without line breaks, cut at ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class EndpointError(IdiolectError):
    """An endpoint refuses everything it is asked: wrong key, unknown model, no credit."""

    exit_code = 7
