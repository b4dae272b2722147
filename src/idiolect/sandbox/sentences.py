"""The kinds of sentences a review is made of."""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.sandbox.gaps import capital
from idiolect.sandbox.layout import Sentence
from idiolect.sandbox.subject import Fact
from idiolect.sandbox.voice import Voice


def headline(voice: Voice) -> str:
    """The review's title."""
    trait = voice.headlines.choose(voice.draw)
    whole, good = voice.subject.domain.whole, voice.approves()
    voice.judge(whole, good=good)
    voice.another(whole, good=good)
    return capital(voice.phrase(f"headline {trait or voice.level}"))


def opening(voice: Voice) -> Sentence:
    """A first sentence before the matter: how it came about."""
    if voice.draw.chance(voice.scores.narrative):
        return extra(voice, "narrative")
    return _marked(voice, voice.styled("opening"))


def content(voice: Voice, *, first: bool) -> Sentence:
    """What the item is about."""
    return _marked(voice, voice.led_firmly(voice.phrase("content"), place="first" if first else ""), joins=True)


def verdict(voice: Voice, *, first: bool) -> Sentence:
    """The overall opinion: as the first sentence, often behind a label such as "Bottom line:", or as the last."""
    good = voice.approves()
    voice.judge(voice.subject.domain.whole, good=good)
    clause = voice.styled(f"verdict {voice.level}")
    if first and voice.draw.chance(0.6):
        return _marked(voice, f"{voice.phrase('verdict label')} {voice.tailed(clause, good=good)}")
    clause = voice.led(clause, good=good, place="first" if first else "last")
    return _marked(voice, voice.tailed(clause, good=good), joins=True)


def aspect(voice: Voice, fact: Fact) -> Sentence:
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


def points(voice: Voice, facts: Sequence[Fact]) -> Sentence:
    """Facts as a list of points for and against, one a line."""
    lines: dict[str, list[str]] = {"good": [], "bad": []}
    for fact in facts:
        good = voice.praises()
        voice.judge(fact.aspect, good=good, fact=fact)
        lines["good" if good else "bad"].append(voice.fill("- {attr} {fact}"))
    halves = [[voice.phrase(f"list {side} heading"), *half] for side, half in lines.items() if half]
    return Sentence("\n".join(line for half in halves for line in half), mark="", block=True)


def extra(voice: Voice, trait: str) -> Sentence:
    """A sentence that only shows ``trait``."""
    bank = voice.sections()
    options = bank.get(trait, ()) + bank.get(f"{trait} {'good' if voice.approves() else 'bad'}", ())
    clause = voice.fill(voice.draw.pick(options))
    signpost = not clause.endswith("?") and voice.draw.uniform() < 0.4 * voice.scores.transitions
    return _marked(voice, f"{voice.phrase('lead transitions')} {clause}" if signpost else clause)


def mood(voice: Voice, *, bright: bool) -> Sentence:
    """A feeling that leans one way whatever the rating."""
    return _marked(voice, voice.phrase("positivity" if bright else "negativity"))


def signed(sentence: Sentence, signature: str) -> Sentence:
    """``sentence`` with a signature phrase at its end."""
    return Sentence(f"{sentence.clause}, {signature}", sentence.mark)


def _marked(voice: Voice, clause: str, *, joins: bool = False) -> Sentence:
    if clause.endswith("?"):
        return Sentence(clause, mark="")
    return Sentence(clause, mark="!" if voice.draw.uniform() < 0.75 * voice.scores.exclamation else ".", joins=joins)
