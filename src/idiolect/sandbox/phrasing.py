"""Sentences: a phrase of the bank, the trait marks in front of it and behind it, and the words for its gaps."""

from __future__ import annotations

from collections.abc import Sequence

from idiolect.sandbox.bank import article
from idiolect.sandbox.catalogue import Fact, Subject
from idiolect.sandbox.domain import Aspect
from idiolect.sandbox.draw import Draw, Menu
from idiolect.sandbox.layout import Sentence
from idiolect.sandbox.people import Person
from idiolect.sandbox.traits import Scores

_LEADS = (
    "hedging", "informality", "politeness", "transitions", "exclamation", "address", "disclosure", "narrative",
)  # fmt: skip
_CONTENT_LEADS = ("informality", "transitions", "exclamation", "address")
_TAILS = ("causal_talk", "comparison", "specificity", "narrative", "thematic_depth", "long_sentences")
_MODES = ("hedging", "questions", "address", "quoting", "imperatives", "politeness")
_GOOD = (0.06, 0.2, 0.5, 0.8, 0.94)
"""Probability that an aspect is praised, by rating from 1 to 5 stars."""


def _menu(names: Sequence[str], scores: Scores, appetite: float) -> Menu:
    return Menu(names, [getattr(scores, name) for name in names], appetite=appetite)


class Phrasing:
    """Makes the sentences of one review; everything random comes from ``draw``."""

    __slots__ = ("_content_leads", "_draw", "_fields", "_leads", "_level", "_modes", "_person", "_praise", "_s", "_subject", "_tails")

    def __init__(self, draw: Draw, subject: Subject, person: Person, scores: Scores, *, rating: int) -> None:
        self._draw = draw
        self._subject = subject
        self._person = person
        self._s = scores
        self._level = "good" if rating > 3 else "bad" if rating < 3 else "mid"
        self._praise = min(0.98, max(0.02, _GOOD[rating - 1] + 0.3 * (scores.positivity - 0.5)))
        self._fields = dict(subject.fields)
        self._leads = _menu(_LEADS, scores, 0.45)
        self._content_leads = _menu(_CONTENT_LEADS, scores, 0.45)
        self._tails = _menu(_TAILS, scores, 0.35)
        self._modes = _menu(_MODES, scores, 0.4)

    def headline(self) -> str:
        """The review's title."""
        names = ("questions", "hedging", "exclamation", "fancy_words", "informality")
        kind = _menu(names, self._s, 0.35).choose(self._draw)
        self._adjectives(self._good(), self._subject.domain.whole)
        section = f"headline {kind.removesuffix('_words')}" if kind else f"headline {self._level}"
        return _capital(self._fill(self._draw.pick(self._subject.domain.formal[section])))

    def opening(self) -> Sentence:
        """A neutral first sentence."""
        if self._draw.chance(self._s.narrative):
            return self.extra("narrative")
        return self._mark(self._fill(self._styled("opening")))

    def content(self, *, first: bool) -> Sentence:
        """What the item is about."""
        kind = self._content_leads.choose(self._draw)
        clause = self._lead(kind, self._fill(self._pick("content")), good=True, place="first" if first else "")
        return self._mark(clause, joins=True)

    def verdict(self, *, first: bool) -> Sentence:
        """The overall opinion, as the first sentence (behind a label such as "Bottom line:") or as the last."""
        good = self._good() if self._level == "mid" else self._level == "good"
        self._adjectives(good, self._subject.domain.whole)
        self._fields["quality"] = self._pick(f"quality {'good' if good else 'bad'}")
        clause = self._fill(self._styled(f"verdict {self._level}"))
        if first and self._draw.chance(0.6):
            return self._mark(f"{self._pick('verdict label')} {self._tail(clause, good)}")
        kind = self._leads.choose(self._draw)
        clause = self._lead(kind, clause, good=good, place="first" if first else "last")
        return self._mark(self._tail(clause, good), joins=True)

    def aspect(self, fact: Fact) -> Sentence:
        """A judgement of one fact of the item."""
        good = self._good()
        self._fact(fact)
        self._adjectives(good, fact.aspect)
        mode = self._modes.choose(self._draw)
        if mode:
            clause = self._fill(self._pick(f"aspect {mode}"))
            return self._mark(clause) if "?" in clause else self._mark(self._tail(clause, good), joins=True)
        if self._draw.chance(0.5 - self._s.long_sentences):
            return self._mark(self._fill(self._pick("aspect fragment")))
        clause = self._lead(self._leads.choose(self._draw), self._fill(self._styled("aspect")), good=good)
        return self._mark(self._tail(clause, good), joins=True)

    def points(self, facts: Sequence[Fact]) -> Sentence:
        """Facts as a list of points for and against, one a line."""
        sides: dict[bool, list[str]] = {True: [], False: []}
        for fact in facts:
            good = self._good()
            self._adjectives(good, fact.aspect)
            sides[good].append(f"- {self._fields['attr']} {fact.phrase}")
        lines = [
            line
            for good, points in sides.items()
            if points
            for line in (self._pick(f"list {'good' if good else 'bad'} heading"), *points)
        ]
        return Sentence("\n".join(lines), mark="", block=True)

    def extra(self, trait: str) -> Sentence:
        """A sentence that only shows ``trait``."""
        bank = self._bank()
        side = "good" if self._good() else "bad"
        neutral, polar = bank.get(trait, ()), bank.get(f"{trait} {side}", ())
        k = int(self._draw.uniform() * (len(neutral) + len(polar)))
        return self._mark(self._fill(neutral[k] if k < len(neutral) else polar[k - len(neutral)]))

    def mood(self, *, bright: bool) -> Sentence:
        """A feeling that leans one way whatever the rating."""
        return self._mark(self._pick("positivity" if bright else "negativity"))

    def signed(self, sentence: Sentence) -> Sentence:
        """``sentence`` with the user's signature phrase."""
        return Sentence(f"{sentence.clause}, {self._person.signature}", sentence.mark)

    def _lead(self, kind: str | None, clause: str, *, good: bool, place: str = "") -> str:
        if kind is None:
            return clause
        section = f"lead {kind}"
        if kind == "politeness":
            section += " good" if good else " bad"
        elif kind == "transitions" and place:
            section += f" {place}"
        return f"{self._pick(section)} {clause}"

    def _tail(self, clause: str, good: bool) -> str:
        kind = self._tails.choose(self._draw)
        if kind is None:
            return clause
        section = f"tail {kind}"
        if kind in ("causal_talk", "comparison"):
            section += " good" if good else " bad"
        return f"{clause}, {self._fill(self._pick(section))}"

    def _mark(self, clause: str, *, joins: bool = False) -> Sentence:
        if clause.endswith("?"):
            return Sentence(clause, mark="")
        return Sentence(clause, mark="!" if self._draw.chance(0.75 * self._s.exclamation) else ".", joins=joins)

    def _good(self) -> bool:
        return self._draw.chance(self._praise)

    def _fact(self, fact: Fact) -> None:
        """Set the gaps that speak of ``fact``."""
        many = fact.plural
        self._fields |= {
            "fact": fact.phrase,
            "aspect": fact.aspect.name,
            "ais": "are" if fact.aspect.plural else "is",
            "is": "are" if many else "is",
            "was": "were" if many else "was",
            "does": "do" if many else "does",
            "seems": "seem" if many else "seems",
            "it": "they" if many else "it",
            "them": "them" if many else "it",
        }

    def _adjectives(self, good: bool, aspect: Aspect) -> None:
        """Set the gaps that judge ``aspect``."""
        adj = self._adjective(good, aspect.attributes if aspect is self._subject.domain.whole else aspect.adjectives)
        attr = adj if " " not in adj else self._adjective(good, aspect.attributes)
        if self._draw.chance(self._s.intensity):
            adverb = self._pick("intensity fancy" if self._draw.chance(self._s.fancy_words) else "intensity")
            adj = adj if " " in adj else f"{adverb} {adj}"
            attr = f"{adverb} {attr}"
        a_adj = article(attr)
        self._fields["adj2"] = self._adjective(good, aspect.attributes)
        self._fields |= {"adj": adj, "attr": attr, "a_adj": a_adj, "Adj": _capital(adj), "A_adj": _capital(a_adj)}

    def _adjective(self, good: bool, table: dict[tuple[bool, bool], tuple[str, ...]]) -> str:
        if self._draw.chance(0.8 * self._s.favourite_words):
            return self._draw.pick(self._person.pet_good if good else self._person.pet_bad)
        return self._draw.pick(table[good, self._draw.chance(self._s.fancy_words)])

    def _styled(self, section: str) -> str:
        bank = self._bank()
        for style, trait in (("fancy", "fancy_words"), ("casual", "informality")):
            if f"{section} {style}" in bank and self._draw.chance(0.6 * getattr(self._s, trait)):
                return self._draw.pick(bank[f"{section} {style}"])
        return self._draw.pick(bank[section])

    def _pick(self, section: str) -> str:
        return self._draw.pick(self._bank()[section])

    def _bank(self) -> dict[str, tuple[str, ...]]:
        domain = self._subject.domain
        return domain.casual if self._draw.chance(self._s.informality) else domain.formal

    def _fill(self, phrase: str) -> str:
        if "{" not in phrase:
            return phrase
        if "{num" in phrase:
            self._fields["num"] = str(self._draw.integer(2, 9))
            self._fields["num2"] = str(self._draw.integer(2, 9))
            self._fields["num9"] = str(self._draw.integer(9, 12))
        return phrase.format_map(self._fields)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
