"""Words of texts in any script, without word lists.

Chinese, Japanese, Thai and similar scripts put no blanks between words. There a token is one character with its marks,
and ``size`` says how much of a word it is, so that runs of tokens are as long as runs of words in other scripts. The
standard library knows no scripts, so they are given as ranges of code points; a test compares them with the Unicode
properties of the package ``regex``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from itertools import groupby
from typing import Literal

Kind = Literal["latin", "spaced", "chinese", "unspaced"]
"""``latin``: mostly Latin letters, or no letters at all. ``spaced``: another script that puts blanks between words.
``chinese``: Han characters without kana. ``unspaced``: Japanese, Thai, Lao, Khmer, Burmese, Tibetan and similar."""

Unit = Literal["word", "character", "letter"]
"""What a token is: a ``character`` of Chinese, Japanese, Bopomofo or Yi, which is about a syllable or a word; a
``letter`` of Thai, Lao, Khmer, Burmese, Tibetan or Javanese, with its marks; a ``word`` of any other script."""

WORD = 16
_SIZES: Mapping[Unit, int] = {"word": WORD, "character": 10, "letter": 5}
"""Sixteenths of a word. A word of running text has 1.6 characters in Chinese, 1.7 in Japanese (frequencies of the
package wordfreq), and 3.0 to 3.2 letters with their marks in Thai (pythainlp)."""
_GRAM: Mapping[Unit, int] = {"word": 1, "character": 2, "letter": 3}
"""Tokens of a search term: overlapping pairs of characters, as usual for Chinese and Japanese (Lucene CJKAnalyzer)."""

# Whole blocks: only their letters and marks are looked at.
_HAN = "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9\U00016fe2\U00016fe3"
_HAN += "\U00016ff0-\U00016ff6\U00020000-\U0003ffff"
_CHARACTERS = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
_CHARACTERS += "\ua000-\ua4c6\uff66-\uff9d\U0001aff0-\U0001b16f"
_LETTERS = "\u0e01-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua980-\ua9cd\ua9d0-\ua9df"
_LETTERS += "\ua9e0-\ua9fe\uaa60-\uaa7f\U000116d0-\U000116e3"
_UNSPACED = _HAN + _CHARACTERS + _LETTERS
_LATIN = (
    "A-Za-z\xaa\xba\xc0-\xd6\xd8-\xf6\xf8-\u02b8\u02e0-\u02e4\u1d00-\u1d25\u1d2c-\u1d5c\u1d62-\u1d65\u1d6b-\u1d77"
    "\u1d79-\u1dbe\u1e00-\u1eff\u2071\u207f\u2090-\u209c\u212a\u212b\u2132\u214e\u2160-\u2188\u2c60-\u2c7f\ua722-\ua787"
    "\ua78b-\ua7ff\uab30-\uab5a\uab5c-\uab64\uab66-\uab69\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a\U00010780-\U000107bf"
    "\U0001df00-\U0001dfff"
)
_EUROPEAN = (
    "\x00-\u03e1\u03f0-\u052f\u1ab0-\u1aff\u1c80-\u1c8f\u1d00-\u1fff\u2000-\u2bff\u2c60-\u2c7f\u2de0-\u2e7f"
    "\u3000-\u3004\u3008-\u3020\ua640-\ua69f\ua700-\ua7ff\uab30-\uab6f\ufb00-\ufb06\ufe00-\ufe6f\uff01-\uff65"
    "\uffe0-\uffff\U0001d400-\U0001d7ff\U0001e030-\U0001e08f\U0001f000-\U0001fbff\U000e0000-\U000e01ef"
)
"""Blocks with letters of Latin, Cyrillic and Greek script only, and with marks of no script."""
_IS_EUROPEAN, _IS_LATIN = re.compile(f"[{_EUROPEAN}]*"), re.compile(f"[{_LATIN}]")
_IS_HAN, _IS_UNSPACED = re.compile(f"[{_HAN}]"), re.compile(f"[{_UNSPACED}]")
_IS_LETTER = re.compile(f"[{_LETTERS}]")


@cache
def _marks() -> str:
    """All combining marks as ranges of a character class; computed where the first text needs it, in some 20 ms."""
    found = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(found), lambda one: one[1] - one[0])]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs) + "\U000e0100-\U000e01ef"


class WordPattern:
    r"""A pattern of words between blanks, extended to any script.

    In the pattern, ``\w`` and ``[^\W_]`` then also stand for combining marks, and not for characters of scripts without
    blanks: each of these, with its marks, is a match of its own. Texts without such characters and marks are matched
    by the pattern as it is.

    Args:
        spaced: The pattern for texts with blanks. ``\w`` is in no character class of it, and it has no groups.

    Example:
        >>> WordPattern(r"\w+(?:'\w+)*").findall("Don't, 很好 हिन्दी")
        ["Don't", '很', '好', 'हिन्दी']
    """

    def __init__(self, spaced: str) -> None:
        self._spaced = spaced
        self._plain = re.compile(spaced)

    @cached_property
    def _any(self) -> re.Pattern[str]:
        marks, spaced = _marks(), self._spaced
        for usual, without in ((r"[^\W_]", r"\W_"), (r"\w", r"\W")):
            spaced = spaced.replace(usual, f"(?:[^{without}{_UNSPACED}]|[{marks}])")
        return re.compile(rf"(?=[{_UNSPACED}])[\w{marks}][{marks}]*|(?![{marks}])(?:{spaced})")

    def _for(self, text: str) -> re.Pattern[str]:
        return self._plain if text.isascii() or not _special().search(text) else self._any

    def findall(self, text: str) -> list[str]:
        """The tokens of a text."""
        return self._for(text).findall(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """The tokens of a text with their places."""
        return self._for(text).finditer(text)


@cache
def _special() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}{_marks()}]")


@lru_cache(maxsize=1 << 16)
def kind_of(text: str) -> Kind:
    """The kind of tokens for a text, by the script of most of its letters."""
    if text.isascii():
        return "latin"
    letters = sum(map(str.isalpha, text))
    latin, han, unspaced = (len(one.findall(text)) for one in (_IS_LATIN, _IS_HAN, _IS_UNSPACED))
    others = max(letters - latin - unspaced, 0)
    if latin >= max(unspaced, others):
        return "latin"
    if others >= unspaced:
        return "spaced"
    return "unspaced" if unspaced > han else "chinese"


_TOKEN = WordPattern(r"[^\W_]+")


def unicode_tokens(text: str) -> list[str]:
    """Lower-cased words and numbers in any script; characters in scripts without blanks between words.

    A text without words gives its visible characters, so that only a blank text has no token.

    Example:
        >>> unicode_tokens("Очень вкусно, 很好吃!")
        ['очень', 'вкусно', '很', '好', '吃']
    """
    lower = text.casefold()
    return _TOKEN.findall(lower) or [one for one in _signs().findall(lower) if any(map(_is_visible, one))]


@cache
def _signs() -> re.Pattern[str]:
    return re.compile(rf"\S[{_marks()}]*")


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] not in "CZ"


def is_blank(text: str) -> bool:
    """Whether a text has no visible character, and so no token."""
    return not any(map(_is_visible, text))


_EUROPEAN_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@cache
def _words() -> re.Pattern[str]:
    """Words of texts that have other letters than European ones."""
    marks = _marks()
    letter = rf"[^\W\d_{_EUROPEAN}{_UNSPACED}]"
    joined = rf"{letter}(?:{letter}|[{marks}])*"
    usual = rf"(?:(?=[{_EUROPEAN}])[^\W\d_])+"
    return re.compile(rf"(?=[{_UNSPACED}])[^\W\d_][{marks}]*|{joined}(?:['’]{joined})?|{usual}(?:['’]{usual})?")


def words(text: str) -> list[str]:
    """Lower-cased words without numbers; characters in scripts without blanks between words.

    The measures of authorship count these. Texts in Latin, Cyrillic or Greek script have plain runs of letters; in
    other texts a vowel sign belongs to its word.

    Example:
        >>> words("Don't wait 20 minutes"), words("很好吃, really"), words("हिन्दी में")
        (["don't", 'wait', 'minutes'], ['很', '好', '吃', 'really'], ['हिन्दी', 'में'])
    """
    lower = text.lower()
    return (_EUROPEAN_WORD if _IS_EUROPEAN.fullmatch(lower) else _words()).findall(lower)


@lru_cache(maxsize=1 << 16)
def unit(token: str) -> Unit:
    """What a token is, by its first letter."""
    if not _IS_UNSPACED.match(token):
        return "word"
    return "letter" if _IS_LETTER.match(token) else "character"


def size(token: str) -> int:
    """How much of a word a token is, in sixteenths (``WORD``)."""
    return _SIZES[unit(token)]


def runs(tokens: Sequence[str], n: int) -> Iterator[tuple[int, int]]:
    """Runs of tokens that are as long as ``n`` words: first place and place after the last, one for every first place.

    Example:
        >>> list(runs(["so", "very", "good"], 2)), list(runs(list("很好吃很好"), 2))
        ([(0, 2), (1, 3)], [(0, 4), (1, 5)])
    """
    sizes = [size(token) for token in tokens]
    end = held = 0
    for start, one in enumerate(sizes):
        while held < n * WORD and end < len(sizes):
            held += sizes[end]
            end += 1
        if held < n * WORD:
            return
        yield start, end
        held -= one


_PIECE = WordPattern(r"\w+")


def is_spaced(text: str) -> bool:
    """Whether no character is of a script without blanks between words."""
    return text.isascii() or not _IS_UNSPACED.search(text)


def terms(text: str) -> list[str]:
    """Terms of a search index: what stands between blanks, with case and punctuation as it is.

    Where a script has no blanks between words, overlapping pairs of characters, or three letters of Thai and similar
    scripts, without punctuation.

    Example:
        >>> terms("Don't stop."), terms("很好吃, 5 stars")
        (["Don't", 'stop.'], ['很好', '好吃', '5', 'stars'])
    """
    if is_spaced(text):
        return text.split()
    return [term for piece in text.split() for term in (_grams(piece) if _IS_UNSPACED.search(piece) else [piece])]


def _grams(piece: str) -> list[str]:
    found: list[str] = []
    tokens = list(_PIECE.finditer(piece))
    first = 0
    for place, token in enumerate(tokens, start=1):
        after = tokens[place] if place < len(tokens) else None
        of = unit(token[0])
        if after is not None and after.start() == token.end() and of == unit(after[0]) != "word":
            continue
        row, n = [one[0] for one in tokens[first:place]], _GRAM[of]
        found += ["".join(row[k : k + n]) for k in range(max(1, len(row) - n + 1))]
        first = place
    return found
