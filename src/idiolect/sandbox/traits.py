"""Seeded choices: one stream of numbers for each thing in the world.

The traits: what a user can do differently from others who write about the same item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")


def stream(seed: int, *path: int) -> np.random.Generator:
    """The stream of the thing at ``path``; independent of every other path, and of how many things there are."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=path)))


class Draw:
    """Choices from buffered uniform numbers: scalar calls of a generator cost more than the choices themselves."""

    __slots__ = ("uniform",)

    uniform: Callable[[], float]
    """A number in [0, 1)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.uniform = _numbers(rng).__next__

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self.uniform() < p

    def pick(self, options: Sequence[T]) -> T:
        """One of ``options``, all equally likely."""
        return options[int(self.uniform() * len(options))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """``options`` in random order."""
        rest = list(options)
        for k in range(len(rest) - 1, 0, -1):
            other = int(self.uniform() * (k + 1))
            rest[k], rest[other] = rest[other], rest[k]
        return rest


def _numbers(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(256).tolist()


class WeightedChoice:
    """Names that compete for one place in a sentence, each as often as its weight; most often none where all are low.

    Args:
        names: What may be chosen.
        weights: One non-negative weight a name.
        choice_probability: Share of the total weight that goes into choosing anything at all.
        most: Upper bound of the probability that anything is chosen.
    """

    __slots__ = ("_limits", "_names", "_p")

    def __init__(
        self, names: Sequence[str], weights: Sequence[float], *, choice_probability: float = 0.6, most: float = 0.85
    ) -> None:
        self._names = names
        self._limits = list(accumulate(weights))
        self._p = min(most, choice_probability * self._limits[-1])

    def choose(self, draw: Draw) -> str | None:
        """A name, or nothing."""
        u = draw.uniform()
        if u >= self._p:
            return None
        target = u / self._p * self._limits[-1]
        for name, limit in zip(self._names, self._limits, strict=True):
            if target < limit:
                return name
        return self._names[-1]


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
    more: str
    """The same in one word, for the short space of a virtual token."""
    less: str


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
    Trait(
        "long_sentences",
        "Writing",
        -0.4,
        "strings clauses into long sentences",
        "writes short, clipped sentences",
        "flowing",
        "clipped",
    ),
    Trait(
        "fancy_words", "Writing", -0.6, "uses rare and elevated words", "uses plain everyday words", "elevated", "plain"
    ),
    Trait(
        "exclamation", "Writing", -1.0, "ends sentences with exclamation marks", "never exclaims", "exclaiming", "calm"
    ),
    Trait(
        "informality",
        "Writing",
        -0.4,
        "writes casually, with contractions",
        "writes formally, without contractions",
        "casual",
        "formal",
    ),
    Trait(
        "favourite_words",
        "Writing",
        -1.0,
        "keeps returning to a few pet words",
        "varies the praise and blame",
        "repeating",
        "varied",
    ),
    Trait("positivity", "Emotion", 0.2, "is warmer than the rating", "is cooler than the rating", "warm", "cool"),
    Trait("intensity", "Emotion", -0.8, "piles on strong adverbs", "leaves adjectives bare", "emphatic", "bare"),
    Trait("hedging", "Emotion", -1.0, "hedges every claim", "states opinions flatly", "hedging", "flat"),
    Trait("politeness", "Emotion", -1.6, "is courteous and thankful", "does without courtesies", "courteous", "curt"),
    Trait("specificity", "Semantics", -1.2, "gives numbers and exact details", "stays general", "exact", "general"),
    Trait(
        "causal_talk",
        "Semantics",
        -1.0,
        "gives reasons, because and so",
        "asserts without reasons",
        "reasoning",
        "asserting",
    ),
    Trait(
        "comparison",
        "Semantics",
        -1.4,
        "compares with other things of the kind",
        "makes no comparisons",
        "comparing",
        "absolute",
    ),
    Trait(
        "narrative", "Semantics", -1.4, "tells when and where it happened", "tells no story", "narrating", "storyless"
    ),
    Trait(
        "thematic_depth", "Semantics", -1.6, "asks what it is really about", "stays on the surface", "deep", "shallow"
    ),
    Trait("verbosity", "Semantics", 0.0, "writes at length", "writes briefly", "lengthy", "brief"),
    Trait(
        "paragraphs",
        "Structure",
        -1.4,
        "breaks the text into paragraphs",
        "writes one block",
        "paragraphed",
        "unbroken",
    ),
    Trait("lists", "Structure", -1.8, "lists points for and against", "makes no lists", "listing", "unlisted"),
    Trait(
        "verdict_first",
        "Structure",
        -0.6,
        "opens with the verdict",
        "saves the verdict for the end",
        "judging",
        "withholding",
    ),
    Trait(
        "transitions",
        "Structure",
        -1.0,
        "signposts with first, then, finally",
        "moves on without signposts",
        "signposting",
        "abrupt",
    ),
    Trait("closings", "Structure", -1.2, "closes with the same parting line", "just stops", "parting", "stopping"),
    Trait("quoting", "Pragmatics", -1.6, "quotes what others said", "quotes nobody", "quoting", "unquoting"),
    Trait("questions", "Pragmatics", -1.4, "asks rhetorical questions", "asks no questions", "asking", "unasking"),
    Trait(
        "address",
        "Pragmatics",
        -1.4,
        "speaks to the reader as you",
        "does not address the reader",
        "addressing",
        "impersonal",
    ),
    Trait(
        "imperatives", "Pragmatics", -1.4, "tells the reader what to do", "gives no orders", "commanding", "permissive"
    ),
    Trait(
        "disclosure",
        "Pragmatics",
        -1.8,
        "discloses personal ties and how it was paid",
        "discloses nothing",
        "disclosing",
        "reserved",
    ),
)
N_TRAITS = len(TRAITS)
NAMES: tuple[str, ...] = tuple(trait.name for trait in TRAITS)


def describe(effect: np.ndarray, *, k: int = 6) -> tuple[str, ...]:
    """A user's strongest differences in plain words, the strongest first: an oracle's text profile.

    Args:
        effect: (n_traits,), logits; the user's true effect.
        k: How many.
    """
    return tuple(TRAITS[i].high if effect[i] > 0 else TRAITS[i].low for i in _strongest(effect, k))


def keywords(effect: np.ndarray, *, k: int = 4) -> tuple[str, ...]:
    """The strongest differences as single words, the strongest first; arguments as of ``describe``."""
    return tuple(TRAITS[i].more if effect[i] > 0 else TRAITS[i].less for i in _strongest(effect, k))


def _strongest(effect: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-np.abs(effect), kind="stable")[:k]
