"""A seeded world of items, users and reviews in which how each user differs is planted, and so known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from idiolect.errors import NotFoundError
from idiolect.sandbox.catalogue import Catalogue
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.people import Person, person
from idiolect.sandbox.plan import Plan, plan
from idiolect.sandbox.traits import NAMES, TRAITS, Scores
from idiolect.sandbox.truth import Truth
from idiolect.sandbox.writer import write
from idiolect.types import Item, Review, ReviewId, UserId

__all__ = ["World", "WorldConfig"]

_STREAM = 3


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
        draw = Draw(stream(config.seed, _STREAM, user))
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
        """Write the planted effects (see ``Truth.load``)."""
        self.truth.save(path)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items with what is planted in them."""
        return Catalogue(self.config)

    @cached_property
    def truth(self) -> Truth:
        """The planted effects of every user and item, and every review's realised traits."""
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
