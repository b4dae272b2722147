"""Sums of vectors by group, exact.

A float16 within [-1, 1] is a multiple of 2**-24, so a float64 holds every sum of up to 2**29 of them without rounding:
sums do not depend on order, and adding then subtracting a vector changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from idiolect.errors import InputError
from idiolect.store.base import PeerSums

_ROWS = 4096
"""Rows converted to float64 at a time: 12 MB at 384 dimensions, about a processor's cache."""


def group_sums(vectors: np.ndarray, groups: np.ndarray, n: int, *, rows: np.ndarray | None = None) -> PeerSums:
    """Sum and number of the vectors of every group.

    Args:
        vectors: float16 (m, dim); may be memory-mapped.
        groups: int (k,) within [0, n): the group of each summed row.
        n: Number of groups.
        rows: int (k,): the summed rows of ``vectors``, all of them in order where None.

    Returns:
        float64 (n, dim) and int64 (n,); a group without rows is zero.
    """
    sums = np.zeros((n, vectors.shape[1]), dtype=np.float64)
    add_group_sums(sums, vectors, groups, rows=rows)
    return PeerSums(sums, np.bincount(groups, minlength=n).astype(np.int64))


def add_group_sums(
    sums: np.ndarray, vectors: np.ndarray, groups: np.ndarray, *, rows: np.ndarray | None = None
) -> None:
    """Add to ``sums`` (float64 (n, dim), may be memory-mapped) what ``group_sums`` would return; for large n."""
    order = np.argsort(groups, kind="stable")
    ranked = groups[order]
    picked = order if rows is None else rows[order]
    for start in range(0, len(picked), _ROWS):
        part = ranked[start : start + _ROWS]
        firsts = np.flatnonzero(np.r_[True, part[1:] != part[:-1]])
        block = vectors[picked[start : start + _ROWS]].astype(np.float64)
        sums[part[firsts]] += np.add.reduceat(block, firsts, axis=0)


def withhold(found: PeerSums, enough: np.ndarray) -> PeerSums:
    """``found`` with nothing in the rows that are not ``enough`` (bool (n,)): no sum of few people leaves a store."""
    return PeerSums(np.where(enough[:, None], found.sums, 0.0), np.where(enough, found.counts, 0))


def to_float16(vectors: np.ndarray, *, n: int) -> np.ndarray:
    """Vectors as they are stored.

    Args:
        vectors: Any float (n, dim).
        n: How many there must be.

    Raises:
        InputError: Another shape, or a component that is not a number within [-1, 1] (sums would not be exact).
    """
    if vectors.ndim != 2 or len(vectors) != n or not vectors.shape[1]:
        raise InputError(f"{n} reviews came with vectors of shape {vectors.shape}", hint="one row of numbers a review")
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(vectors, dtype="<f2")
    good = (np.abs(halves) <= 1).all(axis=1)
    if not good.all():
        first = int(np.argmin(good))
        raise InputError(
            f"vector {first} has a component that is not a number within [-1, 1]",
            hint="normalise the vectors to length 1",
        )
    return halves


def group_codes(names: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """The distinct names, first come first, and int64 (n,): which of them each name is."""
    names = list(names)
    place = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return list(place), np.fromiter((place[name] for name in names), dtype=np.int64, count=len(names))
