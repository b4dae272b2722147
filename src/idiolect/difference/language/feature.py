"""A difference as a record: what is claimed, on which evidence, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from idiolect.difference.language.taxonomy import Category, Key, by_pair

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
]
"""Why a feature is not simply kept.

``measured_no_effect``, ``unmeasured`` and ``uncheckable`` (outside the taxonomy) leave it unconfirmed; ``unsupported``
and ``outvoted`` come from the vote over comparisons, ``rejected`` from a validator model.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The texts one extraction looked at: a review of the user and others' reviews of the same item."""

    id: str
    """Of the anchor: the user's own review."""
    target: str
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far a measured attribute of the user's text lies from the others' in one comparison."""

    attribute: str
    """One of ``taxonomy.ATTRIBUTES``."""
    difference: float
    """The user's minus the others', in the measure's unit; positive: higher on the attribute's scale."""
    low: float
    """Lower end of the difference's interval."""
    high: float
    """Upper end of the difference's interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Words said to stand in a text."""

    text: str
    side: Side = "target"
    """Whose text it is credited to."""
    peer: int | None = None
    """Which of the others, counted from 0; None: any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One claimed difference between a user and others who wrote about the same item.

    Source: DRP, whose extractor emits name, definition and difference description; the rest is what makes it checkable.
    """

    name: str
    definition: str = ""
    description: str = ""
    """How the user differs from the others."""
    category: Category | None = None
    attribute: str | None = None
    """One of ``taxonomy.ATTRIBUTES``; None: outside the taxonomy, so that nothing about it can be checked or voted."""
    direction: str | None = None
    stated: bool = False
    """Attribute and direction were given by the model, not read off the description."""
    quotes: tuple[Quote, ...] = ()
    """The evidence that stands; before validation, all of it."""
    rejected_quotes: tuple[Quote, ...] = ()
    """Quotes that do not stand in the text they are credited to, or show nothing: a word that everybody uses."""
    comparison: str = ""
    """Id of the comparison it was claimed from."""
    measured: Measured | None = None
    """What was measured of the attribute in that comparison."""
    status: Status = "unconfirmed"
    reason: Reason | None = None
    """Why it is dropped or unconfirmed; None where it is kept, or where nobody has looked yet."""
    detail: str = ""
    """What a validator model said about it."""
    support: int = 1
    """In how many of the user's comparisons it was claimed and not dropped."""

    @property
    def key(self) -> Key | None:
        """Its place in the taxonomy."""
        return by_pair(self.attribute, self.direction) if self.attribute and self.direction else None

    @property
    def valid(self) -> bool:
        """Whether it may reach a summary: kept, or merely not confirmed."""
        return self.status != "dropped"
