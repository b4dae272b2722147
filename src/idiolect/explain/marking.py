"""Where a text shows a measure of style: the stretches that its count is made of.

The patterns are those of the measures. polars puts a mark around every match, so that a stretch is exactly what the
measure counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from idiolect.difference.stylometry.measures import NAMES, split
from idiolect.difference.stylometry.patterns import CASED, LOWER, SENTENCE
from idiolect.errors import ConfigError
from idiolect.registry import suggest

SHOWN_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{name: (name,) for name in NAMES if name in LOWER or name in CASED or name in SENTENCE},
        "joints": ("inner_marks", "subordinators"),
        "british_spelling": ("british", "american"),
        "tone": ("praise", "blame"),
        "judging_words": ("praise", "blame"),
        "verdict_first": ("praise", "blame"),
        "numbers": ("digits", "number_words"),
    }
)
"""The patterns that show a measure; measures of a whole text (length, variety) have none."""
_PLAIN = {**CASED, "inner_marks": "[,;:]"}
_OPEN, _CLOSE = "\ue000", "\ue001"
_NOT_PLAIN = re.compile(f"[{_OPEN}{_CLOSE}]")


class Stretch(NamedTuple):
    """A part of a text that shows a measure."""

    measure: str
    start: int
    """Characters (Unicode code points) before it."""
    end: int


def stretches(text: str, measures: Collection[str]) -> list[Stretch]:
    """The parts of a text that show measures, in the order of the text; parts of different measures may overlap.

    Args:
        text: Unchanged.
        measures: Names of measures; those of a whole text show nothing.

    Raises:
        ConfigError: There is no such measure.

    Example:
        >>> stretches("Wow! It is fine.", ["exclamations"])
        [Stretch(measure='exclamations', start=3, end=4)]
    """
    for name in measures:
        if name not in NAMES:
            raise ConfigError(f"unknown measure {name!r}", hint=suggest(name, NAMES))
    text = _NOT_PLAIN.sub("\ufffd", text)
    lower, places = _lowered(text)
    found = set()
    for name in measures:
        for pattern in SHOWN_BY.get(name, ()):
            if pattern in LOWER:
                spans = ((places[a], places[b - 1] + 1) for a, b in _matches(lower, LOWER[pattern]))
                found |= {Stretch(name, _word_start(text, a), b) for a, b in spans}
            elif pattern in _PLAIN:
                spans = _matches(text, _PLAIN[pattern])
                found |= {Stretch(name, a, _line_end(text, b) if pattern == "list_lines" else b) for a, b in spans}
            else:
                found |= {Stretch(name, a, b) for a, b in _in_sentences(text, SENTENCE[pattern])}
    return sorted(found, key=lambda one: (one.start, one.end, one.measure))


def _matches(text: str, pattern: str) -> Iterator[tuple[int, int]]:
    """Start and end of every match that is not empty."""
    marked = pl.Series([text]).str.replace_all(f"({pattern})", f"{_OPEN}${{1}}{_CLOSE}").item()
    at = start = 0
    for char in marked:
        if char == _OPEN:
            start = at
        elif char == _CLOSE:
            if at > start:
                yield start, at
        else:
            at += 1


def _word_start(text: str, at: int) -> int:
    """Where the word begins that ``at`` lies in: a contraction is counted by its end ("don't")."""
    while at > 0 and text[at - 1].isalnum() and text[at].isalnum():
        at -= 1
    return at


def _line_end(text: str, at: int) -> int:
    """Where the line ends that ``at`` lies in: an item of a list is counted by its beginning."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _in_sentences(text: str, pattern: str) -> Iterator[tuple[int, int]]:
    """The same within each sentence, which patterns of sentences are anchored to."""
    cursor = 0
    for raw in pl.select(split(pl.lit(text))).item().to_list():
        sentence = raw.strip()
        place = text.find(sentence, cursor) if sentence else -1
        if place >= 0:
            cursor = place + len(sentence)
            yield from ((place + a, place + b) for a, b in _matches(sentence, pattern))


def _lowered(text: str) -> tuple[str, list[int]]:
    """Lower case with single blanks, as lexicons are counted in; and where each character comes from."""
    letters, places = [], []
    for place, char in enumerate(text):
        if char.isspace():
            if letters and letters[-1] == " ":
                continue
            char = " "
        small = _STRAIGHT.get(char, char).lower()
        letters.append(small if len(small) == 1 else char)
        places.append(place)
    return "".join(letters), places


_STRAIGHT = {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"'}
