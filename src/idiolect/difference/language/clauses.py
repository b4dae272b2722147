"""Whom a sentence is about: the parts of a description that speak of the user, without those that speak of the others.

"Unlike others, who write long sentences, the user keeps them short" says one thing of the user and another of the
others; read as a bag of words it says both of the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

_Voice = Literal["target", "others", "comparand", "relative"]
"""``comparand``: whom the user is held against ("than others"); ``relative``: what is said of these in passing."""

_OTHERS = (
    r"other(?:s'?|\s+(?:users?|reviewers?|reviews?|people|writers?|peers?|ones))\b(?:'s?)?"
    r"|(?:the\s+)?peers?\b'?|the\s+rest\b|most\s+(?:users|reviewers|people)\b"
)
_TARGET = r"\b(?:the|this)\s+(?:(?:target|current)\s+)?(?:user|reviewer|writer|target)\b(?:'s)?"
_AGAINST = (
    r"\b(?:than|unlike|compared\s+(?:to|with)|in\s+(?:contrast|comparison|relation)\s+(?:to|with)"
    r"|as\s+opposed\s+to|rather\s+than|instead\s+of|relative\s+to|differs?\s+from)\b"
)
_MARK = re.compile(
    rf"(?P<comparand>{_AGAINST})"
    rf"|(?P<others>\b(?:{_OTHERS}))"
    rf"|(?P<target>{_TARGET})"
    r"|(?P<stop>[.;!?](?=\s|$)|\n)"
    r"|(?P<pause>,|\)|\band\b(?!\s+other))",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\s*(?:who|which|whose|that)\b", re.IGNORECASE)
_BEFORE_OBJECT = re.compile(r"\b(?:from|of|to|by|among|with|over|like)\s+$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n")
_APART = re.compile(rf"\W*(?:{_TARGET}\W*)?{_AGAINST}", re.IGNORECASE)
"""A sentence that sets the others apart before it has said anything of the user: "The user, unlike others who ..."."""
_DOES = re.compile(
    rf"\W*(?:{_TARGET}\s+)?(?:(?P<never>never|hardly|rarely|seldom)\s+)?(?:does|do|is|has|did)"
    r"(?P<not>n't|\s+not|\s+so\s+(?:rarely|less))?\W*",
    re.IGNORECASE,
)
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


def contrasted(text: str) -> tuple[str, bool] | None:
    """What is said of the others and denied of the user, or denied of them and said of the user, in so few words.

    "Whereas others use exclamation marks, the user does not" says nothing of the user by itself.

    Returns:
        The words about the others, and whether the user is said *not* to do so; None where there is no such contrast.
    """
    parts = [(part, voice) for part, voice in voices(text) if re.search(r"\w", part)]
    about = [match for part, voice in parts if voice == "target" and (match := _DOES.fullmatch(part))]
    others = [part for part, voice in parts if voice == "others"]
    return (others[0], bool(about[0]["never"] or about[0]["not"])) if len(about) == len(others) == 1 else None


def _next(voice: _Voice, mark: re.Match[str], text: str) -> _Voice:
    if mark["stop"] or mark["target"]:
        return "target"
    if mark["comparand"]:
        return voice if voice in ("others", "relative") else "comparand"
    if mark["others"]:
        is_object = voice == "comparand" or _BEFORE_OBJECT.search(text, 0, mark.start())
        if voice == "relative" or not is_object:
            return voice if voice == "relative" else "others"
        return "relative" if _RELATIVE.match(text, mark.end()) else "comparand"
    if voice == "comparand":
        return "relative" if _RELATIVE.match(text, mark.end()) else "target"
    return "target" if voice == "relative" and _closes(mark, text) else voice


def _closes(pause: re.Match[str], text: str) -> bool:
    """Whether a pause within what is said of the others leads back to the user: unsure, so seldom.

    Only a comma does, where the sentence has not spoken of the user before and does not name the user again.
    """
    begin = max((end.end() for end in _SENTENCE_END.finditer(text, 0, pause.start())), default=0)
    after = _SENTENCE_END.search(text, pause.end())
    rest = text[pause.end() : after.start() if after else len(text)]
    return pause[0] == "," and _APART.match(text, begin) is not None and not re.search(_TARGET, rest, re.IGNORECASE)
