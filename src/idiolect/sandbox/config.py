"""What a world is made of."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from idiolect.config import Config
from idiolect.sandbox.domain import DOMAINS, DomainName


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
    n_favourites: int = Field(default=2, ge=1)
    """Favourite genres of a user."""
    favourite_share: float = Field(default=0.85, ge=0, le=1)
    """Share of a user's reviews that are about favourite genres: what confounds genre and user."""
    signature_share: float = Field(default=0.25, ge=0, le=1)
    """Share of a user's reviews that hold the user's signature phrase."""
    trait_strength: float = Field(default=1.0, ge=0)
    """Factor of all effects; 0 leaves only each trait's base rate."""

    @model_validator(mode="after")
    def _fewest_before_most(self) -> Self:
        fewest, most = self.reviews_per_user
        if not 1 <= fewest <= most:
            raise ValueError(f"reviews_per_user: fewest and most must be at least 1 and in order, not {fewest}, {most}")
        return self
