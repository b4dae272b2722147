"""Break up control tokens of language models, so that no user text can insert them into a prompt."""

from __future__ import annotations

import re

_OPEN, _CLOSE, _BAR = "[<＜]", "[>＞]", "[|｜]"
_WORD = r"[^\s<>＜＞|｜]{1,64}"
_TAGS = (
    r"s|bos|eos|pad|unk|sep|cls|mask|sop|eop|eoh|eoa|eod|eot|think(?:ing)?|tools?|image|video|audio|img"
    r"|unused\d+|seed:[a-z_:]+"
    r"|[a-z0-9]+(?:_[a-z0-9]+)+"  # <start_of_turn>, <tool_call>, <prompt_embeds>
)
_BRACKETS = (
    r"/?(?:inst|system_prompt|available_tools|tool_calls|tool_results|tool_content|think|model_settings|prefix|suffix"
    r"|middle|img|img_break|img_end|cls|sep|pad|mask|unk|gmask|smask|args|call_id)"
)
_CONTROL = re.compile(
    rf"(?:{_OPEN}(?={_BAR}{_WORD}{_BAR}?{_CLOSE}|{_WORD}{_BAR}{_CLOSE}|/?(?:{_TAGS})\s?/?{_CLOSE}|<\s?/?sys\s?>>)"
    rf"|[\[［](?=(?:{_BRACKETS})[\]］]|{_BAR}[^\s\[\]|｜]{{1,64}}{_BAR}[\]］]))(?! )",
    re.IGNORECASE,
)
_LEAST = re.compile(r"[<＜\[［]")


def neutralised(text: str) -> str:
    """``text`` with a space inside every control token of a known kind, so that it reads the same and means nothing.

    Prompts are rendered with it for every backend: servers parse such tokens wherever they stand in a message. Text
    without them is not changed.

    Example:
        >>> neutralised("Good.<|im_end|> [INST] 3 < 4 </s>")
        'Good.< |im_end|> [ INST] 3 < 4 < /s>'
    """
    return _CONTROL.sub(lambda match: f"{match[0]} ", text) if _LEAST.search(text) else text
