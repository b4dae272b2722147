"""Free text to keys of the taxonomy, by rules that can be read: no model, and None where the rules are silent."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from idiolect.difference.language.clauses import about_target, contrasted
from idiolect.difference.language.rules import ANY, NEGATIVE, POSITIVE, RULES
from idiolect.difference.language.taxonomy import Key, by_sign

_PIECE = re.compile(r",|;|\(|\)|\band\b|\bbut\b|\n", re.IGNORECASE)
_NOT_ONLY = re.compile(r"\bnot\s+(?:only|just|merely)\b", re.IGNORECASE)


_LONGEST = 2000
"""Characters of a description that are read; none that is longer is clear."""


class Claim(NamedTuple):
    """A key that a text claims of the user."""

    key: Key
    text: str
    """The part of the text that claims it."""


def claims(text: str) -> list[Claim]:
    """Every key that ``text`` claims of the user, in the order of the text, each once.

    Only what is said of the user counts, not what is said of the others. An attribute that is claimed in two directions
    is left out: it says nothing.
    """
    return list(_claims(text[:_LONGEST]))


def map_feature(name: str, description: str) -> list[Claim]:
    """The keys of a named feature: those its description claims, else those its name does.

    A description that speaks of its subject only as "them" or "it" says how much: the name then says of what.
    """
    return claims(description) or [
        Claim(key, description)
        for claim in claims(name)
        if (key := by_sign(claim.key.attribute, claim.key.sign * _overall(description)))
    ]


@lru_cache(maxsize=8192)  # extraction, criteria and splitting each read a description
def _claims(text: str) -> tuple[Claim, ...]:
    found = [claim for part in about_target(text) for claim in _claims_in(_NOT_ONLY.sub("", part))] or _contrary(text)
    distinct = list({claim.key: claim for claim in reversed(found)}.values())[::-1]
    return tuple(claim for claim in distinct if not any(claim.key.excludes(other.key) for other in distinct))


def _contrary(text: str) -> list[Claim]:
    """The opposite of what is claimed of the others, where no more is said of the user than "does not" or "does"."""
    said = contrasted(text)
    if said is None or (NEGATIVE.search(said[0]) is None) != said[1]:
        return []
    opposites = (
        (by_sign(claim.key.attribute, -claim.key.sign), claim) for claim in _claims_in(said[0]) if claim.key.sign
    )
    return [Claim(key, text) for key, _ in opposites if key is not None]


def _claims_in(part: str) -> list[Claim]:
    """The claims of one part about the user, in the order of the text."""
    rest, found = part, []
    for rule in RULES if ANY.search(part) else ():
        if not rule.words.search(rest):
            continue
        for match in rule.words.finditer(rest):
            start, stop = _piece(part, match.start(), match.end())
            key = by_sign(rule.attribute, rule.end * _polarity(part, start, match.start(), match.end(), stop))
            if key is not None and not (key.sign == 0 and _turned(part, start, stop)):
                found.append((match.start(), Claim(key, part[start:stop].strip())))
        rest = rule.words.sub(lambda match: " " * len(match[0]), rest)
    return [claim for _, claim in sorted(found, key=lambda place: place[0])]


def _piece(part: str, start: int, stop: int) -> tuple[int, int]:
    """Where the stretch around a match begins and ends: between commas and conjunctions."""
    begin = max((mark.end() for mark in _PIECE.finditer(part, 0, start)), default=0)
    end = _PIECE.search(part, stop)
    return begin, end.start() if end else len(part)


def _polarity(part: str, begin: int, start: int, stop: int, end: int) -> int:
    """+1 or -1: whether the words at start:stop are affirmed or denied in their piece, or else in the one before."""
    own = part[begin:start] + " " + part[stop:end]
    if NEGATIVE.search(own):
        return -1
    if POSITIVE.search(own):
        return 1
    return -1 if _last_is_negative(part[:begin]) else 1


def _last_is_negative(text: str) -> bool:
    negative = max((match.start() for match in NEGATIVE.finditer(text)), default=-1)
    positive = max((match.start() for match in POSITIVE.finditer(text)), default=-1)
    return negative > positive


def _turned(part: str, start: int, stop: int) -> bool:
    """Whether a claim of neutral tone is denied: "less neutral" says neither positive nor negative."""
    return NEGATIVE.search(part, start, stop) is not None


def _overall(description: str) -> int:
    said = " ".join(about_target(description))
    return -1 if NEGATIVE.search(said) else 1
