"""One review, written sentence by sentence from an item, a person and how strongly each trait shows."""

from __future__ import annotations

from dataclasses import dataclass

from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.draw import Draw
from idiolect.sandbox.layout import Sentence, lay_out
from idiolect.sandbox.people import Person
from idiolect.sandbox.sentences import aspect, content, extra, headline, mood, opening, points, signed, verdict
from idiolect.sandbox.subject import Subject
from idiolect.sandbox.traits import NAMES, Scores
from idiolect.sandbox.voice import Voice

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


def write(draw: Draw, subject: Subject, person: Person, scores: Scores, config: WorldConfig, *, rating: int) -> Written:
    """A review of ``subject`` by ``person``.

    Args:
        draw: The user's stream.
        subject: The item.
        person: The user.
        scores: Strength of each trait in this review.
        config: For the length aimed at, which verbosity moves by a third either way, and the signature's share.
        rating: 1 to 5 stars; decides what is praised.
    """
    voice = Voice(draw, subject, person, scores, rating=rating)
    title = headline(voice)
    verdict_first = draw.chance(scores.verdict_first)
    opinion, matter = verdict(voice, first=verdict_first), content(voice, first=not verdict_first)
    if draw.chance(config.signature_share):
        if draw.chance(0.5):
            opinion = signed(opinion, person.signature)
        else:
            matter = signed(matter, person.signature)
    room = config.words * (0.55 + 0.7 * scores.verbosity) - opinion.words - matter.words
    extras = _extras(voice, room)
    details = _details(voice, room - sum(sentence.words for sentence in extras))
    inner = draw.shuffled(details + extras)
    body = [opinion, matter, *inner] if verdict_first else [*_opening(voice), matter, *inner, opinion]
    parting = person.closing if draw.chance(scores.closings) else ""
    return Written(title, lay_out(draw, body, scores, parting))


def _opening(voice: Voice) -> list[Sentence]:
    return [opening(voice)] if voice.draw.chance(0.3) else []


def _extras(voice: Voice, room: float) -> list[Sentence]:
    """Sentences of the traits that show, the clearest first, until ``room`` (words) is filled."""
    scores, uniform = voice.scores, voice.draw.uniform
    sentences: list[Sentence] = []
    for margin, trait in sorted(((scores[place] - uniform(), name) for name, place in _EXTRA_PLACES), reverse=True):
        if margin < 0 or room < 5:
            break
        sentences.append(extra(voice, trait))
        room -= sentences[-1].words
    if voice.draw.chance(abs(scores.positivity - 0.5)):
        sentences.append(mood(voice, bright=scores.positivity > 0.5))
    return sentences


def _details(voice: Voice, room: float) -> list[Sentence]:
    """Judgements of the item's facts, one at least, until ``room`` (words) is filled."""
    facts = voice.draw.shuffled(voice.subject.facts)
    if voice.draw.chance(voice.scores.lists):
        return [points(voice, facts[: 3 if room < 20 else 4])]
    sentences: list[Sentence] = []
    for fact in facts:
        if sentences and room < 6:
            break
        sentences.append(aspect(voice, fact))
        room -= sentences[-1].words
    return sentences
