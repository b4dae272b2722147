"""What a card claims, and on how much."""

from __future__ import annotations

from pydantic import Field

from idiolect.config import Config


class ExplainConfig(Config):
    """How sure and how large a difference must be to stand on a card."""

    false_share: float = Field(default=0.05, gt=0, lt=1)
    """Expected share of a card's claims that are luck, at most (Benjamini and Hochberg over all measures)."""
    least_effect: float = Field(default=0.2, ge=0)
    """Smallest difference worth a claim, in spreads of reviews of one item; Cohen calls 0.2 small."""
    min_support: int = Field(default=2, ge=1)
    """Comparisons in which a difference that a model claimed must recur."""
    min_peers: int = Field(default=1, ge=1)
    """Others who must have written about an item for it to count: different users, not reviews."""
    max_items: int = Field(default=200, ge=2)
    """Items compared, those the user wrote about last."""
    max_peers: int = Field(default=100, ge=1)
    """Others' reviews of an item that are read; drawn at random where there are more."""
    draws: int = Field(default=10_000, ge=1000)
    """Draws of the test."""
    quotes: int = Field(default=2, ge=0)
    """Sentences of the user's own quoted for a claim, at most."""
    seed: int = Field(default=0, ge=0)
    """Of the draws."""
