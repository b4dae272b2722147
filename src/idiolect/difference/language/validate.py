"""Keep or drop, with a reason for every feature: the five criteria and what the compared texts themselves show.

No model is asked. What a validator model says is laid on top by ``verdicts``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.consistent import resolve
from idiolect.difference.language.criteria import fault
from idiolect.difference.language.feature import Comparison, Feature, Measured
from idiolect.difference.language.mapping import map_feature
from idiolect.difference.language.quotes import Evidence, check_quotes


class ValidationConfig(Config):
    """What a feature must satisfy beyond the checks that always hold."""

    require_quote: bool = False
    """Drop features that quote nothing of the user's text. The papers' format has no quotes."""
    require_category: bool = False
    """Drop features outside the taxonomy, as the authors' judge does; else they stay, unconfirmed."""
    max_words: int = Field(default=80, ge=2)
    """Longest description that is still clear, in words."""
    copied_run: int = Field(default=8, ge=3)
    """As many words in a row of a peer's text make a description a copy, which must not reach a summary."""


def validate(
    features: Iterable[Feature],
    comparison: Comparison,
    *,
    measured: Sequence[Measured] = (),
    config: ValidationConfig | None = None,
) -> list[Feature]:
    """The features of one comparison with status and reason, in order; one with several properties becomes several.

    Dropped: what fails a criterion; what quotes nothing but words that do not stand in the text they are credited to;
    what was measured to be the opposite; of opposite directions the worse evidenced. Kept: what was measured to be so.
    Unconfirmed: what was measured without a sure sign, or cannot be measured. A feature that is already dropped stays
    so.

    Args:
        features: As parsed from the answer about ``comparison``.
        comparison: The texts that were compared.
        measured: What was measured on the same texts, any number an attribute.
        config: None: the defaults.
    """
    rules = config or ValidationConfig()
    evidence = Evidence(comparison)
    units = [unit for feature in features for unit in atomize(feature)]
    return resolve([_checked(unit, evidence, measured, rules) if unit.valid else unit for unit in units])


def atomize(feature: Feature) -> list[Feature]:
    """One feature a property: a description that claims several is split, each part in the taxonomy's own words.

    A description that fails a criterion as a whole is left whole, so that the reason is told once.
    """
    found = map_feature(feature.name, feature.description) if feature.valid and feature.attribute is None else []
    if len(found) < 2 or fault(feature, max_words=len(feature.description) + 1, categorized=False):
        return [feature]
    return [
        replace(
            feature,
            category=claim.key.category,
            attribute=claim.key.attribute,
            direction=claim.key.direction,
            description=f"Compared with others, the user {claim.key.phrase}.",
        )
        for claim in found
    ]


def _checked(feature: Feature, evidence: Evidence, measured: Sequence[Measured], rules: ValidationConfig) -> Feature:
    reason = fault(feature, max_words=rules.max_words, categorized=rules.require_category)
    if reason is not None:
        return replace(feature, status="dropped", reason=reason)
    said = f"{feature.name}. {feature.definition} {feature.description}"
    if evidence.copied_from_peers(said, rules.copied_run):
        return replace(feature, status="dropped", reason="peer_text")
    feature = check_quotes(feature, evidence, required=rules.require_quote)
    return confirm(feature, measured) if feature.valid else feature


def confirm(feature: Feature, measured: Iterable[Measured]) -> Feature:
    """The feature held against what was measured of its attribute in the same comparison.

    Dropped only where an interval lies wholly on the opposite side (and none on the claimed one); kept where one lies
    wholly on the claimed side; unconfirmed otherwise.
    """
    key = feature.key
    if key is None:
        return replace(feature, status="unconfirmed", reason="uncheckable")
    known = [one for one in measured if one.attribute == key.attribute] if key.sign else []
    if not known:
        return replace(feature, status="unconfirmed", reason="unmeasured")
    claimed = [one for one in known if min(key.sign * one.low, key.sign * one.high) > 0]
    opposite = [one for one in known if max(key.sign * one.low, key.sign * one.high) < 0]
    if claimed and not opposite:
        return replace(feature, status="kept", reason=None, measured=claimed[0])
    if opposite and not claimed:
        return replace(feature, status="dropped", reason="measured_opposite", measured=opposite[0])
    return replace(feature, status="unconfirmed", reason="measured_no_effect", measured=known[0])
