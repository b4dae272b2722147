"""What a user reviews, when, and how: decided before a word is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.catalogue import Catalogue
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.people import Person
from idiolect.sandbox.traits import N_TRAITS, TRAITS

_STREAM = 4
_BASES = np.array([trait.base for trait in TRAITS])
_EPOCH = 1_262_304_000
"""2010-01-01, seconds: after the youngest item, before the first review."""
_DAY = 86_400


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """One user's reviews, oldest first."""

    items: list[int]
    ratings: list[int]
    timestamps: list[int]
    """Seconds since the epoch, at least a day apart."""
    scores: np.ndarray
    """float64 (n_reviews, n_traits): how strongly each trait shows, in (0, 1)."""


def plan(user: int, someone: Person, catalogue: Catalogue, config: WorldConfig) -> Plan:
    """The reviews of user number ``user``.

    A trait's logit is its base plus the effects of genre, item and user and the review's own noise; a rating follows
    the item's quality and the user's leniency.
    """
    rng = stream(config.seed, _STREAM, user)
    draw = Draw(rng)
    items = _choose(draw, someone, catalogue, config)
    noise = rng.standard_normal((len(items), N_TRAITS))
    rating_noise, gap = rng.standard_normal((2, len(items)))
    effects = catalogue.effects[items] + someone.effect + config.noise_sd * noise
    stars = np.rint(3.5 + 0.9 * catalogue.quality[items] + 0.5 * someone.leniency + 0.6 * rating_noise)
    days = draw.integer(0, 3650) + np.cumsum(1 + (15 * np.abs(gap)).astype(np.int64))
    return Plan(
        items=items,
        ratings=stars.clip(1, 5).astype(int).tolist(),
        timestamps=(_EPOCH + _DAY * days + draw.integer(0, _DAY - 1)).tolist(),
        scores=1 / (1 + np.exp(-_BASES - config.trait_strength * effects)),
    )


def _choose(draw: Draw, someone: Person, catalogue: Catalogue, config: WorldConfig) -> list[int]:
    """Different items, most of them of the favourite genres."""
    n_items, n_genres = config.n_items, len(catalogue.genres)
    chosen: dict[int, None] = {}
    for _ in range(min(draw.integer(*config.reviews_per_user), n_items)):
        favourite = draw.chance(config.favourite_share)
        genre = draw.pick(someone.favourites) if favourite else draw.integer(0, n_genres - 1)
        of_genre = range(genre, n_items, n_genres) or range(n_items)
        item = draw.pick(of_genre)
        if item in chosen:
            unused = [k for k in of_genre if k not in chosen] or [k for k in range(n_items) if k not in chosen]
            item = draw.pick(unused)
        chosen[item] = None
    return list(chosen)
