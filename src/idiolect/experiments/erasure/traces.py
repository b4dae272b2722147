"""By what a user is known in a file: their ids, and their own words in a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from idiolect.types import Item, Review, UserId

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"""[^\s"'`<>|,;()\[\]{}]+""")
_RUN = 6
_ODD = 8
"""Characters of an id that is found by chance nowhere."""
_UNLIKELY = 16
"""Characters of a text of fewer words that make it somebody's own rather than anybody's ("Great!")."""
_LISTING = frozenset({"compared"})
"""Keys of texts that list reviews' ids, however short these are: stages of predictions."""

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What tells that something was made from a user's reviews."""

    ids: frozenset[str]
    """Of the user and of every review of theirs."""
    runs: dict[int, frozenset[Words]]
    """Words in a row by their number: six, or a whole shorter text; without regard to case and punctuation."""
    users: frozenset[str] = frozenset()
    """The ids of the user alone."""
    items: frozenset[str] = frozenset()
    """Ids of items that nobody else wrote about."""

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
            user: Whose.
            reviews: All of theirs.
            aliases: By what else the user is known.
            items: Those that nobody else wrote about; their texts may be the user's own.
            others: Texts of all other items. Words that stand there too, as an instruction does that many texts begin
                with, are not the user's own.
        """
        runs = _runs(text for review in reviews for text in (review.text, review.title))
        of_items = _runs(text for item in items for text in (item.title, item.description))
        for text in others if of_items else ():
            words = _WORD.findall(text.casefold())
            for length, some in of_items.items():
                some.difference_update(_in_a_row(words, length))
        for length, some in of_items.items():
            runs.setdefault(length, set()).update(some)
        users = frozenset({str(user), *aliases})
        return cls(
            ids=users | {str(review.id) for review in reviews},
            runs={length: frozenset(some) for length, some in runs.items()},
            users=users,
            items=frozenset(str(item.id) for item in items),
        )

    def in_text(self, text: str) -> bool:
        """Whether running text holds an id between delimiters, or words of theirs."""
        return _named(text, self.ids) or self.in_words(text)

    def in_words(self, text: str) -> bool:
        """Whether a text holds words of theirs; ids do not count, for a user's name may be anybody's word."""
        words = _WORD.findall(text.casefold())
        return any(not some.isdisjoint(_in_a_row(words, length)) for length, some in self.runs.items())

    def in_value(self, value: object) -> bool:
        """Whether decoded JSON holds one of the ids as a whole string, or one that is no word, or words, inside one."""
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
        """The ids that nobody writes by chance: a user may be called as anybody's word is."""
        return frozenset(id for id in self.ids if len(id) >= _ODD and not id.isalpha())

    def in_bytes(self, content: bytes) -> bool:
        """Whether a file of unknown form holds an id; of one below eight bytes that would be chance."""
        return any(len(raw) >= _ODD and raw in content for raw in map(str.encode, self.ids))


def _runs(texts: Iterable[str]) -> dict[int, set[Words]]:
    runs: dict[int, set[Words]] = {}
    for text in texts:
        words = _WORD.findall(text.casefold())
        if len(words) >= _RUN or (words and len(text) >= _UNLIKELY):
            length = min(_RUN, len(words))
            runs.setdefault(length, set()).update(_in_a_row(words, length))
    return runs


def _named(text: str, ids: Set[str]) -> bool:
    tokens = {token.strip(".:!?") for token in _TOKEN.findall(text)}
    return not tokens.isdisjoint(ids) or any(id in text for id in ids if not _TOKEN.fullmatch(id))


def _in_a_row(words: Sequence[str], length: int) -> Iterable[Words]:
    return zip(*(words[start:] for start in range(length)), strict=False)
