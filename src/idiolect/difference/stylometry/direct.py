"""The counts of ``measures.count`` for a few short texts, without polars.

One text takes about a millisecond, because its patterns are compiled once. Polars compiles all patterns in every call
that has more of them than its cache: fifteen milliseconds, whatever the number of texts.

Python reads the same patterns only for texts of known characters: ASCII, Latin-1 letters, common marks and pictures.
Their classes are the same in both engines, which a test checks character by character. Other texts are left to polars
(``takes``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from idiolect.difference.stylometry import patterns
from idiolect.difference.stylometry.prose import prose

TEXTS, CHARACTERS = 8, 3000
"""Texts in one call, and characters in all of them, up to which this is faster."""
_MARKS = "×÷£€©®™°…–—•’‘“”"
_PICTURES = "\u2600-\u2764\U0001f300-\U0001f64f\U0001f680-\U0001f6c5\U0001f90d-\U0001f971"
KNOWN = re.compile(rf"[\x00-\x7fÀ-ÿ{_MARKS}{_PICTURES}]*")
"""Texts whose characters are all known."""
_RUN = re.compile(r"""[.!?…'")\]*]{40}|\s{40}""", re.ASCII)
"""Python's engine takes quadratic time for such runs."""

_UPPER, _LOWER = "A-ZÀ-ÖØ-Þ", "a-zß-öø-ÿ"
_CLASSES: Mapping[str, str] = {
    r"\p{L}": _UPPER + _LOWER,
    r"\p{Lu}": _UPPER,
    r"\p{Ll}": _LOWER,
    r"\p{N}": "0-9",
    r"\w": f"0-9_{_UPPER}{_LOWER}",
}
_TOKEN = re.compile(r"\(\?-u:\\b\)|\\p\{\w+\}|\\.|\[\^?|\]|\$|.", re.DOTALL)
_SPACE = " \t\n\r\x0b\x0c"
_ENTITY = re.compile("|".join(map(re.escape, patterns.ENTITIES)))


def takes(texts: Sequence[str]) -> bool:
    """Whether ``count`` may be called: the texts are few and short, and of known characters."""
    few = len(texts) <= TEXTS and sum(map(len, texts)) <= CHARACTERS
    return few and all(KNOWN.fullmatch(text) and not _RUN.search(text) for text in texts)


def translated(pattern: str) -> str:
    r"""A pattern in Rust's syntax in Python's, for ``re.ASCII``.

    Example:
        >>> translated(r"(?-u:\b)\p{Lu}$")
        '\\b[A-ZÀ-ÖØ-Þ]\\Z'
    """
    parts, inside, lines = [], False, pattern.startswith("(?m)")
    for token in _TOKEN.findall(pattern):
        if token == r"(?-u:\b)":
            parts.append(r"\b")
        elif token == r"\W":
            parts.append("[^" + _CLASSES[r"\w"] + "]")
        elif token in _CLASSES:
            parts.append(_CLASSES[token] if inside else f"[{_CLASSES[token]}]")
        elif token == "$" and not inside and not lines:
            parts.append(r"\Z")
        else:
            parts.append(token)
            inside = token.startswith("[") or (inside and token != "]")
    return "".join(parts)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translated(pattern), re.ASCII)


@cache
def _patterns() -> tuple[list[tuple[str, re.Pattern[str]]], ...]:
    """The patterns of the text in lower case, of the text, and of its sentences."""
    kinds = (patterns.LOWER, patterns.CASED, patterns.SENTENCE)
    return tuple([(name, _compiled(pattern)) for name, pattern in kind.items()] for kind in kinds)


def count(text: str) -> dict[str, float]:
    """The counts of one text, as a row of ``measures.count``.

    Args:
        text: One that ``takes`` lets in.
    """
    text = _ENTITY.sub(lambda found: patterns.ENTITIES[found[0]], text)
    text = prose(_compiled(patterns.BREAK).sub("\n", text))
    lower = re.sub(r"\s+", " ", text.lower(), flags=re.ASCII)
    words, long_words = (_compiled(p).findall(lower) for p in (patterns.WORD, patterns.LONG_WORD))
    lowered, cased, _ = _patterns()
    counts: dict[str, float] = {
        "words": len(words),
        "distinct": len(set(words)),
        "long_words": len(long_words),
        "distinct_long_words": len(set(long_words)),
        "letters": len(_compiled(patterns.LETTER).findall(text)),
        "inner_marks": sum(map(text.count, ",;:")),
        **{name: len(pattern.findall(lower)) for name, pattern in lowered},
        **{name: len(pattern.findall(text)) for name, pattern in cased},
        **_per_sentence(text),
    }
    return counts | _derived(counts)


def _sentences(text: str) -> list[str]:
    """See ``measures.split`` and ``measures.per_text``."""
    for pattern, by in patterns.ENDS:
        text = _compiled(pattern).sub(by.replace("$", "\\").replace("\n", r"\n"), text)
    skipped, letter = _compiled(patterns.NO_SENTENCE), _compiled(patterns.LETTER)
    parts = [part.strip(_SPACE) for part in text.split("\n")]
    return [part for part in parts if letter.search(part) and not skipped.search(part)]


def _per_sentence(text: str) -> dict[str, float]:
    sentences = _sentences(text)
    if not sentences:
        others = ("imperatives", "sentences", "sentence_length", "squares", "sign_offs", "verdict_first")
        return dict.fromkeys((*patterns.IN_SENTENCES, *others), 0.0)
    word, (*_, tested) = _compiled(patterns.WORD), _patterns()
    lengths = [len(word.findall(sentence)) for sentence in sentences]
    holds = {name: [bool(pattern.search(one)) for one in sentences] for name, pattern in tested}
    n, total, last, opinion = len(sentences), sum(lengths), lengths[-1], holds["opinion"]
    last_is_short = n >= 3 and 2 * last * (n - 1) <= total - last and not opinion[-1]
    return {
        **{name: sum(holds[name]) for name in patterns.IN_SENTENCES},
        "imperatives": sum(a and not b for a, b in zip(holds["imperatives"], holds["subjects"], strict=True)),
        "sentences": n,
        "sentence_length": total,
        "squares": sum(one * one for one in lengths),
        "sign_offs": last_is_short or holds["parting"][-1],
        "verdict_first": opinion[0] - opinion[-1],
    }


def _derived(of: Mapping[str, float]) -> dict[str, float]:
    """See ``measures._derived``."""
    return {
        "length": of["words"],
        "joints": of["inner_marks"] + of["subordinators"],
        "word_length": of["letters"],
        "british_spelling": of["british"] - of["american"],
        "tone": of["praise"] - of["blame"] - 2 * (of["negated_praise"] - of["negated_blame"]),
        "judging_words": of["praise"] + of["blame"],
        "information": max(of["words"] - of["function_words"], 0),
        "numbers": of["digits"] + of["number_words"],
        "quotations": max(of["quotations"] - of["quoted_titles"], 0),
        "paragraphs": (of["paragraph_breaks"] + 1) * (of["words"] > 0),
        "sign_offs": of["sign_offs"] * 100,
    }
