"""The card: how a user differs from others, on what evidence, and what was found not to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from idiolect.difference.language.feature import Feature
from idiolect.difference.stylometry import MEASURES
from idiolect.experiments.explain.claims import Claim, Findings
from idiolect.experiments.explain.evidence import Evidence, Sentences
from idiolect.experiments.explain.settings import ExplainConfig
from idiolect.experiments.explain.told import Rejected, Told, weigh
from idiolect.experiments.explain.wording import amount, phrase
from idiolect.types import UserId

ABSTAINS = "not distinguishable from others on these items"


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
    false_share: float
    level: float
    """Coverage of the intervals."""
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
        if self.too_few:
            items = f"{self.n_items} of {self.n_reviews} reviews are about items that others wrote about too"
            return f"{ABSTAINS}: {items}, which is too little to tell anybody from others"
        return ABSTAINS

    @property
    def basis(self) -> str:
        """What the card rests on."""
        if not self.n_items:
            return f"{self.n_reviews} reviews, none of an item that others wrote about too"
        return (
            f"{self.n_reviews} reviews, {self.n_items} of them compared with {self.n_peer_reviews} reviews of the same "
            f"items by {self.n_others} others"
        )

    @property
    def method(self) -> str:
        """How luck was kept out."""
        return (
            f"{self.n_measures} measures were looked at; a claim must differ from randomly drawn reviews of the same "
            f"items, corrected so that at most {self.false_share:.0%} of the claims are expected to be luck "
            f"(Benjamini-Hochberg). Effects are in spreads of reviews of one item, intervals at {self.level:.1%}."
        )

    def record(self) -> dict[str, Any]:
        """Plain data for programs."""
        plain = asdict(self)
        plain["measured"] = [_plain(shown) for shown in self.measured]
        plain["told"] = [_plain_told(told) for told in self.told]
        if not self.alike:
            del plain["alike"]
        return {**plain, "abstains": self.abstains, "verdict": self.verdict, "method": self.method}


def make_card(findings: Findings, config: ExplainConfig, *, features: Sequence[Feature] = ()) -> Card:
    """The card of one user.

    Args:
        findings: What was measured.
        config: What is claimed.
        features: What a model claimed of the user's comparisons, validated (``difference.language.validate``).
    """
    compared, claims = findings.compared, findings.claims
    sentences = Sentences(compared.own if claims and config.quotes else ())
    told, refuted = weigh(features, findings, config)
    return Card(
        user=compared.user,
        n_reviews=compared.n_reviews,
        n_items=len(compared.own),
        n_peer_reviews=compared.n_peer_reviews,
        n_others=compared.n_others,
        n_measures=findings.n_looked_at,
        false_share=config.false_share,
        level=findings.level,
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
    alone = (findings.p <= config.false_share) & ~findings.claimed
    places = sorted(np.flatnonzero(alone), key=lambda place: findings.p[place])
    return [_rejected(findings, int(place), config) for place in places]


def _rejected(findings: Findings, place: int, config: ExplainConfig) -> Rejected:
    of, effect = MEASURES[place], findings.effect[place]
    said = phrase(of, "more" if effect > 0 else "less", float(findings.own[place]))
    if findings.small[place]:
        return Rejected(
            statement=said,
            reason="small",
            detail=f"sure, but the effect {effect:+.2f} is below {config.least_effect:g} spreads",
        )
    detail = f"p = {amount(float(findings.p[place]))} alone, {amount(float(findings.corrected[place]))} corrected"
    return Rejected(statement=said, reason="luck", detail=f"{detail} for {findings.n_looked_at} measures")


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
