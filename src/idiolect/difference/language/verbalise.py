"""Features in one sentence by template: compared with others, this user does A, B and C.

Only phrases of the taxonomy and of the measures are used, never a word that a model or a user wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from idiolect.difference.language.feature import Feature
from idiolect.difference.language.vote import differences
from idiolect.difference.stylometry import MEASURES

LEAD = "Compared with others, this user"
NOT_DISTINGUISHABLE = f"{LEAD} is not distinguishable on these items."
"""What is said where nothing was found."""
UNKNOWN = "How this user differs from others on these items is not known."
"""What is said where nobody could look: no answer about the comparisons could be had or read."""

_MEASURES = {measure.name: measure for measure in MEASURES}


def verbalise(features: Sequence[Feature], *, k: int = 8, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """One user's valid features as a sentence.

    What was measured over all comparisons comes first, in its order; then what single comparisons claim, the best
    supported first, unless its attribute was already spoken of. What was measured in one of several comparisons is left
    out, for all of them together have the better word on it.

    Args:
        features: Of all the user's comparisons.
        k: Phrases at most.
        nothing: What is said where there is nothing to say.
    """
    valid = [feature for feature in features if feature.valid]
    pooled = [feature for feature in valid if not feature.comparison]
    spoken = {feature.attribute for feature in pooled if feature.attribute}
    claimed = [one.features[0] for one in differences(_single(valid), min_support=1) if one.key.attribute not in spoken]
    said = dict.fromkeys(one for feature in [*pooled, *claimed] if (one := phrase(feature)))
    return sentence(said, k=k, nothing=nothing)


def _single(valid: Sequence[Feature]) -> list[Feature]:
    single = [feature for feature in valid if feature.comparison]
    several = len({feature.comparison for feature in single}) > 1
    return [feature for feature in single if not (several and feature.measured and feature.name in _MEASURES)]


def sentence(phrases: Iterable[str], *, k: int = 8, nothing: str = NOT_DISTINGUISHABLE) -> str:
    """The first ``k`` phrases that finish "Compared with others, this user" as one sentence; else ``nothing``."""
    chosen = list(phrases)[:k]
    return f"{LEAD} {'; '.join(chosen)}." if chosen else nothing


def phrase(feature: Feature) -> str | None:
    """What finishes the sentence: the measure's own words where it was measured, else its key's; None without both."""
    of = _MEASURES.get(feature.name) if feature.measured else None
    if of is not None and feature.measured is not None:
        return of.more if feature.measured.difference > 0 else of.less
    return feature.key.phrase if feature.key else None
