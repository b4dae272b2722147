"""What a user reviews, when, and how: decided before a word is written.

A seeded world of items, users and reviews whose ground truth, how each user differs, is known.

The ground truth of a world.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from idiolect.errors import ArtifactError, NotFoundError
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.items import Catalogue
from idiolect.sandbox.traits import N_TRAITS, NAMES, TRAITS, Draw, Scores, stream
from idiolect.sandbox.users import Person, person
from idiolect.sandbox.writer import write
from idiolect.types import Item, Review, ReviewId, UserId

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


def is_truth(path: Path) -> bool:
    """Whether a file looks like one that ``Truth.save`` wrote: an archive with an array of user effects."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return "user_effects.npy" in archive.namelist()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth:
    """The effects of a world, in logits of trait strength, and what came of them in each review."""

    traits: tuple[str, ...]
    """Name of each trait; the columns of both arrays."""
    categories: tuple[str, ...]
    """Category of each trait."""
    users: tuple[str, ...]
    """User ids; the rows of ``user_effects``."""
    user_effects: np.ndarray
    """float32 (n_users, n_traits)."""
    items: tuple[str, ...]
    """Item ids; the rows of ``item_effects``."""
    item_effects: np.ndarray
    """float32 (n_items, n_traits): the item's own effect and its genre's."""
    reviews: tuple[str, ...] = ()
    """Review ids; the rows of ``realised``."""
    realised: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float16))
    """float16 (n_reviews, n_traits): how strongly each trait shows in each review, in (0, 1)."""

    def save(self, path: Path) -> None:
        """Write everything to an ``.npz`` without pickled objects."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                traits=np.array(self.traits),
                categories=np.array(self.categories),
                users=np.array(self.users),
                user_effects=self.user_effects,
                items=np.array(self.items),
                item_effects=self.item_effects,
                reviews=np.array(self.reviews, dtype=np.str_),
                realised=self.realised,
            )

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: Not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(
                    traits=tuple(data["traits"].tolist()),
                    categories=tuple(data["categories"].tolist()),
                    users=tuple(data["users"].tolist()),
                    user_effects=data["user_effects"],
                    items=tuple(data["items"].tolist()),
                    item_effects=data["item_effects"],
                    reviews=tuple(data["reviews"].tolist()),
                    realised=data["realised"],
                )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ArtifactError(f"{str(path)!r} holds no ground truth: {error}", hint="save it again") from error


__all__ = ["World", "WorldConfig"]

_STREAM_world = 3


class World:
    """Items, users and reviews of one configuration; reviews are made as they are asked for.

    A user's reviews depend on the user's number and on the configuration without ``n_users``, so a world with more
    users starts with the same ones.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config

    def items(self) -> Iterator[Item]:
        """Every item, in the order of their numbers."""
        return (about.item for about in self.catalogue.subjects)

    def reviews(self) -> Iterator[Review]:
        """Every review, user by user; a user's timestamps increase by a day or more."""
        for user in range(self.config.n_users):
            yield from self.reviews_of(user)

    def reviews_of(self, user: int) -> Iterator[Review]:
        """The reviews of user number ``user``, oldest first."""
        config, name, someone = self.config, self.user_id(user), self._person(user)
        draw = Draw(stream(config.seed, _STREAM_world, user))
        plan = self._plan(user, someone)
        for k, item in enumerate(plan.items):
            about, rating, scores = self.catalogue.subjects[item], plan.ratings[k], Scores(*plan.scores[k].tolist())
            written = write(draw, about, someone, scores, config, rating=rating)
            yield Review(
                id=self.review_id(user, k),
                user=name,
                item=about.item.id,
                text=written.text,
                rating=float(rating),
                title=written.title,
                timestamp=plan.timestamps[k],
                order=k,
            )

    def realised(self, user: int) -> np.ndarray:
        """float64 (n_reviews, n_traits): how strongly each trait shows in each review of a user, in (0, 1)."""
        return self._plan(user, self._person(user)).scores

    def scores(self, review: ReviewId) -> Scores:
        """How strongly each trait shows in one review.

        Raises:
            NotFoundError: No such review in this world.
        """
        parts = re.fullmatch(r"s(\d+)-u(\d+)-(\d+)", review)
        if parts and int(parts[1]) == self.config.seed and int(parts[2]) < self.config.n_users:
            rows = self.realised(int(parts[2]))
            if int(parts[3]) < len(rows):
                return Scores(*rows[int(parts[3])].tolist())
        raise NotFoundError(f"no review {review!r} in the world of seed {self.config.seed}")

    def user_id(self, user: int) -> UserId:
        """The id of user number ``user``."""
        return UserId(f"s{self.config.seed}-u{user:05d}")

    def review_id(self, user: int, k: int) -> ReviewId:
        """The id of the ``k``-th review of user number ``user``, the oldest being 0."""
        return ReviewId(f"{self.user_id(user)}-{k:03d}")

    def save_truth(self, path: Path) -> None:
        """Write the true effects (see ``Truth.load``)."""
        self.truth.save(path)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items with their ground truth."""
        return Catalogue(self.config)

    @cached_property
    def truth(self) -> Truth:
        """The true effects of every user and item, and every review's realised traits."""
        users = range(self.config.n_users)
        realised = [self.realised(user).astype(np.float16) for user in users]
        return Truth(
            traits=NAMES,
            categories=tuple(trait.category for trait in TRAITS),
            users=tuple(map(self.user_id, users)),
            user_effects=np.stack([self._person(user).effect for user in users]),
            items=tuple(item.id for item in self.items()),
            item_effects=self.catalogue.effects,
            reviews=tuple(self.review_id(user, k) for user in users for k in range(len(realised[user]))),
            realised=np.concatenate(realised),
        )

    def _person(self, user: int) -> Person:
        return person(user, self.config, n_genres=len(self.catalogue.genres))

    def _plan(self, user: int, someone: Person) -> Plan:
        return plan(user, someone, self.catalogue, self.config)
