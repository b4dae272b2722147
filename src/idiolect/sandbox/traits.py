"""The planted traits: what a user can do differently from others who write about the same item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

Category = Literal["Writing", "Emotion", "Semantics", "Structure", "Pragmatics"]


@dataclass(frozen=True, slots=True)
class Trait:
    """One way of writing, graded from absent to marked.

    ``high`` and ``low`` finish the sentence "Compared with others, this user ...", for profiles in plain words.
    """

    name: str
    category: Category
    base: float
    """Logit of the trait's strength where item, user and noise add nothing."""
    high: str
    low: str


class Scores(NamedTuple):
    """How strongly each trait shows in one review, each in (0, 1); the order of ``TRAITS``."""

    long_sentences: float
    fancy_words: float
    exclamation: float
    informality: float
    favourite_words: float
    positivity: float
    intensity: float
    hedging: float
    politeness: float
    specificity: float
    causal_talk: float
    comparison: float
    narrative: float
    thematic_depth: float
    verbosity: float
    paragraphs: float
    lists: float
    verdict_first: float
    transitions: float
    closings: float
    quoting: float
    questions: float
    address: float
    imperatives: float
    disclosure: float


TRAITS: tuple[Trait, ...] = (
    Trait("long_sentences", "Writing", -0.4, "strings clauses into long sentences", "writes short, clipped sentences"),
    Trait("fancy_words", "Writing", -0.6, "uses rare and elevated words", "uses plain everyday words"),
    Trait("exclamation", "Writing", -1.0, "ends sentences with exclamation marks", "never exclaims"),
    Trait(
        "informality", "Writing", -0.4, "writes casually, with contractions", "writes formally, without contractions"
    ),
    Trait("favourite_words", "Writing", -1.0, "keeps returning to a few pet words", "varies the praise and blame"),
    Trait("positivity", "Emotion", 0.2, "is warmer than the rating", "is cooler than the rating"),
    Trait("intensity", "Emotion", -0.8, "piles on strong adverbs", "leaves adjectives bare"),
    Trait("hedging", "Emotion", -1.0, "hedges every claim", "states opinions flatly"),
    Trait("politeness", "Emotion", -1.6, "is courteous and thankful", "does without courtesies"),
    Trait("specificity", "Semantics", -1.2, "gives numbers and exact details", "stays general"),
    Trait("causal_talk", "Semantics", -1.0, "gives reasons, because and so", "asserts without reasons"),
    Trait("comparison", "Semantics", -1.4, "compares with other things of the kind", "makes no comparisons"),
    Trait("narrative", "Semantics", -1.4, "tells when and where it happened", "tells no story"),
    Trait("thematic_depth", "Semantics", -1.6, "asks what it is really about", "stays on the surface"),
    Trait("verbosity", "Semantics", 0.0, "writes at length", "writes briefly"),
    Trait("paragraphs", "Structure", -1.4, "breaks the text into paragraphs", "writes one block"),
    Trait("lists", "Structure", -1.8, "lists points for and against", "makes no lists"),
    Trait("verdict_first", "Structure", -0.6, "opens with the verdict", "saves the verdict for the end"),
    Trait("transitions", "Structure", -1.0, "signposts with first, then, finally", "moves on without signposts"),
    Trait("closings", "Structure", -1.2, "closes with the same parting line", "just stops"),
    Trait("quoting", "Pragmatics", -1.6, "quotes what others said", "quotes nobody"),
    Trait("questions", "Pragmatics", -1.4, "asks rhetorical questions", "asks no questions"),
    Trait("address", "Pragmatics", -1.4, "speaks to the reader as you", "does not address the reader"),
    Trait("imperatives", "Pragmatics", -1.4, "tells the reader what to do", "gives no orders"),
    Trait("disclosure", "Pragmatics", -1.8, "discloses personal ties and how it was paid", "discloses nothing"),
)
N_TRAITS = len(TRAITS)
NAMES: tuple[str, ...] = tuple(trait.name for trait in TRAITS)


def describe(effect: np.ndarray, *, k: int = 6) -> tuple[str, ...]:
    """A user's strongest differences in plain words, the strongest first: an oracle's text profile.

    Args:
        effect: (n_traits,), logits; the user's planted effect.
        k: How many.
    """
    strongest = np.argsort(-np.abs(effect), kind="stable")[:k]
    return tuple(TRAITS[i].high if effect[i] > 0 else TRAITS[i].low for i in strongest)
