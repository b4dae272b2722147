"""A card as lines, each with its part in the page: what the terminal and Markdown draw alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from idiolect.experiments.explain.card import Card, Shown
from idiolect.experiments.explain.evidence import Evidence
from idiolect.experiments.explain.told import Rejected, Told
from idiolect.experiments.explain.wording import LEAD, chance, counts, effect, figures
from idiolect.store.sql import said_alike

Part = Literal["title", "note", "verdict", "heading", "claim", "figures", "quote", "rejected"]


MOST_REJECTED = 8
"""Of what is not claimed; all of it is in the record."""


class Line(NamedTuple):
    """One line of a card."""

    part: Part
    text: str
    aside: str = ""
    """Where a quote is from, the category of a claim, why something is not claimed."""


REASONS = {
    "luck": "could be luck",
    "small": "too small to matter",
    "format_error": "not in a readable form",
    "no_comparison": "compares with nobody",
    "no_difference": "states no difference",
    "not_atomic": "claims several things at once",
    "unclear": "unclear",
    "content_bias": "is about content or opinion, not style",
    "uncategorized": "in none of the five categories",
    "inconsistent": "contradicts another claim of the same comparison",
    "duplicate": "repeats another claim",
    "invented_quote": "quotes words that stand nowhere",
    "peer_quote": "credits the user with another's words",
    "no_quote": "gives no evidence",
    "peer_text": "copies another's text",
    "measured_opposite": "the opposite was measured",
    "rejected": "rejected by the validator",
    "unsupported": "claimed in too few comparisons",
    "outvoted": "other comparisons say the opposite",
}
"""Why something is not on the card, in words."""


def lines(card: Card) -> Iterator[Line]:
    """Every line, top to bottom."""
    yield Line("title", f"How {card.user} differs from others")
    yield Line("note", card.basis)
    if card.alike:
        yield Line("note", f"there is {said_alike(card.alike)}; the same person? their history is split then")
    yield Line("verdict", card.verdict)
    if card.measured:
        yield Line("heading", f"{LEAD} ...")
        for shown in card.measured:
            yield from _measured(shown)
    if card.told:
        yield Line("heading", "Claimed by a model" + (" beside" if card.measured else ""))
        for told in card.told:
            yield from _told(told)
    if card.rejected:
        yield Line("heading", "Not claimed")
        yield from map(_rejected, card.rejected[:MOST_REJECTED])
        if (more := len(card.rejected) - MOST_REJECTED) > 0:
            yield Line("rejected", f"{more} more", "listed with --json")
    if card.n_measures:
        yield Line("note", card.method)


def _measured(shown: Shown) -> Iterator[Line]:
    claim = shown.claim
    yield Line("claim", f"{shown.phrase}: {figures(claim)}", claim.measure.category)
    support = f"on {claim.support} of {claim.n_items} items"
    seen = f"in {claim.own_showing:.0%} of the user's reviews, {claim.others_showing:.0%} of others'"
    said = (effect(claim), support, chance(claim.p), *([seen] if counts(claim.measure) else []))
    yield Line("figures", " · ".join(said))
    yield from map(_quote, shown.quotes)


def _told(told: Told) -> Iterator[Line]:
    yield Line("claim", told.key.phrase, told.key.category)
    against = f", the opposite in {told.opposition}" if told.opposition else ""
    checks = {
        "confirmed": "confirmed by measures",
        "unclear": "measures show no sure difference",
        "unmeasured": "not measurable",
    }
    yield Line("figures", f"claimed in {told.support} comparisons{against} · {checks[told.check]}")
    yield from map(_quote, told.quotes)


def _quote(quote: Evidence) -> Line:
    return Line("quote", quote.text, quote.review)


def _rejected(one: Rejected) -> Line:
    often = f" ({one.count} times)" if one.count > 1 else ""
    why = REASONS.get(one.reason, one.reason)
    return Line("rejected", f"{one.statement}{often}", f"{why}: {one.detail}" if one.detail else why)
