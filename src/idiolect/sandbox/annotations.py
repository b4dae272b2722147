"""What an all-knowing reader of a world would note down about a user or a review, in plain words."""

from __future__ import annotations

import hashlib

import numpy as np

from idiolect.sandbox.traits import TRAITS, describe, keywords
from idiolect.sandbox.world import Truth

_BASES = np.array([trait.base for trait in TRAITS])
_PROFILE = (8, 20)
_DIFFERENCES = (2, 6)
_WORDS = (6, 14)
_PRIMER = (10, 25)
"""Fewest and most traits named."""


class PlantedAnnotations:
    """True profiles and differences, of random length, so that a model learns to read short and long ones.

    Args:
        truth: The ground truth, with each review's realised traits.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._users = {user: row for row, user in enumerate(truth.users)}
        self._items = {item: row for row, item in enumerate(truth.items)}
        self._reviews = {review: row for row, review in enumerate(truth.reviews)}

    @property
    def digest(self) -> str:
        """A name for exactly this truth."""
        arrays = (self._truth.user_effects, self._truth.item_effects, self._truth.realised)
        return hashlib.blake2b(b"".join(array.tobytes() for array in arrays), digest_size=16).hexdigest()

    def profile(self, user: str, rng: np.random.Generator) -> str:
        """How a user differs from others, everywhere."""
        effect = self._truth.user_effects[self._users[user]]
        return sentence(describe(effect, k=_between(rng, _PROFILE)))

    def differences(self, review: str, item: str, rng: np.random.Generator) -> str:
        """How one review differs from what people write about the item."""
        return sentence(describe(self._difference(review, item), k=_between(rng, _DIFFERENCES)))

    def user_words(self, user: str, rng: np.random.Generator) -> str:
        """``profile`` in single words."""
        return ", ".join(keywords(self._truth.user_effects[self._users[user]], k=_between(rng, _WORDS)))

    def review_words(self, review: str, item: str | None, rng: np.random.Generator) -> str:
        """How a review is written, in single words; with its item: how it differs from others' about that item."""
        return ", ".join(keywords(self._difference(review, item), k=_between(rng, _WORDS)))

    def primer(self, review: str, rng: np.random.Generator) -> tuple[str, str]:
        """How a review itself is written, as a sentence and in single words: the easiest to learn their sense by."""
        difference, k = self._difference(review, None), _between(rng, _PRIMER)
        return sentence(describe(difference, k=k)), ", ".join(keywords(difference, k=k))

    def _difference(self, review: str, item: str | None) -> np.ndarray:
        """(n_traits,), logits: from the base rates, and from the item's peers if one is named."""
        shown = self._truth.realised[self._reviews[review]].astype(np.float64).clip(1e-3, 1 - 1e-3)
        difference = np.log(shown / (1 - shown)) - _BASES
        return difference if item is None else difference - self._truth.item_effects[self._items[item]]


def sentence(phrases: tuple[str, ...]) -> str:
    """Phrases that finish "Compared with others, this user" as one sentence."""
    return f"Compared with others, this user {'; '.join(phrases)}."


def _between(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))
