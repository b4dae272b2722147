"""The card: how a user differs from others, on what evidence, and what was found not to hold.

A card as lines, each with its part in the page: what the terminal and Markdown draw alike.

A card as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from idiolect.difference.claims.feature import Feature
from idiolect.difference.stylometry import MEASURES
from idiolect.explain.card import (
    LEAD,
    Claim,
    Evidence,
    ExplainConfig,
    Findings,
    Sentences,
    amount,
    chance,
    counts,
    effect,
    figures,
    phrase,
)
from idiolect.explain.model_claims import Rejected, Told, filter_claims
from idiolect.store.sql import said_alike
from idiolect.types import UserId

ABSTAINS = "not distinguishable from others on these items"
NOT_MEASURED = "how this user differs from others is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A measured claim in words, with the user's own sentences that show it."""

    phrase: str
    claim: Claim
    quotes: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """How one user differs from others. No text of another user is on it."""

    user: UserId
    n_reviews: int
    """All of the user's reviews."""
    n_items: int
    """Items compared."""
    n_peer_reviews: int
    n_others: int
    n_measures: int
    """Measures looked at."""
    fdr_level: float
    level: float
    """Coverage of the intervals."""
    own_left_out: int
    """The user's reviews that could be compared and were not measured, for want of English."""
    peers_left_out: int
    """Others' reviews that were not measured, for want of English."""
    too_few: bool
    """There is too little to compare for anything to be sure."""
    measured: tuple[Shown, ...]
    """The surely largest first."""
    told: tuple[Told, ...]
    """What a model claimed beside, the best supported first."""
    rejected: tuple[Rejected, ...]
    alike: tuple[UserId, ...] = ()
    """Other users whose ids look the same: perhaps the same person, whose history is split then."""

    @property
    def abstains(self) -> bool:
        """Whether nothing can be said of the user."""
        return not self.measured and not self.told

    @property
    def verdict(self) -> str:
        """The card in one sentence."""
        if not self.abstains:
            n = len(self.measured) + len(self.told)
            return f"{n} {'difference' if n == 1 else 'differences'} from others who wrote about the same items"
        if self.own_left_out and not self.n_items:
            return (
                f"{NOT_MEASURED}: the reviews that could be compared are not in English, and only English is measured"
            )
        if self.too_few:
            items = f"{self.n_items} of {self.n_reviews} reviews are about items that others wrote about too"
            return f"{ABSTAINS}: {items}, which is too little to tell anybody from others"
        return ABSTAINS

    @property
    def basis(self) -> str:
        """What the card rests on."""
        if not self.n_items and not self.own_left_out:
            return f"{self.n_reviews} reviews, none of an item that others wrote about too"
        return (
            f"{self.n_reviews} reviews, {self.n_items} of them compared with {self.n_peer_reviews} reviews of the same "
            f"items by {self.n_others} others"
        )

    @property
    def left_out(self) -> str:
        """What was not measured; empty where everything was."""
        if not self.own_left_out + self.peers_left_out:
            return ""
        return (
            f"left out, because only English is measured: {self.own_left_out} reviews of the user and "
            f"{self.peers_left_out} of others"
        )

    @property
    def method(self) -> str:
        """How luck was kept out."""
        return (
            f"{self.n_measures} measures were looked at; a claim must differ from randomly drawn reviews of the same "
            f"items, corrected so that at most {self.fdr_level:.0%} of the claims are expected to be luck "
            f"(Benjamini-Hochberg). Effects are in spreads of reviews of one item, intervals at {self.level:.1%}."
        )

    def record(self) -> dict[str, Any]:
        """Plain data for programs."""
        plain = asdict(self)
        plain["measured"] = [_plain(shown) for shown in self.measured]
        plain["told"] = [_plain_told(told) for told in self.told]
        if not self.alike:
            del plain["alike"]
        return {
            **plain,
            "abstains": self.abstains,
            "verdict": self.verdict,
            "left_out": self.left_out,
            "method": self.method,
        }


def make_card(findings: Findings, config: ExplainConfig, *, features: Sequence[Feature] = ()) -> Card:
    """The card of one user.

    Args:
        findings: What was measured.
        config: What is claimed.
        features: What a model claimed of the user's comparisons, validated (``difference.language.validate``).
    """
    compared, claims = findings.compared, findings.claims
    sentences = Sentences(compared.own if claims and config.quotes else ())
    told, refuted = filter_claims(features, findings, config)
    return Card(
        user=compared.user,
        n_reviews=compared.n_reviews,
        n_items=len(compared.own),
        n_peer_reviews=compared.n_peer_reviews,
        n_others=compared.n_others,
        n_measures=findings.n_tested,
        fdr_level=config.fdr_level,
        level=findings.level,
        own_left_out=compared.own_left_out,
        peers_left_out=compared.peers_left_out,
        too_few=findings.too_few,
        measured=tuple(
            Shown(
                phrase=phrase(claim.measure, claim.direction, claim.own),
                claim=claim,
                quotes=sentences.showing(claim, config.quotes),
            )
            for claim in claims
        ),
        told=told,
        rejected=(*_unsure(findings, config), *refuted),
    )


def _unsure(findings: Findings, config: ExplainConfig) -> list[Rejected]:
    """Measures that alone look different, the least likely first."""
    alone = (findings.p <= config.fdr_level) & ~findings.claimed
    places = sorted(np.flatnonzero(alone), key=lambda place: findings.p[place])
    return [_rejected(findings, int(place), config) for place in places]


def _rejected(findings: Findings, place: int, config: ExplainConfig) -> Rejected:
    of, effect = MEASURES[place], findings.effect[place]
    said = phrase(of, "more" if effect > 0 else "less", float(findings.own[place]))
    if findings.small[place]:
        return Rejected(
            statement=said,
            reason="small",
            detail=f"sure, but the effect {effect:+.2f} is below {config.min_effect:g} spreads",
        )
    detail = f"p = {amount(float(findings.p[place]))} alone, {amount(float(findings.corrected[place]))} corrected"
    return Rejected(statement=said, reason="luck", detail=f"{detail} for {findings.n_tested} measures")


def _plain(shown: Shown) -> dict[str, Any]:
    claim = asdict(shown.claim)
    of = claim.pop("measure")
    return {
        "phrase": shown.phrase,
        "measure": of["name"],
        "category": of["category"],
        "unit": of["unit"],
        "attribute": of["attribute"],
        **claim,
        "quotes": [asdict(quote) for quote in shown.quotes],
    }


def _plain_told(told: Told) -> dict[str, Any]:
    return {
        "phrase": told.key.phrase,
        "category": told.key.category,
        "attribute": told.key.attribute,
        "direction": told.key.direction,
        "support": told.support,
        "opposition": told.opposition,
        "check": told.check,
        "quotes": [asdict(quote) for quote in told.quotes],
    }


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
    if card.left_out:
        yield Line("note", card.left_out)
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
        yield from map(_rejected_layout, card.rejected[:MOST_REJECTED])
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


def _rejected_layout(one: Rejected) -> Line:
    often = f" ({one.count} times)" if one.count > 1 else ""
    why = REASONS.get(one.reason, one.reason)
    return Line("rejected", f"{one.statement}{often}", f"{why}: {one.detail}" if one.detail else why)


_LISTED = ("claim", "figures", "quote", "rejected")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def to_markdown(card: Card) -> str:
    """The card as a page; what users wrote is escaped, so that it can be no markup."""
    page, before, number = "", "", 0
    for line in lines(card):
        number = 0 if line.part == "heading" else number + (line.part == "claim")
        page += ("\n" if line.part in _LISTED and before in _LISTED else "\n\n" if page else "") + _drawn(line, number)
        before = line.part
    return f"{page}\n"


def escape(text: str) -> str:
    """Text without markup, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _drawn(line: Line, number: int) -> str:
    text, aside = escape(line.text), escape(line.aside)
    drawn = {
        "title": f"# {text}",
        "note": text,
        "verdict": f"**{text}**",
        "heading": f"## {text}",
        "claim": f"{number}. **{text}** ({aside})",
        "figures": f"   - {text}",
        "quote": f"   - “{text}” ({aside})",
        "rejected": f"- {text}: {aside}",
    }
    return drawn[line.part]
