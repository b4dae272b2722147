"""The card of one user: differences, evidence and rejected claims, as lines, Markdown and plain data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np

from idiolect.difference.claims.corrections import hidden_by, statements, without_corrected
from idiolect.difference.claims.feature import Feature
from idiolect.difference.stylometry import MEASURES
from idiolect.errors import visible
from idiolect.explain.card import Claim, ExplainConfig, UserDifferences
from idiolect.explain.model_claims import ModelClaim, Rejected, filter_claims
from idiolect.explain.quoting import Sentences, UserQuote
from idiolect.explain.recurring import RecurringPhrase
from idiolect.explain.wording import LEAD, amount, chance, counts, effect, figures, phrase
from idiolect.store.base import Correction
from idiolect.store.sql import said_alike
from idiolect.types import UserId

ABSTAINS = "not distinguishable from others on these items"
NOT_MEASURED = "how this user differs from others is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardClaim:
    """A measured claim in words, with sentences of the user that show it."""

    phrase: str
    claim: Claim
    quotes: tuple[UserQuote, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Card:
    """How one user differs from peers. It has no text of other users.

    Example:
        >>> print(store.explain("ann").text)  # doctest: +SKIP
    """

    user: UserId
    n_reviews: int
    """All of the user's reviews."""
    n_items: int
    """Items compared."""
    n_peer_reviews: int
    n_others: int
    n_measures: int
    """Measures tested."""
    fdr_level: float
    level: float
    """Coverage of the intervals."""
    own_left_out: int
    """See ``Compared.own_left_out``."""
    peers_left_out: int
    """See ``Compared.peers_left_out``."""
    too_few: bool
    """Too few reviews for any difference to be significant."""
    measured: tuple[CardClaim, ...]
    """Sorted by the interval end nearer 0, largest first."""
    model_claims: tuple[ModelClaim, ...]
    """Verified claims of a language model, the best supported first."""
    rejected: tuple[Rejected, ...]
    corrected: tuple[str, ...] = ()
    """The user's own statements, in place of differences that they corrected."""
    recurring: tuple[RecurringPhrase, ...] = ()
    """Phrases that the user repeats and others do not; counted, not tested."""
    alike: tuple[UserId, ...] = ()
    """Other users with ids that look the same: perhaps the same person with a split history."""

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return to_markdown(self)

    @property
    def text(self) -> str:
        """The card as plain text, control characters escaped."""
        return "\n".join(text_lines(self))

    @property
    def abstains(self) -> bool:
        """Whether there is no claim about the user."""
        return not self.measured and not self.model_claims

    @property
    def verdict(self) -> str:
        """The card in one sentence."""
        if not self.abstains:
            n = len(self.measured) + len(self.model_claims)
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
        """The compared reviews, in words."""
        if not self.n_items and not self.own_left_out:
            return f"{self.n_reviews} reviews, none of an item that others wrote about too"
        return (
            f"{self.n_reviews} reviews, {self.n_items} of them compared with {self.n_peer_reviews} reviews of the same "
            f"items by {self.n_others} others"
        )

    @property
    def left_out(self) -> str:
        """Reviews that were not measured, in words; empty if there are none."""
        if not self.own_left_out + self.peers_left_out:
            return ""
        return (
            f"left out, because only English is measured: {self.own_left_out} "
            f"{'review' if self.own_left_out == 1 else 'reviews'} of the user and "
            f"{self.peers_left_out} of others"
        )

    @property
    def method(self) -> str:
        """The test and its correction, in words."""
        return (
            f"{self.n_measures} measures were tested; a claim must differ from randomly drawn reviews of the same "
            f"items, corrected so that at most {self.fdr_level:.0%} of the claims are expected to be false "
            "(Benjamini-Hochberg). Effects are in standard deviations of reviews of one item, "
            f"intervals at {self.level:.1%}."
        )

    def record(self) -> dict[str, Any]:
        """Plain data for programs: every claim; ``on_card`` says which of the measured ones the card prints in full."""
        plain = asdict(self)
        plain["measured"] = [
            {**_plain(shown), "on_card": place < MOST_CLAIMS} for place, shown in enumerate(self.measured)
        ]
        plain["model_claims"] = [_plain_model_claim(claim) for claim in self.model_claims]
        if not self.alike:
            del plain["alike"]
        return {
            **plain,
            "abstains": self.abstains,
            "verdict": self.verdict,
            "left_out": self.left_out,
            "method": self.method,
        }


def make_card(
    result: UserDifferences,
    config: ExplainConfig,
    *,
    features: Sequence[Feature] = (),
    corrections: Sequence[Correction] = (),
) -> Card:
    """The card of one user.

    Args:
        result: Measured differences.
        config: Significance and size of a claim.
        features: A model's claims about the user's comparisons, validated (``difference.claims.validate``).
        corrections: The user's corrections and muted claims.
    """
    hidden, compared = hidden_by(corrections), result.compared
    claims = [claim for claim in result.claims if claim.measure.name not in hidden]
    features = without_corrected(features, corrections)
    quoted = compared if claims and config.quotes else replace(compared, own=(), peers=())
    sentences = Sentences(quoted.own, [peer.text for peer in chain.from_iterable(quoted.peers)])
    model_claims, refuted = filter_claims(features, result, config)
    return Card(
        user=compared.user,
        n_reviews=compared.n_reviews,
        n_items=len(compared.own),
        n_peer_reviews=compared.n_peer_reviews,
        n_others=compared.n_others,
        n_measures=result.n_tested,
        fdr_level=config.fdr_level,
        level=result.level,
        own_left_out=compared.own_left_out,
        peers_left_out=compared.peers_left_out,
        too_few=result.too_few,
        measured=tuple(
            CardClaim(
                phrase=phrase(claim.measure, claim.direction, claim.own),
                claim=claim,
                quotes=sentences.showing(claim, config.quotes),
            )
            for claim in claims
        ),
        model_claims=model_claims,
        rejected=(*_muted(result, hidden), *_not_significant(result, config), *refuted),
        corrected=tuple(statements(corrections)),
        recurring=compared.recurring,
    )


def _muted(result: UserDifferences, hidden: Collection[str]) -> list[Rejected]:
    """Measured differences that the user muted or corrected."""
    return [
        Rejected(statement=phrase(claim.measure, claim.direction, claim.own), reason="muted")
        for claim in result.claims
        if claim.measure.name in hidden
    ]


def _not_significant(result: UserDifferences, config: ExplainConfig) -> list[Rejected]:
    """Measures that are significant without correction but not claimed, smallest p first."""
    alone = (result.p <= config.fdr_level) & ~result.claimed
    places = sorted(np.flatnonzero(alone), key=lambda place: result.p[place])
    return [_rejected(result, int(place), config) for place in places]


def _rejected(result: UserDifferences, place: int, config: ExplainConfig) -> Rejected:
    of, effect = MEASURES[place], result.effect[place]
    said = phrase(of, "more" if effect > 0 else "less", float(result.own[place]))
    if result.small[place]:
        return Rejected(
            statement=said,
            reason="small",
            detail=f"significant, but the effect {effect:+.2f} is below {config.min_effect:g} SD",
        )
    detail = f"p = {amount(float(result.p[place]))} alone, {amount(float(result.corrected[place]))} corrected"
    return Rejected(statement=said, reason="not_significant", detail=f"{detail} for {result.n_tested} measures")


def _plain(shown: CardClaim) -> dict[str, Any]:
    claim = asdict(shown.claim)
    of = claim.pop("measure")
    return {
        "phrase": shown.phrase,
        "measure": of["name"],
        "category": of["category"],
        "unit": of["unit"],
        "attribute": of["attribute"],
        "figures": figures(shown.claim),
        **claim,
        "quotes": [asdict(quote) for quote in shown.quotes],
    }


def _plain_model_claim(claim: ModelClaim) -> dict[str, Any]:
    return {
        "phrase": claim.key.phrase,
        "category": claim.key.category,
        "attribute": claim.key.attribute,
        "direction": claim.key.direction,
        "support": claim.support,
        "opposition": claim.opposition,
        "check": claim.check,
        "quotes": [asdict(quote) for quote in claim.quotes],
    }


Part = Literal["title", "note", "verdict", "heading", "claim", "figures", "quote", "rejected"]


MOST_CLAIMS = 10
"""Measured differences that are printed with figures and quotes; weaker ones are named, and the record has them all."""
MOST_REJECTED = 8
"""Rejected claims that are printed; the record has all of them."""


class Line(NamedTuple):
    """One line of a card."""

    part: Part
    text: str
    aside: str = ""
    """Source of a quote, category of a claim, or reason for a rejection."""


REASONS = {
    "not_significant": "not significant",
    "small": "too small to matter",
    "format_error": "not in a readable form",
    "no_comparison": "makes no comparison",
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
    "muted": "muted or corrected by the user",
}
"""Reasons for a rejection, in words."""


def lines(card: Card) -> Iterator[Line]:
    """Every line, top to bottom."""
    yield Line("title", f"How {card.user} differs from others")
    yield Line("note", card.basis)
    if card.alike:
        yield Line("note", f"there is {said_alike(card.alike)}; the same person? their history is split then")
    if card.left_out:
        yield Line("note", card.left_out)
    yield Line("verdict", card.verdict)
    yield from (Line("note", f"In the user's own words: {text}") for text in card.corrected)
    for one in card.recurring:
        yield Line("note", f"This user {one.sentence} “{one.text}” ({one.figures})")
    if card.measured:
        yield from _all_measured(card.measured)
    if card.model_claims:
        yield Line("heading", "Claimed by a model" + (", in addition" if card.measured else ""))
        for claim in card.model_claims:
            yield from _model_claim_lines(claim)
    if card.rejected:
        yield Line("heading", "Not claimed")
        yield from map(_rejected_layout, card.rejected[:MOST_REJECTED])
        if (more := len(card.rejected) - MOST_REJECTED) > 0:
            yield Line("rejected", f"{more} more", "listed in the record (JSON)")
    if card.n_measures:
        yield Line("note", card.method)


def _all_measured(claims: Sequence[CardClaim]) -> Iterator[Line]:
    yield Line("heading", f"{LEAD} ...")
    for shown in claims[:MOST_CLAIMS]:
        yield from _measured(shown)
    if weaker := [shown.phrase for shown in claims[MOST_CLAIMS:]]:
        yield Line("note", f"Significant too, but weaker: {'; '.join(weaker)}.")


def _measured(shown: CardClaim) -> Iterator[Line]:
    claim = shown.claim
    yield Line("claim", f"{shown.phrase}: {figures(claim)}", claim.measure.category)
    support = f"on {claim.support} of {claim.n_items} items"
    seen = f"in {claim.own_showing:.0%} of the user's reviews, {claim.others_showing:.0%} of others'"
    said = (effect(claim), support, chance(claim.p), *([seen] if counts(claim.measure) else []))
    yield Line("figures", " · ".join(said))
    yield from map(_quote, shown.quotes)


def _model_claim_lines(claim: ModelClaim) -> Iterator[Line]:
    yield Line("claim", claim.key.phrase, claim.key.category)
    against = f", the opposite in {claim.opposition}" if claim.opposition else ""
    checks = {
        "confirmed": "confirmed by measures",
        "unclear": "measures show no significant difference",
        "unmeasured": "not measurable",
    }
    yield Line("figures", f"claimed in {claim.support} comparisons{against} · {checks[claim.check]}")
    yield from map(_quote, claim.quotes)


def _quote(quote: UserQuote) -> Line:
    return Line("quote", quote.text, quote.review)


def _rejected_layout(one: Rejected) -> Line:
    often = f" ({one.count} times)" if one.count > 1 else ""
    why = REASONS.get(one.reason, one.reason)
    return Line("rejected", f"{one.statement}{often}", f"{why}: {one.detail}" if one.detail else why)


INDENT: Mapping[Part, int] = {"claim": 1, "figures": 4, "quote": 4, "rejected": 1}
SPACED: tuple[Part, ...] = ("verdict", "heading", "claim")
"""Parts with an empty line before."""


def numbered(card: Card) -> Iterator[tuple[Line, int, bool]]:
    """Every line with its number among the claims of its heading, and whether an empty line goes before it."""
    before, number = "", 0
    for line in lines(card):
        number = 0 if line.part == "heading" else number + (line.part == "claim")
        yield line, number, line.part in SPACED or (line.part == "note" and before not in ("title", ""))
        before = line.part


def text_lines(card: Card) -> Iterator[str]:
    """The card as lines of plain text; what users wrote is escaped, so that no terminal obeys it."""
    for line, number, spaced in numbered(card):
        if spaced:
            yield ""
        yield " " * INDENT.get(line.part, 0) + plain_line(line, number)


def plain_line(line: Line, number: int) -> str:
    """One line without its indent."""
    text, aside = visible(line.text), visible(line.aside)
    drawn = {"claim": f"{number}. {text}  {aside}", "quote": f"“{text}”  {aside}", "rejected": f"- {text}  {aside}"}
    return drawn.get(line.part, text)


_LISTED = ("claim", "figures", "quote", "rejected")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def to_markdown(card: Card) -> str:
    """The card as Markdown; users' text is escaped."""
    page, before, number = "", "", 0
    for line in lines(card):
        number = 0 if line.part == "heading" else number + (line.part == "claim")
        page += ("\n" if line.part in _LISTED and before in _LISTED else "\n\n" if page else "") + _drawn(line, number)
        before = line.part
    return f"{page}\n"


def escape(text: str) -> str:
    """Text with escaped markup, on one line."""
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
