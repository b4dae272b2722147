"""The items of a world: what they are about, how good they are, and how they make everybody write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.bank import article, read
from idiolect.sandbox.domain import Aspect, Domain, Genre
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.traits import N_TRAITS
from idiolect.types import Item, ItemId

_ITEM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the item has and reviews speak of."""

    aspect: Aspect
    phrase: str
    plural: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An item with what its reviews are rendered from."""

    item: Item
    domain: Domain
    genre: int
    quality: float
    """Standard normal; ratings follow it."""
    effect: np.ndarray
    """float32 (n_traits,): what the item adds to everybody's trait logits beyond its genre."""
    facts: tuple[Fact, ...]
    fields: dict[str, str]
    """Values of the placeholders that do not change from sentence to sentence."""


def subject(index: int, genres: Sequence[Genre], domain: Domain, *, seed: int, item_sd: float, rival: str) -> Subject:
    """Item ``index`` of the world, the same whatever else the world holds.

    Args:
        index: Place in the catalogue; genres take turns.
        genres: All genres of the world.
        domain: The domain of the item's genre.
        seed: Of the catalogue.
        item_sd: Standard deviation of the item's own trait effect (logits).
        rival: Title that reviews compare the item with.
    """
    rng = stream(seed, _ITEM, index)
    effect = (item_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    quality = float(rng.standard_normal())
    draw = Draw(rng)
    genre = genres[index % len(genres)]
    facts = tuple(_fact(draw, aspect) for aspect in domain.aspects)
    fields = _fields(draw, genre, domain, facts) | {"rival": rival}
    item = Item(
        id=ItemId(f"s{seed}-i{index:05d}"),
        title=fields["title"],
        description=draw.pick(domain.formal["description"]).format_map(fields),
        category=domain.name,
    )
    return Subject(
        item=item,
        domain=domain,
        genre=index % len(genres),
        quality=quality,
        effect=effect,
        facts=facts,
        fields=fields,
    )


def _fact(draw: Draw, aspect: Aspect) -> Fact:
    phrase = draw.pick(aspect.facts)
    return Fact(aspect=aspect, phrase=phrase.removesuffix("+"), plural=phrase.endswith("+"))


def _fields(draw: Draw, genre: Genre, domain: Domain, facts: tuple[Fact, ...]) -> dict[str, str]:
    names = read("traits")
    first, last = (draw.pick(names[key][0].split("; ")) for key in ("first names", "last names"))
    about = draw.pick(genre.subjects)
    fields = dict(domain.words)
    fields |= {
        "genre": genre.name,
        "genres": genre.plural,
        "a_genre": article(genre.name),
        "A_genre": _capital(article(genre.name)),
        "a_thing": article(domain.words["thing"]),
        "A_thing": _capital(article(domain.words["thing"])),
        "subject": about,
        "Subject": _capital(about),
        "maker": f"{first} {last}",
        "maker_last": last,
        "year": str(draw.integer(1962, 2023)),
        "year2": str(draw.integer(2, 99)),
        "n": str(draw.integer(int(fields["low"]), int(fields["high"]))),
    }
    for key in ("places", "themes"):
        fields[key[:-1]] = draw.pick(domain.formal[key][0].split("; "))
    for key in ("a", "b"):
        fields[key] = draw.pick(domain.formal[f"title {key}"][0].split("; "))
    fields["b2"] = draw.pick([b for b in domain.formal["title b"][0].split("; ") if b != fields["b"]])
    fields["A_b"] = _capital(article(fields["b"]))
    shown = draw.shuffled(facts)
    for k in (1, 2):
        fact = shown[k - 1]
        fields[f"fact{k}"] = fact.phrase
        fields[f"a_fact{k}"] = fact.phrase if fact.plural else article(fact.phrase)
        fields[f"is{k}"] = "are" if fact.plural else "is"
    fields["title"] = draw.pick(domain.formal["title"]).format_map(fields)
    return fields


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
