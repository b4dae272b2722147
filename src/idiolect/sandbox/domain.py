"""The written phrases: text files of ``[section]`` headings with a phrase a line.

What the fields of a phrase are filled with.

What is reviewed: a domain's words, genres, aspects and phrases.

What a world is made of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from idiolect.config import Config

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
    for phrases in banks:
        for key, lines in phrases.items():
            out[key] = out.get(key, ()) + lines
    return out


def contract(phrase: str) -> str:
    """``phrase`` as it is spoken: "it is" becomes "it's"."""
    return _CONTRACTIBLE.sub(lambda match: _CONTRACTIONS[match[0]], phrase)


_VOWEL_SOUND = re.compile(r"(?i)(?!uni[^nm]|use|eu|one\b|once\b|ubiq)[aeiou]|hour|hon(?:est|o)|heir")


@cache
def article(phrase: str) -> str:
    """``phrase`` with "a" or "an" before it, by its sound."""
    return f"{'an' if _VOWEL_SOUND.match(phrase) else 'a'} {phrase}"


def capital(text: str) -> str:
    """``text`` with its first letter in upper case, behind an opening quotation mark if it has one."""
    start = 1 if text[0] == '"' else 0
    return f"{text[:start]}{text[start].upper()}{text[start + 1 :]}"


class TemplateFields(dict[str, str]):
    """Values by name; ``a_x`` is ``x`` with its article, and an upper-case first letter capitalises the value."""

    def __missing__(self, name: str) -> str:
        if name[0].isupper():
            return capital(self[name[0].lower() + name[1:]])
        if name.startswith("a_"):
            return article(self[name[2:]])
        raise KeyError(name)


DomainName = Literal["books", "films", "albums", "beers", "restaurants", "tools"]
DOMAINS: tuple[DomainName, ...] = get_args(DomainName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Genre:
    """A kind of item; its topics are what its items are about or made of."""

    domain: DomainName
    name: str
    plural: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """A side of an item that reviews judge: facts an item may have, and adjectives for them."""

    name: str
    facts: tuple[str, ...]
    adjectives: dict[tuple[bool, bool], tuple[str, ...]]
    """By (good, fancy)."""
    attributes: dict[tuple[bool, bool], tuple[str, ...]]
    """The adjectives that can stand before a noun."""

    @property
    def plural(self) -> bool:
        """Whether the name is a plural ("lyrics")."""
        return self.name.endswith("s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One domain with everything needed to write about its items."""

    name: DomainName
    words: dict[str, str]
    """Placeholders that every item of the domain shares: ``thing``, ``see``, ``unit`` ..."""
    genres: tuple[Genre, ...]
    aspects: tuple[Aspect, ...]
    whole: Aspect
    """The thing itself; it has no facts."""
    formal: Sections
    casual: Sections
    """``formal`` with contractions, phrase for phrase."""


@cache
def load_domain(name: DomainName) -> Domain:
    """The domain called ``name``, from its phrase file and the common ones."""
    own = read(name)
    formal = merged(read("common"), read("traits"), own)
    return Domain(
        name=name,
        words=dict(_pair(line, "=") for line in own["words"]),
        genres=tuple(_genre(name, line) for line in own["genres"]),
        aspects=tuple(_aspect(aspect, own) for aspect in own["aspects"]),
        whole=_aspect("whole", own),
        formal=formal,
        casual={key: tuple(map(contract, lines)) for key, lines in formal.items()},
    )


def _genre(domain: DomainName, line: str) -> Genre:
    names, topics = _pair(line, ":")
    name, plural = _pair(names, "/")
    return Genre(domain=domain, name=name, plural=plural, topics=_split(topics))


def _aspect(name: str, own: Sections) -> Aspect:
    table = dict(_pair(line, ":") for line in own[f"aspect {name}"])
    kinds = {(True, False): "good", (True, True): "good fancy", (False, False): "bad", (False, True): "bad fancy"}
    adjectives = {key: _split(table[kind]) for key, kind in kinds.items()}
    return Aspect(
        name=name,
        facts=_split(table.get("facts", "")),
        adjectives=adjectives,
        attributes={key: tuple(word for word in words if " " not in word) for key, words in adjectives.items()},
    )


def _pair(line: str, separator: str) -> tuple[str, str]:
    left, _, right = line.partition(separator)
    return left.strip(), right.strip()


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";"))


LAW_SEED = 0
"""Of the genre effects: all worlds agree on how a genre makes people write, so that a backbone that learned it in one
world knows it in another."""
N_FAVOURITES = 2
"""Favourite genres of a user; ``favourite_share`` says how much they confound genre and user."""


class WorldConfig(Config):
    """A world; the same values give the same bytes everywhere."""

    seed: int = Field(default=0, ge=0)
    """Of everything but the genre effects; worlds of different seeds share no user and no item."""
    n_users: int = Field(default=200, ge=1)
    n_items: int = Field(default=160, ge=1)
    """Genres take turns: item k has genre k modulo their number."""
    reviews_per_user: tuple[int, int] = (10, 16)
    """Fewest and most reviews of a user; the number is uniform between them, and never above ``n_items``."""
    domains: tuple[DomainName, ...] = Field(default=DOMAINS, min_length=1)
    """What is reviewed; each brings five genres."""
    words: int = Field(default=45, ge=20)
    """Length aimed at, in words a review; the mean is some ten words above it."""
    user_sd: float = Field(default=4.0, ge=0)
    """Standard deviation of the user effects, logits."""
    genre_sd: float = Field(default=2.7, ge=0)
    """Standard deviation of the genre effects, logits."""
    item_sd: float = Field(default=1.5, ge=0)
    """Standard deviation of the items' own effects, logits."""
    noise_sd: float = Field(default=0.5, ge=0)
    """Standard deviation of a review's own deviation, logits."""
    favourite_share: float = Field(default=0.85, ge=0, le=1)
    """Share of a user's reviews that are about favourite genres: what confounds genre and user."""
    signature_share: float = Field(default=0.25, ge=0, le=1)
    """Share of a user's reviews that hold the user's signature phrase."""
    trait_strength: float = Field(default=1.0, ge=0)
    """Factor of all effects; 0 leaves only each trait's base rate."""

    retired: ClassVar = {"law_seed": LAW_SEED, "n_favourites": N_FAVOURITES}

    @model_validator(mode="after")
    def _fewest_before_most(self) -> Self:
        fewest, most = self.reviews_per_user
        if not 1 <= fewest <= most:
            raise ValueError(f"reviews_per_user: fewest and most must be at least 1 and in order, not {fewest}, {most}")
        return self
