"""The users of a world: their own ways of writing, tastes and habits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.bank import read
from idiolect.sandbox.draw import Draw
from idiolect.sandbox.traits import N_TRAITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What makes one user's reviews differ from the others'."""

    effect: np.ndarray
    """float32 (n_traits,): what the user adds to the trait logits of all they write."""
    leniency: float
    """Standard normal; added to every rating."""
    favourites: tuple[int, ...]
    """The genres most of their reviews are about."""
    pet_good: tuple[str, ...]
    pet_bad: tuple[str, ...]
    """The words they fall back on."""
    closing: str
    """The line they part with."""
    signature: str
    """The phrase that only few others use."""


def person(rng: np.random.Generator, *, user_sd: float, n_genres: int, n_favourites: int) -> Person:
    """A user drawn from ``rng``; ``user_sd`` is the standard deviation of the effect (logits)."""
    effect = (user_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    leniency = float(rng.standard_normal())
    draw, bank = Draw(rng), read("traits")
    words = read("common")
    return Person(
        effect=effect,
        leniency=leniency,
        favourites=tuple(draw.shuffled(range(n_genres))[:n_favourites]),
        pet_good=_some(draw, words["favourite good"]),
        pet_bad=_some(draw, words["favourite bad"]),
        closing=draw.pick(bank["closing"]),
        signature=draw.pick(bank["signature"]),
    )


def _some(draw: Draw, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(draw.shuffled(words)[:2])
