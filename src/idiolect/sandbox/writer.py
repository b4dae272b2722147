"""Sentences to text: joined or apart, in paragraphs or one block.

The kinds of sentences a review is made of.

One review, written sentence by sentence from an item, a person and how strongly each trait shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from idiolect.sandbox.domain import WorldConfig, capital
from idiolect.sandbox.items import Fact, Subject
from idiolect.sandbox.traits import NAMES, Draw, Scores
from idiolect.sandbox.users import Person, StyleSampler

_JOINTS = (", and ", ", while ", "; ")

_BREAK = re.compile(r"\n[\n ]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A clause that starts in lower case, and its end mark."""

    clause: str
    mark: str = "."
    joins: bool = False
    """States something that "and" and "while" may connect with what stands before."""
    block: bool = False
    """Stands on lines of its own."""

    @property
    def words(self) -> int:
        """Number of words."""
        return self.clause.count(" ") + 1


def lay_out(draw: Draw, sentences: list[Sentence], scores: Scores, parting: str) -> str:
    """The text of a review; a parting line, if any, stands last."""
    parts: list[str] = []
    joinable = False
    for sentence in sentences:
        joins = sentence.mark == "." and ":" not in sentence.clause
        if joins and joinable and draw.chance(0.8 * scores.long_sentences):
            joint = draw.pick(_JOINTS) if sentence.joins else "; "
            parts[-1] = f"{parts[-1][:-1]}{joint}{sentence.clause}."
            joinable = False
        elif sentence.block:
            parts.append(f"\n{sentence.clause}\n")
            joinable = False
        else:
            gap = "\n\n" if parts and draw.chance(0.7 * scores.paragraphs) else " "
            parts.append(f"{gap}{capital(sentence.clause)}{sentence.mark}")
            joinable = joins
    if parting:
        gap = "\n\n" if draw.chance(scores.paragraphs) else " "
        parts.append(f"{gap}{parting}")
    return _BREAK.sub(lambda found: "\n\n" if found[0].count("\n") > 1 else "\n", "".join(parts)).strip()


def headline(voice: StyleSampler) -> str:
    """The review's title."""
    trait = voice.headlines.choose(voice.draw)
    whole, good = voice.subject.domain.whole, voice.approves()
    voice.judge(whole, good=good)
    voice.another(whole, good=good)
    return capital(voice.phrase(f"headline {trait or voice.level}"))


def opening(voice: StyleSampler) -> Sentence:
    """A first sentence before the matter: how it came about."""
    if voice.draw.chance(voice.scores.narrative):
        return extra(voice, "narrative")
    return _marked(voice, voice.styled("opening"))


def content(voice: StyleSampler, *, first: bool) -> Sentence:
    """What the item is about."""
    return _marked(voice, voice.led_firmly(voice.phrase("content"), place="first" if first else ""), joins=True)


def verdict(voice: StyleSampler, *, first: bool) -> Sentence:
    """The overall opinion: as the first sentence, often behind a label such as "Bottom line:", or as the last."""
    good = voice.approves()
    voice.judge(voice.subject.domain.whole, good=good)
    clause = voice.styled(f"verdict {voice.level}")
    if first and voice.draw.chance(0.6):
        return _marked(voice, f"{voice.phrase('verdict label')} {voice.tailed(clause, good=good)}")
    clause = voice.led(clause, good=good, place="first" if first else "last")
    return _marked(voice, voice.tailed(clause, good=good), joins=True)


def aspect(voice: StyleSampler, fact: Fact) -> Sentence:
    """A judgement of one fact of the item."""
    good = voice.praises()
    voice.judge(fact.aspect, good=good, fact=fact)
    mode = voice.mode()
    if mode:
        clause = voice.phrase(f"aspect {mode}")
        return _marked(voice, clause) if "?" in clause else _marked(voice, voice.tailed(clause, good=good), joins=True)
    if voice.draw.chance(0.5 - voice.scores.long_sentences):
        return _marked(voice, voice.phrase("aspect fragment"))
    clause = voice.led(voice.styled("aspect"), good=good)
    return _marked(voice, voice.tailed(clause, good=good), joins=True)


def points(voice: StyleSampler, facts: Sequence[Fact]) -> Sentence:
    """Facts as a list of points for and against, one a line."""
    lines: dict[str, list[str]] = {"good": [], "bad": []}
    for fact in facts:
        good = voice.praises()
        voice.judge(fact.aspect, good=good, fact=fact)
        lines["good" if good else "bad"].append(voice.fill("- {attr} {fact}"))
    halves = [[voice.phrase(f"list {side} heading"), *half] for side, half in lines.items() if half]
    return Sentence("\n".join(line for half in halves for line in half), mark="", block=True)


def extra(voice: StyleSampler, trait: str) -> Sentence:
    """A sentence that only shows ``trait``."""
    phrases = voice.sections()
    options = phrases.get(trait, ()) + phrases.get(f"{trait} {'good' if voice.approves() else 'bad'}", ())
    clause = voice.fill(voice.draw.pick(options))
    signpost = not clause.endswith("?") and voice.draw.uniform() < 0.4 * voice.scores.transitions
    return _marked(voice, f"{voice.phrase('lead transitions')} {clause}" if signpost else clause)


def mood(voice: StyleSampler, *, bright: bool) -> Sentence:
    """A feeling that leans one way whatever the rating."""
    return _marked(voice, voice.phrase("positivity" if bright else "negativity"))


def signed(sentence: Sentence, signature: str) -> Sentence:
    """``sentence`` with a signature phrase at its end."""
    return Sentence(f"{sentence.clause}, {signature}", sentence.mark)


def _marked(voice: StyleSampler, clause: str, *, joins: bool = False) -> Sentence:
    if clause.endswith("?"):
        return Sentence(clause, mark="")
    return Sentence(clause, mark="!" if voice.draw.uniform() < 0.75 * voice.scores.exclamation else ".", joins=joins)


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
    voice = StyleSampler(draw, subject, person, scores, rating=rating)
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


def _opening(voice: StyleSampler) -> list[Sentence]:
    return [opening(voice)] if voice.draw.chance(0.3) else []


def _extras(voice: StyleSampler, room: float) -> list[Sentence]:
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


def _details(voice: StyleSampler, room: float) -> list[Sentence]:
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
