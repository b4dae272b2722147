"""Seeded choices: one stream of numbers for each thing in the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def stream(seed: int, *path: int) -> np.random.Generator:
    """The stream of the thing at ``path``; independent of every other path, and of how many things there are."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=path)))


class Draw:
    """Choices from buffered uniform numbers: scalar calls of a generator cost more than the choices themselves."""

    __slots__ = ("uniform",)

    uniform: Callable[[], float]
    """A number in [0, 1)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.uniform = _numbers(rng).__next__

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self.uniform() < p

    def pick(self, options: Sequence[T]) -> T:
        """One of ``options``, all equally likely."""
        return options[int(self.uniform() * len(options))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """``options`` in random order."""
        rest = list(options)
        for k in range(len(rest) - 1, 0, -1):
            other = int(self.uniform() * (k + 1))
            rest[k], rest[other] = rest[other], rest[k]
        return rest


def _numbers(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(256).tolist()


class Menu:
    """Names that compete for one place in a sentence, each as often as its weight; most often none where all are low.

    Args:
        names: What may be chosen.
        weights: One non-negative weight a name.
        appetite: Share of the total weight that goes into choosing anything at all.
        most: Upper bound of the probability that anything is chosen.
    """

    __slots__ = ("_limits", "_names", "_p")

    def __init__(
        self, names: Sequence[str], weights: Sequence[float], *, appetite: float = 0.6, most: float = 0.85
    ) -> None:
        self._names = names
        self._limits = list(accumulate(weights))
        self._p = min(most, appetite * self._limits[-1])

    def choose(self, draw: Draw) -> str | None:
        """A name, or nothing."""
        u = draw.uniform()
        if u >= self._p:
            return None
        target = u / self._p * self._limits[-1]
        for name, limit in zip(self._names, self._limits, strict=True):
            if target < limit:
                return name
        return self._names[-1]
