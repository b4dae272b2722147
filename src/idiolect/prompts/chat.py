"""What a chat template puts around the turns of a chat, whatever stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from idiolect.errors import ConfigError
from idiolect.types import Block, Message, Role


class Frames(NamedTuple):
    """The text before, between and after the turns."""

    texts: list[str]
    """One more than there are turns; the last one opens the answer."""
    merged: bool
    """The template knows no system turn: it belongs in front of the user's."""


def frames(tokenizer: Any, roles: Sequence[Role], arguments: Mapping[str, Any] | None = None) -> Frames:
    """The frames of a chat of these roles, with the answer's turn opened.

    Args:
        tokenizer: A Hugging Face tokenizer; without a chat template the turns are paragraphs.
        roles: Who speaks, turn by turn.
        arguments: Of the template, beside the chat: for instance ``{"enable_thinking": False}``.

    Raises:
        ConfigError: The template refuses the roles, with and without a system turn.
    """
    variants = [(list(roles), False)]
    if tuple(roles[:2]) == ("system", "user"):
        variants.append((list(roles[1:]), True))
    refusals: list[Exception] = []
    for variant, merged in variants:
        try:
            return Frames(_texts(tokenizer, variant, arguments, open_answer=True), merged)
        except Exception as error:  # templates raise whatever their author chose, most often for a system turn
            refusals.append(error)
    raise ConfigError(
        f"the chat template refuses the roles {', '.join(roles)}: {refusals[-1]}",
        hint="use another tokenizer's chat template",
    ) from refusals[-1]


def closing(tokenizer: Any, arguments: Mapping[str, Any] | None = None) -> str:
    """What the template puts after an answer; empty where it says nothing of answers."""
    try:
        return _texts(tokenizer, ["user", "assistant"], arguments, open_answer=False)[-1]
    except Exception:  # as above
        return ""


def merge_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The system turn's blocks in front of the user's, for templates that know no system turn."""
    system, user, *rest = messages
    return (Message("user", (*system.blocks, Block(("\n\n",)), *user.blocks)), *rest)


def _texts(
    tokenizer: Any, roles: Sequence[Role], arguments: Mapping[str, Any] | None, *, open_answer: bool
) -> list[str]:
    if tokenizer.chat_template is None:
        return [tokenizer.bos_token or "", *["\n\n"] * len(roles)]
    # Private-use characters: nothing a template writes itself.
    marks = [f"\ue000{k}\ue001" for k in range(len(roles))]
    chat = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    given = dict(arguments or {})
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=open_answer, **given)
    texts = re.split("|".join(marks), text)
    if len(texts) != len(roles) + 1:
        raise ValueError("it repeats or omits a turn")
    return texts
