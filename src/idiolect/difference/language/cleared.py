"""Features cleared of what the compared texts say: what may stand before whoever sums them up or writes.

An extractor has read the others' texts and may repeat them, on its own or because one of them tells it to. What it
repeats word for word is cut out of a name, a definition or a description, whatever was checked before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from idiolect.difference.language.feature import Feature
from idiolect.difference.language.taxonomy import KEYS
from idiolect.difference.stylometry.words import FUNCTION_WORDS

CUT = "…"
"""Stands where something was cut out."""

_RUN = 3
_WHOLE_RUN = 6
_NAME_RUN = 2
_LONGEST_NAME = 6

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_QUOTATION = re.compile(
    r"[\"“”„«‹`][^\"“”„«»‹›`]*[\"“”»›`]|(?<!\w)['‘‚](?:[^'‘’‚]|(?<=\w)['’](?=\w))+['’](?!\w)",
)
_CUTS = re.compile(rf"\W*{CUT}\W*(?:{CUT}\W*)*")
_PLAIN = frozenset(FUNCTION_WORDS).union(
    *(_WORD.findall(f"{key.phrase} {key.attribute} {key.direction}".lower()) for key in KEYS),
    ("user", "user's", "reviewer", "others", "others'", "peers", "reviews"),
)
"""Words that say nothing of what a review was about: closed classes, and those of the taxonomy."""


def cleared(features: Iterable[Feature], texts: Sequence[str]) -> list[Feature]:
    """The features without anything that is quoted, or copied word for word, from ``texts``.

    Cut out of definition and description is what stands in quotation marks, whoever is quoted; three words or more in a
    row that stand in a text, unless all but one are closed-class words or the taxonomy's; and six words whatever they
    are. Out of a name two in a row are cut, and one that is long or has nothing left becomes its place in the taxonomy.
    A feature whose description has nothing left is left out.

    Args:
        features: Of one comparison.
        texts: Everything of reviews that the extractor was shown: titles too, the user's own as well.
    """
    copies = _Copies(texts)
    found = (
        replace(
            feature,
            name=_name(feature, copies),
            definition=_cut(feature.definition, copies),
            description=_cut(feature.description, copies),
        )
        for feature in features
    )
    return [feature for feature in found if len(_WORD.findall(feature.description)) > 1]


class _Copies:
    """Finds runs of words that stand in some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._line = "|".join(map(_line, texts))

    def spans(self, text: str, n: int) -> Iterator[tuple[int, int, list[str]]]:
        """Start, end and words of every longest stretch of ``text`` in which all ``n`` words in a row are known."""
        matches = list(_WORD.finditer(text))
        words = [_plain(match[0]) for match in matches]
        runs = enumerate(zip(*(words[k:] for k in range(n)), strict=False))
        known = [place for place, run in runs if f" {' '.join(run)} " in self._line]
        breaks = [k for k, (left, right) in enumerate(pairwise(known), start=1) if right > left + 1]
        for first, last in zip([0, *breaks], [*breaks, len(known)], strict=True):
            if first < last:
                begin, end = known[first], known[last - 1] + n
                yield matches[begin].start(), matches[end - 1].end(), words[begin:end]


@lru_cache(maxsize=4096)  # a review is compared with many users'
def _line(text: str) -> str:
    """The words of a text between single spaces, in which a run of words is found as a string."""
    return f" {_plain(' '.join(_WORD.findall(text)))} "


def _plain(words: str) -> str:
    return words.lower().replace("’", "'")


def _cut(text: str, copies: _Copies) -> str:
    text = _QUOTATION.sub(CUT, text)
    for start, end, words in reversed(list(copies.spans(text, _RUN))):
        if len(words) >= _WHOLE_RUN or sum(word not in _PLAIN for word in words) > 1:
            text = f"{text[:start]}{CUT}{text[end:]}"
    return _tidy(text)


def _name(feature: Feature, copies: _Copies) -> str:
    name = _QUOTATION.sub(CUT, feature.name)
    for start, end, _ in reversed(list(copies.spans(name, _NAME_RUN))):
        name = f"{name[:start]}{CUT}{name[end:]}"
    if CUT in name or not 0 < len(_WORD.findall(name)) <= _LONGEST_NAME:
        return feature.attribute.partition("/")[2].replace("-", " ") if feature.attribute else "Difference"
    return name


def _tidy(text: str) -> str:
    return _CUTS.sub(f" {CUT} ", text).strip() if CUT in text else text
