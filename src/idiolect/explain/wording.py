"""The wording of a measured difference: its phrase and its figures, which never contradict each other."""

from __future__ import annotations

import re
from typing import NamedTuple

from idiolect.difference.stylometry import Measure
from idiolect.explain.card import Claim, Direction, least

LEAD = "Compared with others who wrote about the same items, this user"

_ABSOLUTE = re.compile(
    r"\b(?:never|no|nobody|nothing|not|without|every|hardly|just stops|unsupported|avoids|bare|stays (?:general|on|out)"
    r"|one (?:block|length|side|thought)|keeps (?:clear|to neutral|their own)|leaves the choice|flatly|positively)\b"
)
"""Phrases that say more than that a user does something less often than others."""
_OF_DEGREE = {"hedges": "hedges claims"}
"""In place of "hedges every claim", which few do. The phrases of the measures stand in prompts and stay as they are."""
_OFTEN = ("per 100 words", "% of sentences", "% of texts", "per text", "per sentence")


class _Signed(NamedTuple):
    """Wording of a difference of two counts: a ratio of it has no meaning, and its sign says which is the larger."""

    above: str
    """What values above 0 are an excess of."""
    below: str
    unit: str
    factor: float = 1.0


_SIGNED = {
    "british_spelling": _Signed(
        "more British than American spellings", "more American than British spellings", " per 100 words"
    ),
    "tone": _Signed("more words of praise than of blame", "more words of blame than of praise", " per 100 words"),
    "verdict_first": _Signed(
        "more of 100 texts open than close with a verdict", "more of 100 texts close than open with a verdict", "", 100
    ),
}
_WARMTH = {"more": "finds less fault", "less": "speaks less warmly"}
"""Of users whose tone is on the other side of 0 than the phrase says: warmer than others, but still more blame."""
_COUNTED = {
    "joints": "clauses joined",
    "information": "content words",
    "lowercase_starts": "starts in lower case",
}
"""What was counted, where the measure's name does not say it."""


def phrase(of: Measure, direction: Direction, own: float) -> str:
    """The end of ``LEAD``, true of a user with this mean.

    The measures' phrases are of the two ends of a scale. "Less often" stands in place of "never" if the user's mean is
    above the lowest, and in place of the other end of a signed scale if the mean is on the wrong side of 0 for it:
    others spell the American way more often than this user does, but the user spells no British way.

    Args:
        of: The measure.
        direction: Sign of the difference.
        own: The user's mean, in the measure's unit.
    """
    if of.name in _SIGNED:
        return _signed_phrase(of, direction, own)
    if direction == "more":
        return f"often {_OF_DEGREE[of.name]}" if of.name in _OF_DEGREE else of.more
    less_often = own > least(of) and _ABSOLUTE.search(of.less)
    return f"less often {_OF_DEGREE.get(of.name, of.more)}" if less_often else of.less


def _signed_phrase(of: Measure, direction: Direction, own: float) -> str:
    said, opposite = (of.more, of.less) if direction == "more" else (of.less, of.more)
    if own > 0 if direction == "more" else own < 0:
        return said
    return _WARMTH[direction] if of.name == "tone" else f"less often {opposite}"


def figures(claim: Claim) -> str:
    """The measured values in plain words: "3.1 times as often as others on the same 12 items (4.2 per 100 ...)".

    For a user with lower values the measure is named, because the phrase says the opposite of what was counted:
    "first person 0.2 per 100 words, others 1.4, on the same 12 items".
    """
    where = f"on the same {claim.n_items} items"
    if claim.measure.name in _SIGNED:
        return f"{_signed_amounts(claim)}, {where}"
    (own, others), unit = amounts(claim.own, claim.others), claim.measure.unit
    if claim.direction == "more" and counts(claim.measure):
        if claim.others == 0:
            return f"{own} {unit} {where}; others not once"
        return f"{_times(claim.own / claim.others)} times as often as others {where} ({own} {unit}, others {others})"
    if claim.measure.name == "length":
        return f"{own} words, others {others}, {where}"
    counted = _COUNTED.get(claim.measure.name, claim.measure.name.replace("_", " "))
    if claim.own == 0 and counts(claim.measure):
        return f"{counted} not once {where}; others {others} {unit}"
    unit = f" {unit}" if counts(claim.measure) else f" ({unit})"
    return f"{counted} {own}{unit}, others {others}, {where}"


def _signed_amounts(claim: Claim) -> str:
    """Both values without a minus: "0.4 more British than American spellings per 100 words, others 0.2 more American".

    Of two values on one side of 0 that side is named once; 0 is on either.
    """
    of = _SIGNED[claim.measure.name]
    own, others = (of.factor * value for value in (claim.own, claim.others))
    sides = [of.above if (value or other) > 0 else of.below for value, other in ((own, others), (others, own))]
    said = amounts(abs(own), abs(others)) if sides[0] == sides[1] else (amount(abs(own)), amount(abs(others)))
    return f"{said[0]} {sides[0]}{of.unit}, others {said[1]}{'' if sides[0] == sides[1] else f' {sides[1]}'}"


def counts(of: Measure) -> bool:
    """Whether a measure is a count, so that ratios and texts without it have a meaning."""
    return of.unit in _OFTEN and of.name not in _SIGNED


_MOST_DIGITS = 6


def amount(value: float, digits: int = 0) -> str:
    """A number in short: two significant digits below 10, one decimal place below 100; and ``digits`` more."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:.{digits}f}"
    return f"{value:.{1 + digits}f}" if size >= 0.995 else f"{value:.{2 + digits}g}"


def amounts(own: float, others: float) -> tuple[str, str]:
    """Two numbers in short, with as many digits as show which is larger."""
    said = ((amount(own, digits), amount(others, digits)) for digits in range(_MOST_DIGITS))
    return next((pair for pair in said if pair[0] != pair[1]), (amount(own), amount(others)))


def _times(ratio: float) -> str:
    """A ratio above 1 in short, never "1.0"."""
    return next((said for k in range(_MOST_DIGITS) if float(said := amount(ratio, k)) > 1), amount(ratio, _MOST_DIGITS))


def effect(claim: Claim) -> str:
    """The effect with its interval."""
    return f"effect {claim.effect:+.2f} [{claim.low:+.2f}, {claim.high:+.2f}]"


def chance(p: float) -> str:
    """A corrected p value."""
    return "corrected p < 0.001" if p < 0.001 else f"corrected p = {p:.3f}"
