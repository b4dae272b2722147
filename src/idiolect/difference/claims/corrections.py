"""What users said about differences that are claimed of them: muted ones are left out, corrected ones replaced.

A correction names a measure (``exclamations``) or an attribute of the taxonomy (``writing/exclamations``); it holds for
everything that speaks of the same attribute, in either direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.stylometric import CHECKS
from idiolect.difference.claims.taxonomy import ATTRIBUTES
from idiolect.difference.stylometry import MEASURES, NAMES
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.store.base import Correction

_ATTRIBUTE_OF = {of.name: CHECKS.get(of.name, of.attribute) for of in MEASURES}
MOST_CHARS = 500
"""Of a user's statement: it goes into prompts."""


def check_correction(correction: Correction) -> None:
    """Refuse a correction of what nothing is ever claimed of.

    Raises:
        ConfigError: There is no such difference, or the statement is too long.
    """
    known = (*NAMES, *ATTRIBUTES)
    if correction.difference not in known:
        raise ConfigError(f"unknown difference {correction.difference!r}", hint=suggest(correction.difference, known))
    if len(correction.text) > MOST_CHARS:
        raise ConfigError(f"the statement is longer than {MOST_CHARS} characters", hint="say it in a sentence")


def hidden_by(corrections: Iterable[Correction]) -> frozenset[str]:
    """Measures and attributes that nothing is claimed of.

    Example:
        >>> sorted(hidden_by([Correction(difference="writing/exclamations")]))
        ['exclamations', 'writing/exclamations']
    """
    named = {one.difference for one in corrections}
    attributes = {attribute for name in named if (attribute := _ATTRIBUTE_OF.get(name))} | (named & {*ATTRIBUTES})
    # A muted measure hides its attribute's claims by models, and a muted attribute its measures.
    measures = {name for name, attribute in _ATTRIBUTE_OF.items() if attribute in named}
    return frozenset(named | attributes | measures)


def without_corrected(features: Sequence[Feature], corrections: Sequence[Correction]) -> list[Feature]:
    """The features, those of corrected differences dropped."""
    hidden = hidden_by(corrections)
    return [
        replace(one, status="dropped", reason="muted")
        if one.valid and (one.name in hidden or (one.name not in NAMES and one.attribute in hidden))
        else one
        for one in features
    ]


def statements(corrections: Iterable[Correction]) -> list[str]:
    """What users said instead, on one line each."""
    return [" ".join(one.text.split()) for one in corrections if one.text]
