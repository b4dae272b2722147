"""One item with everything its reviews are rendered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.bank import read
from idiolect.sandbox.domain import Aspect, Domain, Genre
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.gaps import Gaps, article
from idiolect.sandbox.traits import N_TRAITS
from idiolect.types import Item, ItemId

_STREAM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the item has and reviews speak of."""

    aspect: Aspect
    plural: bool
    gaps: dict[str, str]
    """The fact and what agrees with it, for the gaps of a phrase."""


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
    gaps: Gaps
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
    rng = stream(seed, _STREAM, index)
    effect = (item_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    quality = float(rng.standard_normal())
    draw = Draw(rng)
    facts = tuple(_fact(draw, aspect) for aspect in domain.aspects)
    gaps = _gaps(draw, genre, domain, facts, rival)
    item = Item(
        id=ItemId(f"s{seed}-i{index:05d}"),
        title=gaps["title"],
        description=draw.pick(domain.formal["description"]).format_map(gaps),
        category=domain.name,
    )
    return Subject(item=item, domain=domain, quality=quality, effect=effect, facts=facts, gaps=gaps)


def _fact(draw: Draw, aspect: Aspect) -> Fact:
    written = draw.pick(aspect.facts)
    many = written.endswith("+")
    gaps = {
        "fact": written.removesuffix("+"),
        "is": "are" if many else "is",
        "was": "were" if many else "was",
        "does": "do" if many else "does",
        "seems": "seem" if many else "seems",
        "it": "they" if many else "it",
        "aspect": aspect.name,
        "aspect_is": "are" if aspect.plural else "is",
    }
    return Fact(aspect=aspect, plural=many, gaps=gaps)


def _gaps(draw: Draw, genre: Genre, domain: Domain, facts: Sequence[Fact], rival: str) -> Gaps:
    names, own = read("names"), domain.formal
    first, last = draw.pick(names["first"]), draw.pick(names["last"])
    gaps = Gaps(domain.words)
    gaps |= {
        "genre": genre.name,
        "genres": genre.plural,
        "rival": rival,
        "topic": draw.pick(genre.topics),
        "maker": f"{first} {last}",
        "maker_last": last,
        "year": str(draw.integer(1962, 2009)),
        "number": str(draw.integer(2, 99)),
        "n": str(draw.integer(int(gaps["low"]), int(gaps["high"]))),
        "place": draw.pick(own["places"]),
        "theme": draw.pick(own["themes"]),
        "a": draw.pick(own["title a"]),
        "b": draw.pick(own["title b"]),
        "b2": draw.pick(own["title b"]),
    }
    for k, fact in enumerate(draw.shuffled(facts)[:2], start=1):
        phrase = fact.gaps["fact"]
        gaps |= {
            f"fact{k}": phrase,
            f"a_fact{k}": phrase if fact.plural else article(phrase),
            f"is{k}": fact.gaps["is"],
        }
    gaps["title"] = draw.pick(own["title"]).format_map(gaps)
    return gaps
