"""What is reviewed: a domain's words, genres, aspects and phrases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from idiolect.sandbox.bank import Sections, contract, merged, read

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
