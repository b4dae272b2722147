"""The written phrases: text files of ``[section]`` headings with a phrase a line."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

Sections = dict[str, tuple[str, ...]]

_CONTRACTIONS = {
    "it is": "it's", "that is": "that's", "there is": "there's", "what is": "what's",
    "I am": "I'm", "I have": "I've", "I would": "I'd", "I will": "I'll",
    "you are": "you're", "you will": "you'll", "they are": "they're", "we are": "we're",
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "was not": "wasn't",
    "are not": "aren't", "were not": "weren't", "cannot": "can't", "could not": "couldn't", "would not": "wouldn't",
    "will not": "won't", "should not": "shouldn't", "have not": "haven't", "has not": "hasn't", "had not": "hadn't",
    "need not": "needn't", "let us": "let's", "it will": "it'll", "it would": "it'd",
}  # fmt: skip
_CONTRACTIBLE = re.compile(r"\b(" + "|".join(sorted(_CONTRACTIONS, key=len, reverse=True)) + r")\b(?=[ ,.][a-z{I])")
"""Never at the end of a clause: nobody writes "that is what it's."."""


@cache
def read(name: str) -> Sections:
    """The sections of ``phrases/<name>.txt``.

    A line is a phrase, or several with `` | `` between them; empty lines and lines starting with ``#`` are skipped.
    """
    text = resources.files("idiolect.sandbox").joinpath("phrases", f"{name}.txt").read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = sections.setdefault(line[1:-1], [])
        elif line and not line.startswith("#"):
            section.extend(line.split(" | "))
    return {key: tuple(lines) for key, lines in sections.items()}


def merged(*banks: Sections) -> Sections:
    """The sections of all ``banks``, phrases of equal headings one after the other."""
    out: Sections = {}
    for bank in banks:
        for key, lines in bank.items():
            out[key] = out.get(key, ()) + lines
    return out


def contract(phrase: str) -> str:
    """``phrase`` as it is spoken: "it is" becomes "it's"."""
    return _CONTRACTIBLE.sub(lambda match: _CONTRACTIONS[match[0]], phrase)
