"""Traces of a user: ids, and runs of words of their texts, by which they are found in text, JSON and bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from idiolect.types import Item, Review, UserId
from idiolect.words import WordPattern, runs

_WORD = WordPattern(r"\w+")
_TOKEN = re.compile(r"""[^\s"'`<>|,;()\[\]{}]+""")
_RUN = 6
_ODD = 8
"""Minimum length of an id that is unlikely to occur by chance."""
_UNLIKELY = 16
"""Minimum characters of a text with fewer words; shorter ones ("Great!") are not specific to a user."""
_LISTING = frozenset({"compared"})
"""Keys of texts that list reviews' ids, also short ones: stages of predictions."""

WordRun = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Traces by which data made from a user's reviews is found."""

    ids: frozenset[str]
    """Ids of the user and of all their reviews."""
    runs: dict[int, frozenset[WordRun]]
    """Runs of words by their number: six words (or characters as long as six words), or a whole shorter text; without
    case and punctuation."""
    users: frozenset[str] = frozenset()
    """The ids of the user only."""
    items: frozenset[str] = frozenset()
    """Ids of items that no other user wrote about."""

    @classmethod
    def of(
        cls,
        user: UserId,
        reviews: Sequence[Review],
        *,
        aliases: Iterable[str] = (),
        items: Sequence[Item] = (),
        others: Iterable[str] = (),
    ) -> Traces:
        """The traces of a user.

        Args:
            user: The user.
            reviews: All their reviews.
            aliases: Further ids of the user.
            items: Items that no other user wrote about; their texts may be the user's own.
            others: Texts of all other items. Runs of words that occur there, such as an instruction at the beginning of
                many texts, are not the user's own.
        """
        by_length = _runs(text for review in reviews for text in (review.text, review.title))
        of_items = _runs(text for item in items for text in (item.title, item.description))
        for text in others if of_items else ():
            words = _WORD.findall(text.casefold())
            for length, some in of_items.items():
                some.difference_update(_in_a_row(words, length))
        for length, some in of_items.items():
            by_length.setdefault(length, set()).update(some)
        users = frozenset({str(user), *aliases})
        return cls(
            ids=users | {str(review.id) for review in reviews},
            runs={length: frozenset(some) for length, some in by_length.items()},
            users=users,
            items=frozenset(str(item.id) for item in items),
        )

    def in_text(self, text: str) -> bool:
        """Whether a text contains an id between delimiters, or the user's words."""
        return _named(text, self.ids) or self.in_words(text)

    def in_words(self, text: str) -> bool:
        """Whether a text contains the user's words; ids do not count, because they may be common words."""
        words = _WORD.findall(text.casefold())
        return any(not some.isdisjoint(_in_a_row(words, length)) for length, some in self.runs.items())

    def in_value(self, value: object) -> bool:
        """Whether decoded JSON contains an id as a whole string, or a specific id or words within a string."""
        if isinstance(value, str):
            return value in self.ids or _named(value, self._odd_ids) or self.in_words(value)
        if isinstance(value, dict):
            if isinstance(item := value.get("item"), str) and item in self.items:
                return True
            if any(_named(str(value[key]), self.ids) for key in _LISTING & value.keys()):
                return True
            return any(self.in_value(part) for pair in value.items() for part in pair)
        return isinstance(value, list) and any(self.in_value(part) for part in value)

    @cached_property
    def _odd_ids(self) -> frozenset[str]:
        """The ids that do not occur by chance; a user's id may be a common word."""
        return frozenset(id for id in self.ids if len(id) >= _ODD and not id.isalpha())

    def in_bytes(self, content: bytes) -> bool:
        """Whether a file of unknown format contains an id of at least eight bytes."""
        return any(len(raw) >= _ODD and raw in content for raw in map(str.encode, self.ids))


def _runs(texts: Iterable[str]) -> dict[int, set[WordRun]]:
    by_length: dict[int, set[WordRun]] = {}
    for text in texts:
        words = _WORD.findall(text.casefold())
        found = list(runs(words, _RUN))
        if not found and words and len(text) >= _UNLIKELY:
            found = [(0, len(words))]
        for first, end in found:
            by_length.setdefault(end - first, set()).add(tuple(words[first:end]))
    return by_length


def _named(text: str, ids: Set[str]) -> bool:
    tokens = {token.strip(".:!?") for token in _TOKEN.findall(text)}
    return not tokens.isdisjoint(ids) or any(id in text for id in ids if not _TOKEN.fullmatch(id))


def _in_a_row(words: Sequence[str], length: int) -> Iterable[WordRun]:
    return zip(*(words[start:] for start in range(length)), strict=False)
