"""A claimed difference as a record: the claim, its evidence and its status; and its JSON form.

``FEATURES_SCHEMA`` is for backends that enforce a schema, ``read_objects`` reads what other models return.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from idiolect.difference.claims import lenient_json as lenient
from idiolect.difference.claims.taxonomy import ATTRIBUTES, CATEGORIES, KEYS, Category, Key, by_pair

Side = Literal["target", "peer"]
Status = Literal["kept", "unconfirmed", "dropped"]
Reason = Literal[
    "format_error",
    "no_comparison",
    "no_difference",
    "not_atomic",
    "unclear",
    "content_bias",
    "uncategorized",
    "inconsistent",
    "duplicate",
    "invented_quote",
    "peer_quote",
    "no_quote",
    "peer_text",
    "measured_opposite",
    "measured_no_effect",
    "unmeasured",
    "uncheckable",
    "rejected",
    "unsupported",
    "outvoted",
    "muted",
]
"""Why a feature is dropped or unconfirmed.

``measured_no_effect``, ``unmeasured`` and ``uncheckable`` (outside the taxonomy) leave it unconfirmed; ``unsupported``
and ``outvoted`` come from the vote over comparisons, ``rejected`` from a validator model, ``muted`` from the user.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The texts of one extraction: a review of the user and peers' reviews of the same item."""

    id: str
    """Id of the anchor, the user's own review."""
    target: str
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measured difference of an attribute between the user's text and peers' texts in one comparison."""

    attribute: str
    """One of ``taxonomy.ATTRIBUTES``."""
    difference: float
    """The user's value minus the peers' mean, in the measure's unit; positive: higher on the attribute's scale."""
    low: float
    """Lower end of the difference's interval."""
    high: float
    """Upper end of the difference's interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Evidence: words that the claim quotes from a text."""

    text: str
    side: Side = "target"
    """The quoted text: the user's or a peer's."""
    peer: int | None = None
    """Index of the peer, from 0; None: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One claimed difference between a user and peers on the same item.

    Name, definition and description are what DRP's extractor returns; the other fields make the claim checkable.
    """

    name: str
    definition: str = ""
    description: str = ""
    """How the user differs from peers."""
    category: Category | None = None
    attribute: str | None = None
    """One of ``taxonomy.ATTRIBUTES``; None: outside the taxonomy, so that it can be neither checked nor voted on."""
    direction: str | None = None
    stated: bool = False
    """Whether the model gave attribute and direction; else they were read from the description."""
    quotes: tuple[Quote, ...] = ()
    """Evidence; after validation, the verified part."""
    rejected_quotes: tuple[Quote, ...] = ()
    """Quotes that are not in the quoted text, or that show nothing (a word that everybody uses)."""
    comparison: str = ""
    """Id of the comparison."""
    measured: Measured | None = None
    """Measurement of the attribute in that comparison."""
    status: Status = "unconfirmed"
    reason: Reason | None = None
    """Why it is dropped or unconfirmed; None if it is kept or not validated yet."""
    detail: str = ""
    """Comment of a validator model."""
    support: int = 1
    """Number of the user's comparisons with this claim, dropped ones not counted."""

    @property
    def key(self) -> Key | None:
        """Its place in the taxonomy."""
        return by_pair(self.attribute, self.direction) if self.attribute and self.direction else None

    @property
    def valid(self) -> bool:
        """Whether it may be summarized: kept or unconfirmed."""
        return self.status != "dropped"


OTHER = "other"
"""Attribute, category or direction outside the taxonomy."""

_QUOTE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "side", "peer"],
    "properties": {
        "text": {"type": "string", "description": "words copied from the review, unchanged"},
        "side": {"type": "string", "enum": ["target", "peer"]},
        "peer": {"type": ["integer", "null"], "description": "number of the other review, from 1; null for the user's"},
    },
}
_FEATURE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "definition", "description", "category", "attribute", "direction", "quotes"],
    "properties": {
        "name": {"type": "string"},
        "definition": {"type": "string"},
        "description": {"type": "string", "description": "how the user differs from the others: more or less of what"},
        "category": {"type": "string", "enum": [*CATEGORIES, OTHER]},
        "attribute": {"type": "string", "enum": [*ATTRIBUTES, OTHER]},
        "direction": {"type": "string", "enum": [*sorted({key.direction for key in KEYS}), OTHER]},
        "quotes": {"type": "array", "items": _QUOTE},
    },
}
FEATURES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["features"],
    "properties": {"features": {"type": "array", "items": _FEATURE}},
}
"""JSON schema of an extraction; every property is required, as in strict structured outputs. Do not change it."""

_NAMES = ("name", "feature_name", "feature", "title", "dimension")
_DESCRIPTIONS = ("description", "difference", "difference_description", "explanation")
_LISTS = ("features", "differences", "dimensions")
_NOTHING = re.compile(
    r"\b(?:no|not\s+any|without|hardly\s+any|zero)\b[^.!?\n]{0,80}?\bdifferen"
    r"|(?:\b(?:not|cannot|can't|don't|doesn't)|n['’]t)\b[^.!?\n]{0,60}?\b(?:differ|distinguish|tell\b[^.!?\n]{0,20}\bapart)"
    r"|\bindistinguishable\b|\bnothing\b[^.!?\n]{0,60}?\b(?:differ|distinguish|stands?\s+out)"
    r"|^\W*(?:none|nothing|n/?a|no|null)\W*$",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|however|although|though|while|whereas|except|only|unlike)\b", re.IGNORECASE)
_LONGEST_NOTHING = 400
"""Longest prose answer that is read as "no difference"; a longer one probably names some."""


def read_objects(text: str) -> list[dict[str, Any]]:
    """The objects in ``text`` that may be features, in a list, under any key or bare.

    Fields are renamed to those of the schema (``title`` to ``name``, ``difference_description`` to ``description``). An
    object without a name takes the key that it is under. Of a truncated list the complete objects are returned.
    """
    found = lenient.objects(lenient.read_values(text), *_NAMES, *_DESCRIPTIONS)
    return [_renamed(value, under) for under, value in found]


def says_no_difference(text: str) -> bool:
    """Whether an answer states that there is no difference: an empty list, or a short sentence that says so."""
    if lenient.says_none(lenient.read_values(text), *_LISTS):
        return True
    said = text.strip()
    return len(said) <= _LONGEST_NOTHING and not _BUT.search(said) and _NOTHING.search(said) is not None


def _renamed(value: dict[str, Any], under: str) -> dict[str, Any]:
    fields = {key.strip().lower(): inner for key, inner in value.items()}
    by_key = {lenient.plain_key(key): inner for key, inner in value.items()}
    for wanted, others in (("name", _NAMES), ("description", _DESCRIPTIONS)):
        said = (one for name in others if (one := text_of(by_key, lenient.plain_key(name))))
        fields[wanted] = next(said, under if wanted == "name" and lenient.plain_key(under) not in _LISTS else "")
    return fields


def text_of(value: dict[str, Any], name: str) -> str:
    """A field as one line of text; empty if it is missing or of another type."""
    content = value.get(name)
    return lenient.whole(" ".join(content.split())) if isinstance(content, str) else ""


def quotes_of(value: dict[str, Any]) -> list[Quote]:
    """The quotes of a feature's object; plain strings are quotes of the user."""
    listed = value.get("quotes")
    return [quote for one in (listed if isinstance(listed, list) else [listed]) if (quote := _quote(one))]


def _quote(value: Any) -> Quote | None:
    if isinstance(value, str):
        return Quote(text=lenient.whole(value)) if value.strip() else None
    if not isinstance(value, dict) or not (text := text_of(value, "text")):
        return None
    if text_of(value, "side").lower() != "peer":
        return Quote(text=text)
    number = value.get("peer")
    return Quote(text=text, side="peer", peer=number - 1 if type(number) is int and number > 0 else None)
