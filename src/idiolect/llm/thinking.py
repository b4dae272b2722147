"""Parting a reasoning model's thoughts from its answer; thoughts are kept for the trace and never read as an answer."""

from __future__ import annotations

import re
from typing import NamedTuple

_TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


class Parted(NamedTuple):
    """A reply in its two parts, both stripped."""

    thinking: str
    answer: str
    finished: bool
    """The thinking was closed; an answer may follow."""


def part(text: str, *, always: bool = False) -> Parted:
    """Split ``<think>...</think>`` from what is said outside it.

    A closing tag without an opening one closes everything before it, for chat templates may have opened the thinking
    already.

    Args:
        text: The reply.
        always: The model thinks before every answer, so a reply without a closing tag is unfinished thinking.
    """
    thoughts: list[str] = []
    said: list[str] = []
    thinking = False
    pieces = _TAG.split(text)  # text, slash, text, slash, ..., text
    for piece, slash in zip(pieces[::2], pieces[1::2], strict=False):
        (thoughts if thinking else said).append(piece)
        if slash and not thinking:
            thoughts.extend(said)
            said.clear()
        thinking = not slash
    (thoughts if thinking else said).append(pieces[-1])
    if always and len(pieces) == 1:
        thoughts, said, thinking = said, [], True
    return Parted("".join(thoughts).strip(), "".join(said).strip(), not thinking)
