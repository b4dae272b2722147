"""Measured differences in words."""

from __future__ import annotations

import re

from idiolect.difference.stylometry import Measure
from idiolect.experiments.explain.claims import Claim, Direction

LEAD = "Compared with others who wrote about the same items, this user"

_ABSOLUTE = re.compile(r"\b(?:never|no|nobody|nothing|not|without|every|one block|just stops)\b")
_OFTEN = ("per 100 words", "% of sentences", "% of texts", "per text", "per sentence")
_SIGNED = ("tone", "british_spelling")
"""Balances of two counts, of which there are no multiples."""


def phrase(of: Measure, direction: Direction, own: float) -> str:
    """What finishes ``LEAD``: the measure's own words, or "rarely" where they would say "never" of one who does it.

    Args:
        of: The measure.
        direction: Which way the user departs.
        own: The user's mean, in the measure's unit.
    """
    if direction == "more":
        return of.more
    return f"rarely {of.more}" if own > 0 and _ABSOLUTE.search(of.less) and of.name not in _SIGNED else of.less


def figures(claim: Claim) -> str:
    """The measured values in plain words: "3.1 times as often as others on the same 12 items (4.2 per 100 ...)"."""
    where = f"on the same {claim.n_items} items"
    own, others, unit = amount(claim.own), amount(claim.others), claim.measure.unit
    if not counts(claim.measure):
        return f"{own} against others' {others} ({unit}) {where}"
    if claim.own == 0:
        return f"not once {where}; others {others} {unit}"
    if claim.others == 0:
        return f"{own} {unit} {where}; others not once"
    return f"{amount(claim.own / claim.others)} times as often as others {where} ({own} {unit}, others {others})"


def counts(of: Measure) -> bool:
    """Whether a measure counts something, so that there are multiples of it and texts without it."""
    return of.unit in _OFTEN and of.name not in _SIGNED


def amount(value: float) -> str:
    """A number as short as it can be told apart: two digits that count below 10, one place below 100."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 0.995 else f"{value:.2g}"


def effect(claim: Claim) -> str:
    """The effect with its interval."""
    return f"effect {claim.effect:+.2f} [{claim.low:+.2f}, {claim.high:+.2f}]"


def chance(p: float) -> str:
    """A corrected p value."""
    return "corrected p < 0.001" if p < 0.001 else f"corrected p = {p:.3f}"
