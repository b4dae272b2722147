"""Phrases that a user repeats: how they begin or end their texts, lines that they paste, and catchphrases anywhere.

They are no claim about style: nothing is tested, they are counted. A phrase is reported if the user repeats it and
others who wrote about the same items do not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from idiolect.difference.stylometry.lexicons import FUNCTION_WORDS
from idiolect.difference.stylometry.measures import plain
from idiolect.words import WORD, WordPattern, size

Place = Literal["begins", "ends", "pastes", "says"]
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
_CATCHPHRASE_WORDS = range(3, 9)
"""Lengths of phrases that are compared wherever they stand in a sentence."""
_LEAST_CONTENT = 2
"""Words of a catchphrase, other than function words: "one of the" says nothing of a user."""
_OPEN_ENDS = frozenset(
    {"a", "an", "the", "this", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or", "but", "as",
     "that", "than", "is", "are", "was", "were"}
)  # fmt: skip
"""Words that no catchphrase ends with: something is missing after them."""
_MOST_SHARE_ANYWHERE = 1 / 10
"""As ``_MOST_SHARE_OF_OTHERS``, for catchphrases: there are far more places in a text than its two ends."""
_SHARED = 3
"""Words in a row that no two reported phrases share."""
_MOST = 5
_SENTENCE = re.compile(
    r"(?<=[.!?…।॥؟])\s+(?=\S)|(?<=[。！？｡])\s*(?=[^\s。！？｡」』”’）])|(?<=[。！？｡][」』”’）])\s*(?=\S)"
)
_WORD = WordPattern(r"(?:\w|['’])+")


class _Lengths(NamedTuple):
    """Lengths in tokens of the user's script: a word of Chinese has 1.6 characters."""

    ends: range = _WORDS
    anywhere: range = _CATCHPHRASE_WORDS
    content: int = _LEAST_CONTENT
    shared: int = _SHARED

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Lengths:
        """Those for the script of most of these texts' words."""
        sizes = [size(token) for text in texts for token in _WORD.findall(text)]
        per_word = WORD * len(sizes) / max(sum(sizes), 1)
        ends, anywhere = (
            range(round(of.start * per_word), round(of.stop * per_word)) for of in (_WORDS, _CATCHPHRASE_WORDS)
        )
        return cls(ends, anywhere, round(_LEAST_CONTENT * per_word), round(_SHARED * per_word))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringPhrase:
    """A phrase that a user repeats from text to text."""

    place: Place
    """Of the texts; ``pastes``: a line anywhere in them, ``says``: words anywhere in them."""
    text: str
    """As the user writes it most often."""
    n: int
    """Texts with it."""
    of: int
    """Texts of the user."""
    others: int
    """Others' texts about the same items with it at the same place; anywhere, if ``says``."""
    of_others: int

    @property
    def sentence(self) -> str:
        """What the user does, without the phrase: "ends most reviews with"."""
        often = "every review" if self.n == self.of else "most reviews" if 2 * self.n > self.of else "some reviews"
        return {
            "begins": f"begins {often} with",
            "ends": f"ends {often} with",
            "pastes": f"has in {often} the line",
            "says": f"says in {often}",
        }[self.place]

    @property
    def figures(self) -> str:
        """How often, beside others."""
        return f"{self.n} of {self.of} reviews; {self.others} of {self.of_others} by others on the same items"


def recurring_phrases(own: Sequence[str], others: Sequence[str]) -> tuple[RecurringPhrase, ...]:
    """What a user repeats and others do not, the most frequent first; at most five, of which no two share three words.

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
    own, others = plain(own), plain(others)
    lengths = _Lengths.of(own)
    found = [*_placed(own, others, lengths), *_catchphrases(own, others, lengths)]
    # A phrase with a place says more than the same words anywhere, unless these are much more frequent.
    found.sort(key=lambda one: (-one.n * (_KEPT if one.place == "says" else 1), -len(one.text), one.text))
    kept: list[RecurringPhrase] = []
    for one in found:
        if not any(_overlap(_key(one.text), _key(other.text), lengths.shared) for other in kept):
            kept.append(one)
    return tuple(kept[:_MOST])


def _least(own: Sequence[str]) -> float:
    return max(LEAST_TEXTS, LEAST_SHARE * len(own))


def _placed(own: Sequence[str], others: Sequence[str], lengths: _Lengths) -> list[RecurringPhrase]:
    """Beginnings, ends and pasted lines."""
    spelled: dict[tuple[Place, str], Counter[str]] = defaultdict(Counter)
    for text in own:
        for place, phrase in set(_phrases(text, lengths)):
            spelled[place, _key(phrase)][phrase] += 1
    often = {one: sum(found.values()) for one, found in spelled.items() if sum(found.values()) >= _least(own)}
    if not often:
        return []
    theirs = Counter(
        one
        for text in others
        for one in {(place, _key(phrase)) for place, phrase in _phrases(text, lengths)} & {*often}
    )
    most = _MOST_SHARE_OF_OTHERS / len(own)
    rare = {one: n for one, n in often.items() if theirs[one] <= n * most * len(others)}
    return [
        RecurringPhrase(
            place=place,
            text=spelled[place, key].most_common(1)[0][0],
            n=min(rare[place, key], len(own)),
            of=len(own),
            others=theirs[place, key],
            of_others=len(others),
        )
        for place, key in _widest(rare)
    ]


def _catchphrases(own: Sequence[str], others: Sequence[str], lengths: _Lengths) -> list[RecurringPhrase]:
    """Words that stand together anywhere in a sentence of many of the user's texts, and of few others'."""
    spelled = _repeated_runs(own, lengths.anywhere)
    counts: dict[tuple[Place, str], int] = {
        ("says", key): sum(spelled[key].values()) for key in spelled if _is_whole(key, lengths.content)
    }
    wide = [key for _, key in _widest(counts)]
    if not wide:
        return []
    theirs = Counter[str]()
    for text in others:
        sentences = [f" {_key(one)} " for one in _sentences(text)]
        theirs.update(key for key in wide if any(f" {key} " in one for one in sentences))
    return [
        RecurringPhrase(
            place="says",
            text=spelled[key].most_common(1)[0][0],
            n=counts["says", key],
            of=len(own),
            others=theirs[key],
            of_others=len(others),
        )
        for key in wide
        if theirs[key] / max(len(others), 1) <= _MOST_SHARE_ANYWHERE * counts["says", key] / len(own)
    ]


def _repeated_runs(own: Sequence[str], sizes: range) -> dict[str, Counter[str]]:
    """Spellings, with their numbers of texts, of runs of words in enough texts.

    A run is repeated only if the run without its last word is, so that few of the longer ones are looked at.
    """
    texts = [[(one, list(_WORD.finditer(one))) for one in _sentences(text)] for text in own]
    repeated: dict[str, Counter[str]] = {}
    shorter: frozenset[str] | None = None
    for length in sizes:
        spelled: dict[str, Counter[str]] = defaultdict(Counter)
        for sentences in texts:
            for key, phrase in _runs(sentences, length, shorter).items():
                spelled[key][phrase] += 1
        often = {key: found for key, found in spelled.items() if sum(found.values()) >= _least(own)}
        if not often:
            break
        repeated |= often
        shorter = frozenset(often)
    return repeated


def _runs(
    sentences: Sequence[tuple[str, list[re.Match[str]]]], length: int, shorter: frozenset[str] | None
) -> dict[str, str]:
    """Runs of ``length`` words of a text by key, as first spelled; only those that continue one in ``shorter``."""
    found: dict[str, str] = {}
    for sentence, words in sentences:
        keys = [word.group().casefold() for word in words]
        for start in range(len(words) - length + 1):
            run = keys[start : start + length]
            if shorter is not None and " ".join(run[:-1]) not in shorter:
                continue
            phrase = sentence[words[start].start() : words[start + length - 1].end()]
            if len(phrase) <= LONGEST:
                found.setdefault(" ".join(run), phrase)
    return found


def _sentences(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield from _SENTENCE.split(line)


def _is_whole(key: str, least: int) -> bool:
    """Whether a run of words may be a catchphrase: enough of it is no function word, and its end is not open."""
    words = key.split()
    content = sum(word not in FUNCTION_WORDS and not word.isdigit() for word in words)
    return content >= least and words[-1] not in _OPEN_ENDS


def _overlap(first: str, second: str, shared: int) -> bool:
    """Whether two phrases share ``shared`` words in a row, or one is inside the other."""
    if f" {first} " in f" {second} " or f" {second} " in f" {first} ":
        return True
    one, other = (
        {tuple(words[k : k + shared]) for k in range(len(words) - shared + 1)}
        for words in (first.split(), second.split())
    )
    return bool(one & other)


class _Phrase(NamedTuple):
    place: Place
    text: str


def _phrases(text: str, lengths: _Lengths) -> Iterator[_Phrase]:
    """First and last line, sentence and words of a text; and its long lines, if it has several."""
    lines = [line for line in map(str.strip, text.split("\n")) if _WORD.findall(line)]
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
        for n in lengths.ends[: max(len(words) - lengths.ends.start, 0)]:
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
