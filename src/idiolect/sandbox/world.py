"""A seeded world of items, users and reviews in which how each user differs is planted, and so known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.sandbox.catalogue import Subject, subject
from idiolect.sandbox.domain import DOMAINS, Genre, load_domain
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.people import Person, person
from idiolect.sandbox.traits import N_TRAITS, NAMES, TRAITS, Scores
from idiolect.sandbox.truth import Truth
from idiolect.sandbox.writer import write
from idiolect.types import Item, Review, ReviewId, UserId

DomainName = Literal["books", "films", "albums", "beers"]

_LAW, _PERSON, _REVIEWS, _NOISE = 0, 2, 3, 4
_BASES = np.array([trait.base for trait in TRAITS])
_EPOCH = 1_262_304_000
"""2010-01-01, before the first review."""
_DAY = 86_400


class WorldConfig(Config):
    """A world; the same values give the same bytes everywhere."""

    seed: int = Field(default=0, ge=0)
    """Of everything but the genre effects; worlds of different seeds share no user and no item."""
    law_seed: int = Field(default=0, ge=0)
    """Of the genre effects: worlds that share it agree on how a genre makes people write."""
    n_users: int = Field(default=200, ge=1)
    n_items: int = Field(default=160, ge=1)
    """Genres take turns: item k has genre k modulo their number."""
    reviews_per_user: tuple[int, int] = (10, 16)
    """Fewest and most reviews of a user; the number is uniform between them."""
    domains: tuple[DomainName, ...] = DOMAINS
    """What is reviewed; each brings five genres."""
    words: int = Field(default=45, ge=20)
    """Length aimed at, in words a review."""
    user_sd: float = Field(default=1.8, ge=0)
    """Standard deviation of the user effects, logits."""
    genre_sd: float = Field(default=1.5, ge=0)
    """Standard deviation of the genre effects, logits."""
    item_sd: float = Field(default=0.9, ge=0)
    """Standard deviation of the items' own effects, logits."""
    noise_sd: float = Field(default=0.5, ge=0)
    """Standard deviation of a review's own deviation, logits."""
    n_favourites: int = Field(default=2, ge=1)
    """Favourite genres of a user."""
    favourite_share: float = Field(default=0.85, ge=0, le=1)
    """Share of a user's reviews that are about favourite genres: what confounds genre and user."""
    signature_share: float = Field(default=0.35, ge=0, le=1)
    """Share of a user's reviews that hold the user's signature phrase."""
    trait_strength: float = Field(default=1.0, ge=0)
    """Factor of all effects; 0 leaves only each trait's base rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a user reviews and when, before a word is written."""

    items: list[int]
    ratings: list[int]
    timestamps: list[int]
    scores: np.ndarray
    """float64 (n_reviews, n_traits)."""


class World:
    """Items, users and reviews of one configuration, made as they are asked for.

    A user's reviews depend on the seed, the catalogue's size and the user's number alone, so a world with more users
    starts with the same ones.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config

    def items(self) -> Iterator[Item]:
        """Every item, in the order of their numbers."""
        return (self._subject(k).item for k in range(self.config.n_items))

    def reviews(self) -> Iterator[Review]:
        """Every review, user by user; a user's timestamps increase by a day or more."""
        for user in range(self.config.n_users):
            yield from self.reviews_of(user)

    def reviews_of(self, user: int) -> Iterator[Review]:
        """The reviews of user number ``user``, oldest first."""
        c = self.config
        someone = self._person(user)
        plan = self._plan(user, someone)
        draw = Draw(stream(c.seed, _REVIEWS, user))
        name = self.user_id(user)
        for k, (item, rating, timestamp) in enumerate(zip(plan.items, plan.ratings, plan.timestamps, strict=True)):
            about = self._subject(item)
            scores = Scores._make(plan.scores[k].tolist())
            written = write(
                draw, about, someone, scores, rating=rating, words=c.words, signature_share=c.signature_share
            )
            yield Review(
                id=ReviewId(f"{name}-{k:03d}"),
                user=name,
                item=about.item.id,
                text=written.text,
                rating=float(rating),
                title=written.title,
                timestamp=timestamp,
                order=k,
            )

    def realised(self, user: int) -> np.ndarray:
        """float64 (n_reviews, n_traits): how strongly each trait shows in each review of a user, in (0, 1)."""
        return self._plan(user, self._person(user)).scores

    def user_id(self, user: int) -> UserId:
        """The id of user number ``user``."""
        return UserId(f"s{self.config.seed}-u{user:05d}")

    @cached_property
    def genres(self) -> tuple[Genre, ...]:
        """The genres of the world's domains."""
        return tuple(genre for name in self.config.domains for genre in load_domain(name).genres)

    @cached_property
    def genre_effects(self) -> np.ndarray:
        """float32 (n_genres, n_traits)."""
        rows = [
            stream(self.config.law_seed, _LAW, *genre.name.encode()).standard_normal(N_TRAITS) for genre in self.genres
        ]
        return (self.config.genre_sd * np.stack(rows)).astype(np.float32)

    @cached_property
    def truth(self) -> Truth:
        """The planted effects of every user and item."""
        c = self.config
        return Truth(
            traits=NAMES,
            categories=tuple(trait.category for trait in TRAITS),
            users=tuple(map(self.user_id, range(c.n_users))),
            user_effects=np.stack([self._person(user).effect for user in range(c.n_users)]),
            items=tuple(item.id for item in self.items()),
            item_effects=self._item_effects,
        )

    @cached_property
    def _subjects(self) -> dict[int, Subject]:
        return {}

    def _subject(self, k: int) -> Subject:
        if k not in self._subjects:
            c = self.config
            genre = self.genres[k % len(self.genres)]
            before = k - len(self.genres)
            rival = self._subject(before).item.title if before >= 0 else "the usual suspects"
            self._subjects[k] = subject(
                k, self.genres, load_domain(genre.domain), seed=c.seed, item_sd=c.item_sd, rival=rival
            )
        return self._subjects[k]

    @cached_property
    def _item_effects(self) -> np.ndarray:
        everything = [self._subject(k) for k in range(self.config.n_items)]
        return np.stack([about.effect + self.genre_effects[about.genre] for about in everything])

    def _person(self, user: int) -> Person:
        c = self.config
        rng = stream(c.seed, _PERSON, user)
        return person(rng, user_sd=c.user_sd, n_genres=len(self.genres), n_favourites=c.n_favourites)

    def _plan(self, user: int, someone: Person) -> _Plan:
        c = self.config
        rng = stream(c.seed, _NOISE, user)
        draw = Draw(rng)
        n = min(draw.integer(*c.reviews_per_user), c.n_items)
        items = self._choose(draw, someone, n)
        noise = rng.standard_normal((n, N_TRAITS + 2))
        effects = self._item_effects[items] + someone.effect + c.noise_sd * noise[:, 2:]
        quality = np.array([self._subject(k).quality for k in items])
        stars = np.rint(3.5 + 0.9 * quality + 0.5 * someone.leniency + 0.6 * noise[:, 0]).clip(1, 5)
        gaps = _DAY + (15 * _DAY * np.abs(noise[:, 1])).astype(np.int64)
        start = _EPOCH + draw.integer(0, 3650) * _DAY
        return _Plan(
            items=items,
            ratings=[int(x) for x in stars],
            timestamps=(start + np.cumsum(gaps)).tolist(),
            scores=1 / (1 + np.exp(-_BASES - c.trait_strength * effects)),
        )

    def _choose(self, draw: Draw, someone: Person, n: int) -> list[int]:
        """``n`` different items, most of them of the favourite genres, the first of a genre more often."""
        n_items, n_genres = self.config.n_items, len(self.genres)
        chosen: dict[int, None] = {}
        while len(chosen) < n:
            favourite = draw.chance(self.config.favourite_share)
            genre = draw.pick(someone.favourites) if favourite else draw.integer(0, n_genres - 1)
            in_genre = len(range(genre, n_items, n_genres))
            k = genre + n_genres * int(draw.uniform() * in_genre)
            if k < n_items and k in chosen:
                k = (k + n_genres * draw.integer(1, max(1, in_genre))) % n_items
            if k < n_items:
                chosen[k] = None
        return list(chosen)
