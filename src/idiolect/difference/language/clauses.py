"""Whom a sentence is about: the parts of a description that speak of the user, without those that speak of the others.

"Unlike others, who write long sentences, the user keeps them short" says one thing of the user and another of the
others; read as a bag of words it says both of the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

_Voice = Literal["target", "others", "comparand"]

_OTHERS = (
    r"other(?:s'?|\s+(?:users?|reviewers?|reviews?|people|writers?|peers?|ones))\b(?:'s?)?"
    r"|(?:the\s+)?peers?\b'?|the\s+rest\b|most\s+(?:users|reviewers|people)\b"
)
_MARK = re.compile(
    r"(?P<comparand>\b(?:than|unlike|compared\s+(?:to|with)|in\s+(?:contrast|comparison|relation)\s+(?:to|with)"
    r"|as\s+opposed\s+to|rather\s+than|instead\s+of|relative\s+to|differs?\s+from)\b)"
    rf"|(?P<others>\b(?:{_OTHERS}))"
    r"|(?P<target>\b(?:the|this)\s+(?:(?:target|current)\s+)?(?:user|reviewer|writer|target)\b(?:'s)?)"
    r"|(?P<stop>[.;!?](?=\s|$)|\n)"
    r"|(?P<pause>,|\)|\band\b(?!\s+other))",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\s*(?:who|which|whose|that)\b", re.IGNORECASE)
_BEFORE_OBJECT = re.compile(r"\b(?:from|of|to|by|among|with|over|like)\s+$", re.IGNORECASE)
_LONG_QUOTATION = re.compile(r"[\"“”]((?:[^\"“”\s]+\s+){2,}[^\"“”]*)[\"“”]")


def about_target(text: str) -> list[str]:
    """The parts of ``text`` that speak of the user, in order; quotations of three words and more are left out."""
    return [part for part, voice in voices(_LONG_QUOTATION.sub(" ", text)) if voice == "target" and part.strip()]


def quotations(text: str) -> list[tuple[str, bool]]:
    """Quotations of three words and more in ``text``, each with whether it illustrates the user (else the others)."""
    spans = [(match.start(), match[1].strip()) for match in _LONG_QUOTATION.finditer(text)]
    if not spans:
        return []
    masked = _LONG_QUOTATION.sub(lambda match: "x" * len(match[0]), text)
    found, end = [], 0
    for part, voice in voices(masked):
        start, end = end, end + len(part)
        found += [(quote, voice == "target") for place, quote in spans if start <= place < end]
    return found


def redact(text: str) -> str:
    """``text`` without the words it quotes of the others: those must not travel on inside a description."""
    for quote, own in quotations(text):
        text = text if own else text.replace(quote, "…")
    return text


def voices(text: str) -> Iterator[tuple[str, _Voice]]:
    """Consecutive parts of ``text``, each with whom it speaks of."""
    voice: _Voice = "target"
    start = 0
    for mark in _MARK.finditer(text):
        heard = _next(voice, mark, text)
        if heard != voice:
            yield text[start : mark.start()], voice
            voice, start = heard, mark.start()
    yield text[start:], voice


def _next(voice: _Voice, mark: re.Match[str], text: str) -> _Voice:
    if mark["stop"] or mark["target"]:
        return "target"
    if mark["comparand"]:
        return voice if voice == "others" else "comparand"
    if mark["others"]:
        is_object = voice == "comparand" or _BEFORE_OBJECT.search(text, 0, mark.start())
        return "comparand" if is_object else "others"
    ends = voice == "comparand" and not _RELATIVE.match(text, mark.end())
    return "target" if ends else voice
