"""What is drawn for intervals and tests: resamples of units, exchanges of two systems' outputs, and sums over both."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK = 1 << 22
"""Drawn numbers held at once (32 MB of int64)."""


@dataclass(frozen=True, slots=True, eq=False)
class Exchanges:
    """Of which units two systems' outputs change places, many times over: what a randomisation test compares with."""

    swapped: np.ndarray
    """uint8 (n_exchanges, n_units): 1 where a unit's outputs change places."""
    exact: bool
    """Whether these are all there are."""

    @classmethod
    def draw(cls, n_units: int, limit: int, rng: np.random.Generator) -> Exchanges:
        """All exchanges where there are at most ``limit``, else as many drawn at random.

        Exchanging everybody else turns a difference round and leaves it as far from 0, so the last unit keeps its
        place among all 2^(n_units - 1).

        Args:
            n_units: Users or segments.
            limit: How many at most.
            rng: Where random ones come from.
        """
        if n_units - 1 < limit.bit_length() and 1 << (n_units - 1) <= limit:
            numbers = np.arange(1 << (n_units - 1), dtype=np.int64)
            return cls((numbers[:, None] >> np.arange(n_units) & 1).astype(np.uint8), exact=True)
        return cls(rng.integers(2, size=(limit, n_units), dtype=np.uint8), exact=False)

    @property
    def least_p(self) -> float:
        """No difference, however clear, can have a smaller p."""
        return self.p(1 if self.exact else 0)

    def p(self, n_as_far: int) -> float:
        """The p value of a difference that so many exchanges are as far from 0 as.

        What was observed is one of all exchanges; to randomly drawn ones it is added (Phipson and Smyth 2010).
        """
        n = len(self.swapped)
        return n_as_far / n if self.exact else (n_as_far + 1) / (n + 1)


def number(labels: Sequence[Hashable]) -> np.ndarray:
    """int64 (n,): 0, 1, ... for each label in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def draw_counts(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (resamples, n): counts of n draws with replacement; counts above 255 do not happen."""
    counts = np.empty((resamples, n), dtype=np.uint8)
    size = max(1, _BLOCK // n)
    for start in range(0, resamples, size):
        block = counts[start : start + size]
        drawn = rng.integers(n, size=block.shape) + n * np.arange(len(block))[:, None]
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def sums_of(drawn: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """float64 (n, columns): uint8 (n, units) counts times (units, columns) sums, a block of rows at a time."""
    size = max(1, _BLOCK // len(sums))
    blocks = (drawn[start : start + size] for start in range(0, len(drawn), size))
    return np.concatenate([block.astype(np.float64) @ sums for block in blocks])
