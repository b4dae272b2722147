"""One review, written sentence by sentence from an item, a person and how strongly each trait shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idiolect.sandbox.catalogue import Fact, Subject
from idiolect.sandbox.draw import Draw
from idiolect.sandbox.layout import Sentence, lay_out
from idiolect.sandbox.people import Person
from idiolect.sandbox.phrasing import Phrasing
from idiolect.sandbox.traits import NAMES, Scores

_EXTRAS = (
    "causal_talk",
    "comparison",
    "narrative",
    "thematic_depth",
    "specificity",
    "politeness",
    "quoting",
    "questions",
    "address",
    "imperatives",
    "disclosure",
)
"""Traits that bring a sentence of their own."""
_EXTRA_PLACES = tuple((name, NAMES.index(name)) for name in _EXTRAS)


@dataclass(frozen=True, slots=True)
class Written:
    """What a user wrote about an item."""

    title: str
    text: str


def write(
    draw: Draw, subject: Subject, person: Person, scores: Scores, *, rating: int, words: int, signature_share: float
) -> Written:
    """A review of ``subject`` by ``person``.

    Args:
        draw: The user's stream.
        subject: The item.
        person: The user.
        scores: Strength of each trait in this review.
        rating: 1 to 5 stars; decides what is praised.
        words: Length aimed at, in words; verbosity moves it by a third either way.
        signature_share: Probability that the user's signature phrase occurs.
    """
    phrasing = Phrasing(draw, subject, person, scores, rating=rating)
    title = phrasing.headline()
    verdict_first = draw.chance(scores.verdict_first)
    verdict = phrasing.verdict(first=verdict_first)
    content = phrasing.content(first=not verdict_first)
    if draw.chance(signature_share):
        if draw.chance(0.5):
            verdict = phrasing.signed(verdict)
        else:
            content = phrasing.signed(content)
    room = words * (0.55 + 0.7 * scores.verbosity) - verdict.words - content.words
    extras = _extras(draw, phrasing, scores, room)
    aspects = _aspects(draw, phrasing, scores, subject.facts, room - sum(extra.words for extra in extras))
    inner = draw.shuffled(aspects + extras)
    body = [verdict, content, *inner] if verdict_first else [*_opening(draw, phrasing), content, *inner, verdict]
    parting = person.closing if draw.chance(scores.closings) else ""
    return Written(title, lay_out(draw, body, scores, parting))


def _opening(draw: Draw, phrasing: Phrasing) -> list[Sentence]:
    return [phrasing.opening()] if draw.chance(0.3) else []


def _extras(draw: Draw, phrasing: Phrasing, scores: Scores, room: float) -> list[Sentence]:
    sentences: list[Sentence] = []
    on = [name for name, place in _EXTRA_PLACES if draw.uniform() < scores[place]]
    for name in draw.shuffled(on):
        if room < 6:
            break
        sentences.append(phrasing.extra(name))
        room -= sentences[-1].words
    if draw.chance(abs(scores.positivity - 0.5)):
        sentences.append(phrasing.mood(bright=scores.positivity > 0.5))
    return sentences


def _aspects(draw: Draw, phrasing: Phrasing, scores: Scores, facts: Sequence[Fact], room: float) -> list[Sentence]:
    facts = draw.shuffled(facts)
    if draw.chance(scores.lists):
        return [phrasing.points(facts[: 3 if room < 20 else 4])]
    sentences: list[Sentence] = []
    for fact in facts:
        if sentences and room < 6:
            break
        sentences.append(phrasing.aspect(fact))
        room -= sentences[-1].words
    return sentences
