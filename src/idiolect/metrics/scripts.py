"""Tokens of any script.

The papers' tokenizers are made for English: rouge_score's knows only ``[a-z0-9]`` and scores every text in another
script 0, also against itself. The reference of each sample decides which tokenizer is used, so that all methods are
scored with the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np

from idiolect.errors import require

Kind = Literal["latin", "spaced", "chinese", "unspaced"]
"""``latin``: mostly Latin letters, or no letters at all. ``spaced``: another script that puts blanks between words.
``chinese``: Han characters without kana. ``unspaced``: Japanese, Thai, Lao, Khmer, Burmese, Tibetan and similar."""

WITH_TOKENS = frozenset({"rouge1", "rougeL", "meteor", "bleu"})
"""Metrics whose tokens depend on the script of each reference."""

_HAN = r"\p{Han}"
_LETTERS = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}"
_UNSPACED = rf"\p{{Hiragana}}\p{{Katakana}}\p{{Bopomofo}}\p{{Yi}}{_LETTERS}"
_COUNTED = (r"\p{Latin}", f"[{_HAN}]", f"[{_UNSPACED}]", r"\p{L}")
_TOKEN = rf"[{_HAN}{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_HAN}{_UNSPACED}]]+"
_MARK = r"[^\s\p{C}]\p{M}*"
_VISIBLE = r"[^\p{C}\p{Z}]"

_EUROPEAN_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_EUROPEAN = re.compile(
    "[\x00-\u03e1\u03f0-\u052f\u1ab0-\u1aff\u1c80-\u1c8f\u1d00-\u1fff\u2000-\u2bff\u2c60-\u2c7f\u2de0-\u2e7f"
    "\u3000-\u3004\u3008-\u3020\ua640-\ua69f\ua700-\ua7ff\uab30-\uab6f\ufb00-\ufb06\ufe00-\ufe6f\uff01-\uff65"
    "\uffe0-\uffff\U0001d400-\U0001d7ff\U0001e030-\U0001e08f\U0001f000-\U0001fbff\U000e0000-\U000e01ef]*"
)
"""Blocks with letters of Latin, Cyrillic and Greek script only, and with marks of no script."""
_OTHER = r"[[\p{L}\p{M}]--[\p{Latin}\p{Cyrillic}\p{Greek}\p{Common}\p{Inherited}]]"
_SINGLE = rf"{_HAN}{_UNSPACED}\u30fc\uff70"
_SPACED = rf"[{_OTHER}--[{_SINGLE}]]"
_JOINED = rf"{_SPACED}[{_SPACED}\p{{M}}\u0640]*"
_USUAL = rf"[[\p{{L}}\p{{Nl}}\p{{No}}]--[{_OTHER}{_SINGLE}]]+"
_WORDS = (
    rf"[[\p{{L}}\p{{M}}\p{{Nl}}]&&[{_SINGLE}]]\p{{M}}*"
    rf"|{_JOINED}(?:['’]{_JOINED})?"
    rf"|{_USUAL}(?:['’]{_USUAL})?"
)

Unit = Literal["word", "character", "letter"]
"""What a token of ``words`` is: a ``character`` of Chinese, Japanese, Bopomofo or Yi, which is about a syllable or a
word; a ``letter`` of Thai, Lao, Khmer, Burmese, Tibetan or Javanese, with its marks; a ``word`` of any other script."""


@cache
def _compiled(pattern: str) -> Any:
    regex = require("regex", extra="metrics")  # a server has no metrics, and imports this module
    return regex.compile(pattern, regex.V1)


@lru_cache(maxsize=1 << 16)
def kind_of(text: str) -> Kind:
    """The kind of tokens for a text, by the script of most of its letters."""
    if text.isascii():
        return "latin"
    latin, han, unspaced, letters = (sum(1 for _ in _compiled(one).finditer(text)) for one in _COUNTED)
    others = max(letters - latin - han - unspaced, 0)
    if latin >= max(han + unspaced, others):
        return "latin"
    if others >= han + unspaced:
        return "spaced"
    return "unspaced" if unspaced else "chinese"


def unicode_tokens(text: str) -> list[str]:
    """Lower-cased words in any script; characters in scripts without blanks between words.

    A text without words gives its visible characters, so that only a blank text has no token.

    Example:
        >>> unicode_tokens("Очень вкусно, 很好吃!")
        ['очень', 'вкусно', '很', '好', '吃']
    """
    lower = text.casefold()
    return _compiled(_TOKEN).findall(lower) or _compiled(_MARK).findall(lower)


def words(text: str) -> list[str]:
    """Lower-cased words without numbers; characters in scripts without blanks between words.

    The measures of authorship count these. Texts in Latin, Cyrillic or Greek script have plain runs of letters, without
    the extra ``metrics``. In other texts a vowel sign belongs to its word.

    Raises:
        MissingDependencyError: The text has another script, and ``regex`` (extra ``metrics``) is not installed.

    Example:
        >>> words("Don't wait 20 minutes"), words("很好吃, really"), words("हिन्दी में")
        (["don't", 'wait', 'minutes'], ['很', '好', '吃', 'really'], ['हिन्दी', 'में'])
    """
    lower = text.lower()
    return _EUROPEAN_WORD.findall(lower) if _EUROPEAN.fullmatch(lower) else _compiled(_WORDS).findall(lower)


@lru_cache(maxsize=1 << 16)
def unit(token: str) -> Unit:
    """What a token of ``words`` is, by its first letter."""
    if _EUROPEAN.fullmatch(token):
        return "word"
    if _compiled(f"[{_LETTERS}]").match(token):
        return "letter"
    return "character" if _compiled(f"[{_SINGLE}]").match(token) else "word"


def blank(texts: Sequence[str]) -> np.ndarray:
    """Bool (n,): texts without any visible character, and so without tokens."""
    visible = _compiled(_VISIBLE)
    return np.array([visible.search(text) is None for text in texts], dtype=bool)


def note_of(references: Iterable[str]) -> str:
    """A note on references that are not in Latin script; empty if all are."""
    kinds = [kind_of(reference) for reference in references]
    spaced, unspaced = kinds.count("spaced"), kinds.count("chinese") + kinds.count("unspaced")
    if not spaced + unspaced:
        return ""
    return (
        f"{spaced + unspaced} of {len(kinds)} references are not in Latin script: rouge, meteor and bleu compare words "
        f"by Unicode's classes ({spaced}) or, in scripts without blanks between words, characters ({unspaced})"
    )


def label(usual: str, other: str, kinds: Iterable[str]) -> str:
    """The tokenizer's name for a signature: the usual one, the other one, or both if samples needed both.

    Args:
        usual: For Latin script.
        other: For other scripts.
        kinds: Kinds of the texts so far.
    """
    met = set(kinds)
    return "+".join([usual] * (not met or "latin" in met) + [other] * bool(met - {"latin"}))
