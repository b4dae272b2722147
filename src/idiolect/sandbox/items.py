"""All items of a world, with the effects of their genres.

One item with everything its reviews are rendered from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.domain import (
    LAW_SEED,
    Aspect,
    Domain,
    Genre,
    TemplateFields,
    WorldConfig,
    article,
    load_domain,
    read,
)
from idiolect.sandbox.traits import N_TRAITS, Draw, stream
from idiolect.types import Item, ItemId

_STREAM_subject = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the item has and reviews speak of."""

    aspect: Aspect
    plural: bool
    fields: dict[str, str]
    """The fact and what agrees with it, for the fields of a phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An item, how good it is, and how it makes everybody write."""

    item: Item
    domain: Domain
    quality: float
    """Standard normal; ratings follow it."""
    effect: np.ndarray
    """float32 (n_traits,): what the item adds to everybody's trait logits beyond its genre."""
    facts: tuple[Fact, ...]
    fields: TemplateFields
    """What does not change from sentence to sentence."""


def subject(index: int, genre: Genre, domain: Domain, *, seed: int, item_sd: float, rival: str) -> Subject:
    """Item number ``index``, the same whatever else the world holds.

    Args:
        index: Place in the catalogue.
        genre: The item's genre.
        domain: The domain of the genre.
        seed: Of the world.
        item_sd: Standard deviation of the item's own trait effect, logits.
        rival: Title that reviews compare the item with.
    """
    rng = stream(seed, _STREAM_subject, index)
    effect = (item_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    quality = float(rng.standard_normal())
    draw = Draw(rng)
    facts = tuple(_fact(draw, aspect) for aspect in domain.aspects)
    fields = _fields(draw, genre, domain, facts, rival)
    item = Item(
        id=ItemId(f"s{seed}-i{index:05d}"),
        title=fields["title"],
        description=draw.pick(domain.formal["description"]).format_map(fields),
        category=domain.name,
    )
    return Subject(item=item, domain=domain, quality=quality, effect=effect, facts=facts, fields=fields)


def _fact(draw: Draw, aspect: Aspect) -> Fact:
    written = draw.pick(aspect.facts)
    many = written.endswith("+")
    fields = {
        "fact": written.removesuffix("+"),
        "is": "are" if many else "is",
        "was": "were" if many else "was",
        "does": "do" if many else "does",
        "seems": "seem" if many else "seems",
        "it": "they" if many else "it",
        "aspect": aspect.name,
        "aspect_is": "are" if aspect.plural else "is",
    }
    return Fact(aspect=aspect, plural=many, fields=fields)


def _fields(draw: Draw, genre: Genre, domain: Domain, facts: Sequence[Fact], rival: str) -> TemplateFields:
    names, own = read("names"), domain.formal
    first, last = draw.pick(names["first"]), draw.pick(names["last"])
    fields = TemplateFields(domain.words)
    fields |= {
        "genre": genre.name,
        "genres": genre.plural,
        "rival": rival,
        "topic": draw.pick(genre.topics),
        "maker": f"{first} {last}",
        "maker_last": last,
        "year": str(draw.integer(1962, 2009)),
        "number": str(draw.integer(2, 99)),
        "n": str(draw.integer(int(fields["low"]), int(fields["high"]))),
        "place": draw.pick(own["places"]),
        "theme": draw.pick(own["themes"]),
        "a": draw.pick(own["title a"]),
        "b": draw.pick(own["title b"]),
        "b2": draw.pick(own["title b"]),
    }
    for k, fact in enumerate(draw.shuffled(facts)[:2], start=1):
        phrase = fact.fields["fact"]
        fields |= {
            f"fact{k}": phrase,
            f"a_fact{k}": phrase if fact.plural else article(phrase),
            f"is{k}": fact.fields["is"],
        }
    fields["title"] = draw.pick(own["title"]).format_map(fields)
    return fields


_STREAM = 0


class Catalogue:
    """The items, genres taking turns, and what item and genre together add to everybody's trait logits.

    Attributes:
        genres: The genres of the world's domains.
        subjects: Every item.
        genre_effects: float32 (n_genres, n_traits).
        effects: float32 (n_items, n_traits), genre included.
        quality: float64 (n_items,), standard normal.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.genres: tuple[Genre, ...] = tuple(g for name in config.domains for g in load_domain(name).genres)
        self.subjects: list[Subject] = []
        for k in range(config.n_items):
            self.subjects.append(self._next(k, config))
        effects = [stream(LAW_SEED, _STREAM, *g.name.encode()).standard_normal(N_TRAITS) for g in self.genres]
        self.genre_effects = (config.genre_sd * np.stack(effects)).astype(np.float32)
        own = np.stack([about.effect for about in self.subjects])
        self.effects = own + self.genre_effects[np.arange(config.n_items) % len(self.genres)]
        self.quality = np.array([about.quality for about in self.subjects])

    def _next(self, k: int, config: WorldConfig) -> Subject:
        genre = self.genres[k % len(self.genres)]
        earlier = k - len(self.genres)
        rival = self.subjects[earlier].item.title if earlier >= 0 else "the usual suspects"
        domain = load_domain(genre.domain)
        return subject(k, genre, domain, seed=config.seed, item_sd=config.item_sd, rival=rival)
