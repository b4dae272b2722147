"""The users of a world: their own ways of writing, tastes and habits.

How one review picks its words: register, adjectives, and the trait marks in front of a clause and behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.domain import N_FAVOURITES, Aspect, Sections, TemplateFields, WorldConfig, read
from idiolect.sandbox.items import Fact, Subject
from idiolect.sandbox.traits import N_TRAITS, NAMES, Draw, Scores, WeightedChoice, stream

_STREAM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What makes one user's reviews differ from the others'."""

    effect: np.ndarray
    """float32 (n_traits,): what the user adds to the trait logits of all they write."""
    leniency: float
    """Standard normal; added to every rating."""
    favourites: tuple[int, ...]
    """The genres most of their reviews are about."""
    pet_good: tuple[str, ...]
    pet_bad: tuple[str, ...]
    """The words they fall back on, for praise and for blame."""
    closing: str
    """The line they part with."""
    signature: str
    """The phrase that only few others use."""


def person(user: int, config: WorldConfig, *, n_genres: int) -> Person:
    """User number ``user``, the same whatever else the world holds."""
    rng = stream(config.seed, _STREAM, user)
    effect = (config.user_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    leniency = float(rng.standard_normal())
    draw, common, traits = Draw(rng), read("common"), read("traits")
    return Person(
        effect=effect,
        leniency=leniency,
        favourites=tuple(draw.shuffled(range(n_genres))[:N_FAVOURITES]),
        pet_good=_two(draw, common["favourite good"]),
        pet_bad=_two(draw, common["favourite bad"]),
        closing=draw.pick(traits["closing"]),
        signature=draw.pick(traits["signature"]),
    )


def _two(draw: Draw, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(draw.shuffled(words)[:2])


_PRAISE = (0.06, 0.2, 0.5, 0.8, 0.94)
"""Probability that an aspect is praised, by rating from 1 to 5 stars."""


class Marks:
    """Trait marks that compete for one place in a sentence.

    Args:
        names: Traits that have phrases for the place.
        choice_probability: How readily the place is filled (see ``WeightedChoice``).
    """

    __slots__ = ("_appetite", "_names", "_places")

    def __init__(self, *names: str, choice_probability: float) -> None:
        self._names = names
        self._places = tuple(NAMES.index(name) for name in names)
        self._appetite = choice_probability

    def choice(self, scores: Scores) -> WeightedChoice:
        """The choice for a review of these scores."""
        return WeightedChoice(self._names, [scores[place] for place in self._places], choice_probability=self._appetite)


_HEADLINES = Marks("questions", "hedging", "exclamation", "fancy_words", "informality", choice_probability=0.35)
_LEADS = Marks(
    "hedging", "informality", "politeness", "transitions", "transitions", "exclamation", "address", "disclosure",
    "narrative", "imperatives", choice_probability=0.4,
)  # fmt: skip
_FIRM_LEADS = Marks("informality", "transitions", "exclamation", "address", choice_probability=0.45)
_TAILS = Marks(
    "causal_talk", "comparison", "specificity", "narrative", "thematic_depth", "long_sentences", "hedging",
    choice_probability=0.4,
)  # fmt: skip
_MODES = Marks("hedging", "questions", "address", "quoting", "imperatives", "politeness", choice_probability=0.4)


class StyleSampler:
    """The words of one review; everything random comes from ``draw``."""

    __slots__ = (
        "_casual",
        "_fields",
        "_firm_leads",
        "_leads",
        "_modes",
        "_person",
        "_phrases",
        "_praise",
        "_tails",
        "draw",
        "headlines",
        "level",
        "scores",
        "subject",
    )  # fmt: skip

    def __init__(self, draw: Draw, subject: Subject, person: Person, scores: Scores, *, rating: int) -> None:
        self.draw = draw
        self.subject = subject
        self.scores = scores
        self.level = "good" if rating > 3 else "bad" if rating < 3 else "mid"
        self._person = person
        self._praise = min(0.98, max(0.02, _PRAISE[rating - 1] + 0.3 * (scores.positivity - 0.5)))
        self._phrases = subject.domain.formal
        self._casual = subject.domain.casual
        self._fields = TemplateFields(subject.fields)
        self._leads = _LEADS.choice(scores)
        self._firm_leads = _FIRM_LEADS.choice(scores)
        self._tails = _TAILS.choice(scores)
        self._modes = _MODES.choice(scores)
        self.headlines = _HEADLINES.choice(scores)

    def praises(self) -> bool:
        """Whether the next detail is praised; most often as the rating has it."""
        return self.draw.uniform() < self._praise

    def approves(self) -> bool:
        """Whether the item as a whole is praised: as the rating has it, by chance at three stars."""
        return self.praises() if self.level == "mid" else self.level == "good"

    def phrase(self, section: str) -> str:
        """A phrase of ``section`` with its fields filled."""
        return self.fill(self.draw.pick(self.sections()[section]))

    def styled(self, section: str) -> str:
        """Like ``phrase``, in elevated or casual wording where the traits ask for it."""
        phrases = self.sections()
        for style, score in (("fancy", self.scores.fancy_words), ("casual", self.scores.informality)):
            options = phrases.get(f"{section} {style}")
            if options and self.draw.uniform() < 0.6 * score:
                return self.fill(self.draw.pick(options))
        return self.fill(self.draw.pick(phrases[section]))

    def sections(self) -> Sections:
        """The phrase phrases for the next sentence, with contractions or without."""
        return self._casual if self.draw.uniform() < self.scores.informality else self._phrases

    def fill(self, phrase: str) -> str:
        """``phrase`` with its fields filled."""
        if "{" not in phrase:
            return phrase
        if "{num" in phrase:
            self._fields["num"] = str(self.draw.integer(2, 9))
            self._fields["num2"] = str(self.draw.integer(2, 9))
            self._fields["num9"] = str(self.draw.integer(9, 12))
        return phrase.format_map(self._fields)

    def mode(self) -> str | None:
        """A trait that shapes the next judgement as a whole, or none."""
        return self._modes.choose(self.draw)

    def led(self, clause: str, *, good: bool, place: str = "") -> str:
        """``clause`` behind a trait mark such as "I think"; ``place`` is ``first``, ``last`` or empty."""
        return self._led(self._leads.choose(self.draw), clause, good, place)

    def led_firmly(self, clause: str, *, place: str = "") -> str:
        """``led`` without the marks that only suit opinions."""
        return self._led(self._firm_leads.choose(self.draw), clause, True, place)

    def tailed(self, clause: str, *, good: bool) -> str:
        """``clause`` followed by a trait mark such as ", because nothing here is wasted"."""
        trait = self._tails.choose(self.draw)
        if trait is None:
            return clause
        return f"{clause}, {self.phrase(_sided(f'tail {trait}', good, self._phrases))}"

    def judge(self, aspect: Aspect, *, good: bool, fact: Fact | None = None) -> None:
        """Fill the fields that judge ``aspect``, and those that speak of ``fact``."""
        fields = self._fields
        if fact:
            fields |= fact.fields
        adj = self._adjective(good, aspect.adjectives if fact else aspect.attributes)
        attr = fields["bare"] = adj if " " not in adj else self._adjective(good, aspect.attributes)
        if self.draw.uniform() < self.scores.intensity:
            fancy = self.draw.uniform() < self.scores.fancy_words
            adverb = self.draw.pick(self._phrases["intensity fancy" if fancy else "intensity"])
            attr = f"{adverb} {attr}"
            adj = adj if " " in adj else attr
        fields["adj"] = adj
        fields["attr"] = attr

    def another(self, aspect: Aspect, *, good: bool) -> None:
        """Fill the gap for a second adjective of ``aspect``."""
        options = aspect.attributes[good, self.draw.uniform() < self.scores.fancy_words]
        self._fields["adj2"] = self.draw.pick([word for word in options if word != self._fields["bare"]])

    def _led(self, trait: str | None, clause: str, good: bool, place: str) -> str:
        if trait is None:
            return clause
        section = f"lead {trait} {place}" if trait == "transitions" and place else f"lead {trait}"
        return f"{self.phrase(_sided(section, good, self._phrases))} {clause}"

    def _adjective(self, good: bool, table: Mapping[tuple[bool, bool], Sequence[str]]) -> str:
        uniform = self.draw.uniform
        if uniform() < 0.95 * self.scores.favourite_words:
            return self.draw.pick(self._person.pet_good if good else self._person.pet_bad)
        return self.draw.pick(table[good, uniform() < self.scores.fancy_words])


def _sided(section: str, good: bool, phrases: Sections) -> str:
    """``section``, or its half for praise or blame where it has two."""
    return section if section in phrases else f"{section} {'good' if good else 'bad'}"
