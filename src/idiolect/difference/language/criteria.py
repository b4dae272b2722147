"""The five criteria of DRP's validation as rules over one description; those that need a second claim are elsewhere.

Names from the paper, operational meaning after the authors' analysis script: comparative, atomic, clear, categorized
(which excludes content and opinion), consistent.
"""

from __future__ import annotations

import re

from idiolect.difference.language.content import is_content_bias
from idiolect.difference.language.feature import Feature, Reason
from idiolect.difference.language.mapping import claims

_COMPARES = re.compile(
    r"\b(?:more|less|fewer|higher|lower|greater|than|compared|comparison|contrast|unlike|whereas|while|instead|rather"
    r"|others?|peers?|most|relative|differ\w*|distinct\w*|stands?\s+out"
    r"|(?:long|short|rich|simpl|clear|deep|dens|strong|calm|warm|cool|harsh|broad|heav|light|terse|plain|blunt|polit)"
    r"i?e?r)\b",
    re.IGNORECASE,
)
_SAME = re.compile(
    r"\b(?:no|little|without)\s+(?:\w+\s+){0,3}differen\w+|\bsimilar(?:ly)?\s+to\b|\b(?:the\s+)?same\s+as\b"
    r"|n[o']t\s+differ\b|\bcomparable\s+to\b|\bon\s+par\s+with\b|\bjust\s+like\b|\bin\s+line\s+with\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[(?:explain|describe|insert|how|feature)|^\W*(?:n/?a|none|tbd|\.{3}|…)\W*$", re.IGNORECASE)


def fault(feature: Feature, *, max_words: int, categorized: bool) -> Reason | None:
    """The first criterion a single feature fails, as its reason; None where it passes.

    Args:
        feature: What is claimed.
        max_words: Longest description that is still clear.
        categorized: Whether a place in the taxonomy is required.
    """
    if not is_clear(feature.description, max_words=max_words):
        return "unclear"
    if _SAME.search(feature.description):
        return "no_difference"
    if is_content_bias(feature.description):
        return "content_bias"
    if not (feature.stated or is_comparative(feature.description)):
        return "no_comparison"
    if contradicts_itself(feature):
        return "inconsistent"
    return "uncategorized" if categorized and feature.key is None else None


def is_clear(description: str, *, max_words: int) -> bool:
    """Whether it says something in words: at least two of them, no more than ``max_words``, no blank to fill in."""
    words = re.findall(r"[^\W\d_]{2,}", description)
    return 2 <= len(words) <= max_words and not _PLACEHOLDER.search(description)


def is_comparative(description: str) -> bool:
    """Whether it sets the user against the others: more, fewer, longer, unlike them."""
    return _COMPARES.search(description) is not None


def contradicts_itself(feature: Feature) -> bool:
    """Whether its stated direction is not the one its description speaks of."""
    if not feature.stated or feature.key is None:
        return False
    said = [claim.key for claim in claims(feature.description) if claim.key.attribute == feature.attribute]
    return bool(said) and feature.key not in said
