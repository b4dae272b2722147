"""By what a user is known in a file: their ids, and their own words in a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idiolect.types import Review, UserId

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"""[^\s"'`<>|,;()\[\]{}]+""")
_RUN = 6
_UNLIKELY = 16
"""Characters of a text of fewer words that make it somebody's own rather than anybody's ("Great!")."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What tells that something was made from a user's reviews."""

    ids: frozenset[str]
    """Of the user and of every review of theirs."""
    runs: dict[int, frozenset[Words]]
    """Words in a row by their number: six, or a whole shorter text; without regard to case and punctuation."""

    @classmethod
    def of(cls, user: UserId, reviews: Sequence[Review]) -> Traces:
        """The traces of a user with these reviews."""
        runs: dict[int, set[Words]] = {}
        for text in (text for review in reviews for text in (review.text, review.title)):
            words = _WORD.findall(text.casefold())
            if len(words) >= _RUN or (words and len(text) >= _UNLIKELY):
                length = min(_RUN, len(words))
                runs.setdefault(length, set()).update(_in_a_row(words, length))
        ids = frozenset({str(user), *(str(review.id) for review in reviews)})
        return cls(ids=ids, runs={length: frozenset(some) for length, some in runs.items()})

    def in_text(self, text: str) -> bool:
        """Whether running text holds an id between delimiters, or words of theirs."""
        tokens = {token.strip(".:!?") for token in _TOKEN.findall(text)}
        odd = (id for id in self.ids if not _TOKEN.fullmatch(id))
        return not tokens.isdisjoint(self.ids) or any(id in text for id in odd) or self.in_words(text)

    def in_words(self, text: str) -> bool:
        """Whether a text holds words of theirs; ids do not count, for a user's name may be anybody's word."""
        words = _WORD.findall(text.casefold())
        return any(not some.isdisjoint(_in_a_row(words, length)) for length, some in self.runs.items())

    def in_value(self, value: object) -> bool:
        """Whether decoded JSON holds one of the ids as a whole string, or words of theirs inside one."""
        if isinstance(value, str):
            return value in self.ids or self.in_words(value)
        if isinstance(value, dict):
            return any(self.in_value(part) for pair in value.items() for part in pair)
        return isinstance(value, list) and any(self.in_value(part) for part in value)

    def in_bytes(self, content: bytes) -> bool:
        """Whether a file of unknown form holds an id; of one below eight bytes that would be chance."""
        return any(len(raw) >= 8 and raw in content for raw in map(str.encode, self.ids))


def _in_a_row(words: Sequence[str], length: int) -> Iterable[Words]:
    return zip(*(words[start:] for start in range(length)), strict=False)
