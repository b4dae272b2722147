"""Differences that a model claimed, held against what was measured over all of a user's items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from idiolect.difference.language.feature import Feature
from idiolect.difference.language.measured import CHECKS
from idiolect.difference.language.quotes import normalise, stands_in
from idiolect.difference.language.taxonomy import Key
from idiolect.difference.language.vote import Difference, differences, vote
from idiolect.difference.stylometry import MEASURES
from idiolect.experiments.explain.claims import Findings
from idiolect.experiments.explain.evidence import Evidence
from idiolect.experiments.explain.settings import ExplainConfig
from idiolect.types import Review

Check = Literal["confirmed", "unclear", "unmeasured"]

_NAME_WORDS = 6
"""Words of a name that are repeated: fewer than make a copy of somebody's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A difference that recurs in what a model claimed and that nothing speaks against."""

    key: Key
    support: int
    """Comparisons that claim it."""
    opposition: int
    """Comparisons that claim the opposite."""
    check: Check
    """``confirmed``: measured to be so over all items; ``unclear``: measured without a sure sign."""
    quotes: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """What does not stand on the card."""

    statement: str
    reason: str
    """One of ``feature.Reason``, ``luck`` or ``small``."""
    detail: str = ""
    count: int = 1
    """How often it was claimed."""


def weigh(
    features: Sequence[Feature], findings: Findings, config: ExplainConfig
) -> tuple[tuple[Told, ...], tuple[Rejected, ...]]:
    """What a model claimed, sorted into what stands, the best supported first, and what does not.

    Args:
        features: Validated features of the user's comparisons.
        findings: What was measured over all items.
        config: Support asked for, and quotes shown.
    """
    own = findings.compared.own
    told: list[Told] = []
    rejected = _dropped(vote(features, min_support=config.min_support))
    for one in differences(features, min_support=config.min_support):
        check = _check(one.key, findings)
        if check is None:
            rejected.append(Rejected(statement=one.key.phrase, reason="measured_opposite", count=one.support))
        else:
            quotes = _quotes(one, own, config.quotes)
            told.append(Told(key=one.key, support=one.support, opposition=one.opposition, check=check, quotes=quotes))
    return tuple(told), tuple(rejected)


def _check(key: Key, findings: Findings) -> Check | None:
    """What the measures of a key's attribute say; None: the opposite."""
    places = [k for k, of in enumerate(MEASURES) if CHECKS.get(of.name, of.attribute) == key.attribute]
    if not places or not key.sign:
        return "unmeasured"
    sure = [k for k in places if findings.claimed[k] or findings.small[k]]
    sides = {float(np.sign(findings.effect[k])) for k in sure}
    if sides == {-float(key.sign)}:
        return None
    return "confirmed" if sides == {float(key.sign)} else "unclear"


def _quotes(one: Difference, own: Sequence[Review], k: int) -> tuple[Evidence, ...]:
    """The user's own words among the quotes; whatever is credited to others, or stands nowhere, is left out."""
    reviews = {review.id: review for review in own}
    found: dict[str, Evidence] = {}
    for feature in one.features:
        review = next((reviews[known] for known in reviews if known == feature.comparison), None)
        for quote in feature.quotes if review else ():
            words = normalise(quote.text)
            if review and quote.side == "target" and words and stands_in(words, normalise(review.text)):
                found.setdefault(words, Evidence(text=words, review=review.id, item=review.item))
    return tuple(found.values())[:k]


def _dropped(features: Sequence[Feature]) -> list[Rejected]:
    counts: dict[tuple[str, str], int] = {}
    for feature in features:
        if not feature.valid:
            said = (_statement(feature), feature.reason or "rejected")
            counts[said] = counts.get(said, 0) + 1
    return [Rejected(statement=name, reason=reason, count=n) for (name, reason), n in counts.items()]


def _statement(feature: Feature) -> str:
    if feature.key is not None:
        return feature.key.phrase
    words = feature.name.split()
    return " ".join(words[:_NAME_WORDS]) + (" ..." if len(words) > _NAME_WORDS else "") or "(no name)"
