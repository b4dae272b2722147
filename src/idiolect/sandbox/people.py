"""The users of a world: their own ways of writing, tastes and habits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.sandbox.bank import read
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.draw import Draw, stream
from idiolect.sandbox.traits import N_TRAITS

_STREAM = 2


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
    """The words they fall back on, for praise and for blame."""
    closing: str
    """The line they part with."""
    signature: str
    """The phrase that only few others use."""


def person(user: int, config: WorldConfig, *, n_genres: int) -> Person:
    """User number ``user``, the same whatever else the world holds."""
    rng = stream(config.seed, _STREAM, user)
    effect = (config.user_sd * rng.standard_normal(N_TRAITS)).astype(np.float32)
    leniency = float(rng.standard_normal())
    draw, common, traits = Draw(rng), read("common"), read("traits")
    return Person(
        effect=effect,
        leniency=leniency,
        favourites=tuple(draw.shuffled(range(n_genres))[: config.n_favourites]),
        pet_good=_two(draw, common["favourite good"]),
        pet_bad=_two(draw, common["favourite bad"]),
        closing=draw.pick(traits["closing"]),
        signature=draw.pick(traits["signature"]),
    )


def _two(draw: Draw, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(draw.shuffled(words)[:2])
