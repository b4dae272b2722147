"""Phrases that a user repeats: how they begin or end their texts, and lines that they paste.

They are no claim about style: nothing is tested, they are counted. A phrase is reported if the user repeats it and
others who wrote about the same items do not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from idiolect.difference.stylometry.measures import plain

Place = Literal["begins", "ends", "pastes"]
LEAST_TEXTS, LEAST_SHARE = 3, 0.3
"""Of the user's texts, that a phrase needs."""
_MOST_SHARE_OF_OTHERS = 1 / 3
"""Of the user's own share, beyond which a phrase is everybody's."""
_WORDS = range(4, 9)
"""Lengths of the first and last words that are compared, apart from whole lines and sentences."""
_KEPT = 0.8
"""Share of the texts of a phrase that a longer one around it needs to be reported in its place."""
_PASTED_CHARS, LONGEST = 40, 160
"""Shorter lines within a text are headings, which are measured; longer ones are not shown."""
_MOST = 3
_SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=\S)")
_WORD = re.compile(r"[\w'’]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringPhrase:
    """A phrase that a user repeats from text to text."""

    place: Place
    """Of the texts; ``pastes``: a line anywhere in them."""
    text: str
    """As the user writes it most often."""
    n: int
    """Texts with it."""
    of: int
    """Texts of the user."""
    others: int
    """Others' texts about the same items with it at the same place."""
    of_others: int

    @property
    def sentence(self) -> str:
        """What the user does, without the phrase: "ends most reviews with"."""
        often = "every review" if self.n == self.of else "most reviews" if 2 * self.n > self.of else "some reviews"
        return {"begins": f"begins {often} with", "ends": f"ends {often} with", "pastes": f"has in {often} the line"}[
            self.place
        ]

    @property
    def figures(self) -> str:
        """How often, beside others."""
        return f"{self.n} of {self.of} reviews; {self.others} of {self.of_others} by others on the same items"


def recurring_phrases(own: Sequence[str], others: Sequence[str]) -> tuple[RecurringPhrase, ...]:
    """What a user repeats and others do not, the most frequent first; at most three.

    Args:
        own: Texts of the user.
        others: Others' texts about the same items.

    Example:
        >>> found = recurring_phrases([f"Album {n} is fine. Cheers, Ann!" for n in range(4)], ["Not bad. Thanks."])
        >>> found[0].sentence, found[0].text
        ('ends every review with', 'Cheers, Ann!')
    """
    if len(own) < LEAST_TEXTS:
        return ()
    spelled: dict[tuple[Place, str], Counter[str]] = defaultdict(Counter)
    for text in plain(own):
        for place, phrase in set(_phrases(text)):
            spelled[place, _key(phrase)][phrase] += 1
    least = max(LEAST_TEXTS, LEAST_SHARE * len(own))
    often = {one: sum(found.values()) for one, found in spelled.items() if sum(found.values()) >= least}
    if not often:
        return ()
    theirs = Counter(
        one for text in plain(others) for one in {(place, _key(phrase)) for place, phrase in _phrases(text)} & {*often}
    )
    most = _MOST_SHARE_OF_OTHERS / len(own)
    rare = {one: n for one, n in often.items() if theirs[one] <= n * most * len(others)}
    return tuple(
        RecurringPhrase(
            place=place,
            text=spelled[place, key].most_common(1)[0][0],
            n=min(rare[place, key], len(own)),
            of=len(own),
            others=theirs[place, key],
            of_others=len(others),
        )
        for place, key in _widest(rare)[:_MOST]
    )


class _Phrase(NamedTuple):
    place: Place
    text: str


def _phrases(text: str) -> Iterator[_Phrase]:
    """First and last line, sentence and words of a text; and its long lines, if it has several."""
    lines = [line for line in map(str.strip, text.split("\n")) if _WORD.search(line)]
    if not lines:
        return
    first, last = (list[str](_SENTENCE.split(line)) for line in (lines[0], lines[-1]))
    several = len(lines) > 1 or len(first) > 1  # a text of one sentence has no beginning and no end
    if not several:
        return
    outer = [_Phrase("begins", first[0]), _Phrase("ends", last[-1])]
    ends = list(outer)
    if len(lines) > 1:
        ends += [_Phrase("begins", lines[0]), _Phrase("ends", lines[-1])]
        ends += [_Phrase("pastes", line) for line in lines[1:-1] if len(line) >= _PASTED_CHARS]
    for place, sentence in outer:
        words = list(_WORD.finditer(sentence))
        for n in _WORDS[: max(len(words) - _WORDS.start, 0)]:
            cut = sentence[: words[n - 1].end()] if place == "begins" else sentence[words[-n].start() :]
            ends.append(_Phrase(place, cut))
    yield from {one for one in ends if len(one.text) <= LONGEST}


def _key(phrase: str) -> str:
    """Spellings of one phrase: case, marks and spaces do not count."""
    return " ".join(_WORD.findall(phrase.casefold()))


def _widest(counts: dict[tuple[Place, str], int]) -> list[tuple[Place, str]]:
    """The most frequent phrases, of nested ones the longest that is nearly as frequent."""
    kept: list[tuple[Place, str]] = []
    for one in sorted(counts, key=lambda one: (-len(one[1]), one)):
        inside = [k for k in kept if f" {one[1]} " in f" {k[1]} " and (k[0] == one[0] or one[0] == "pastes")]
        if not any(counts[k] >= _KEPT * counts[one] for k in inside):
            kept.append(one)
    return sorted(kept, key=lambda one: (-counts[one], -len(one[1]), one))
