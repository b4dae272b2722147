"""Sums over a snapshot's whole categories: what stands in for an item's peers where there are too few.

Without a time cut they are the item sums, added up once. With one they are running sums over time: every crowd's rows
in the order of time, and the sum up to every 4096th row, so that any moment costs at most that many vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from idiolect.store.base import PeerSums
from idiolect.store.sums import group_codes, group_sums

_STEP = 4096


class Crowds:
    """A snapshot's pool by category, and as a whole; nothing is computed before it is asked for.

    Args:
        categories: Of every item.
        vectors: float16 (n, dim); memory-mapped.
        item_sums: float64 (n_items, dim): the pool's sum of every item.
        pool: The rows of ``vectors`` that are in the pool, item by item.
        users: int, beside ``pool``: who wrote them.
        times: int64, beside ``pool``: seconds.
        offsets: int64 (n_items + 1,): where each item's part of the pool begins.
    """

    def __init__(
        self,
        categories: Sequence[str],
        *,
        vectors: np.ndarray,
        item_sums: np.ndarray,
        pool: np.ndarray,
        users: np.ndarray,
        times: np.ndarray,
        offsets: np.ndarray,
    ) -> None:
        names, self._of_item = group_codes(categories)
        self._codes: dict[str | None, int] = {name: code for code, name in enumerate([*names, None])}
        self._vectors, self._item_sums = vectors, item_sums
        self._pool, self._users, self._times, self._offsets = pool, users, times, offsets

    def read(self, crowd: str | None, before: int | None) -> PeerSums:
        """The sum (1, dim) and number (1,) of a crowd's vectors.

        Args:
            crowd: A category; None: the whole pool.
            before: Only those strictly before this time (seconds); None: all.
        """
        code = self._codes.get(crowd)
        if code is None:
            return PeerSums(np.zeros((1, self._vectors.shape[1])), np.zeros(1, dtype=np.int64))
        if before is not None:
            return self._running.before(code, before)
        return PeerSums(self._totals.sums[[code]], self._totals.counts[[code]])

    def voices(self, crowd: str | None, before: int | None) -> int:
        """How many different users a crowd has; with ``before`` those with a review strictly before this time."""
        code = self._codes.get(crowd)
        return 0 if code is None else self._first_seen.number(code, before)

    def holds(self, crowd: str | None, items: np.ndarray) -> np.ndarray:
        """Bool (n,): whether items (codes) are of a crowd."""
        return np.full(len(items), True) if crowd is None else self._of_item[items] == self._codes.get(crowd)

    @cached_property
    def _totals(self) -> PeerSums:
        counts = np.bincount(self._of_item, weights=np.diff(self._offsets), minlength=len(self._codes)).astype(np.int64)
        sums = np.zeros((len(self._codes), self._vectors.shape[1]))
        for start in range(0, len(self._item_sums), _STEP):
            part = slice(start, start + _STEP)
            np.add.at(sums, self._of_item[part], self._item_sums[part])
        sums[-1], counts[-1] = sums[:-1].sum(axis=0), counts[:-1].sum()
        return PeerSums(sums, counts)

    @cached_property
    def _running(self) -> RunningSums:
        rows, times = np.tile(self._pool, 2), np.tile(self._times, 2)
        return RunningSums.of(self._vectors, rows, times, self._crowds, len(self._codes))

    @cached_property
    def _first_seen(self) -> FirstSeen:
        users, times = np.tile(self._users, 2), np.tile(self._times, 2)
        return FirstSeen.of(users, times, self._crowds, len(self._codes))

    @property
    def _crowds(self) -> np.ndarray:
        """The pool's crowds, twice over: by category, then everybody's."""
        about = np.repeat(self._of_item, np.diff(self._offsets))
        return np.concatenate([about, np.full(len(about), self._codes[None])])


@dataclass(frozen=True, slots=True, eq=False)
class FirstSeen:
    """When every user first wrote in every crowd, so that users are counted at any moment by bisection."""

    times: np.ndarray
    """int64 (k,): one a user and crowd, by crowd, ascending; seconds."""
    offsets: np.ndarray
    """int64 (n + 1,): where each crowd begins."""

    @classmethod
    def of(cls, users: np.ndarray, times: np.ndarray, crowds: np.ndarray, n: int) -> FirstSeen:
        """One sort.

        Args:
            users: int (k,): who wrote each row.
            times: int64 (k,): when.
            crowds: int (k,) within [0, n): in which crowd.
            n: Number of crowds.
        """
        order = np.lexsort((times, users, crowds))
        users, crowds = users[order], crowds[order]
        first = np.flatnonzero((np.diff(users, prepend=-1) != 0) | (np.diff(crowds, prepend=-1) != 0))
        crowds, times = crowds[first], times[order][first]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(crowds, minlength=n))])
        return cls(times[np.lexsort((times, crowds))], offsets)

    def number(self, crowd: int, before: int | None) -> int:
        """Users of a crowd; with ``before`` those first seen strictly before it (seconds)."""
        first, last = self.offsets[crowd : crowd + 2].tolist()
        return last - first if before is None else int(np.searchsorted(self.times[first:last], before))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RunningSums:
    """Every crowd's vectors in the order of time, with sums on the way."""

    vectors: np.ndarray
    """float16 (m, dim); memory-mapped."""
    rows: np.ndarray
    """int64 (k,): rows of ``vectors``, by crowd, then by time."""
    times: np.ndarray
    """int64 (k,): their times, seconds."""
    offsets: np.ndarray
    """int64 (n + 1,): where each crowd begins."""
    marks: np.ndarray
    """float64 (k // 4096 + 1, dim): the sum of all rows before every 4096th."""

    @classmethod
    def of(cls, vectors: np.ndarray, rows: np.ndarray, times: np.ndarray, crowds: np.ndarray, n: int) -> RunningSums:
        """One pass over the vectors.

        Args:
            vectors: float16 (m, dim).
            rows: int (k,): rows of ``vectors``.
            times: int64 (k,): of each row.
            crowds: int (k,) within [0, n): of each row.
            n: Number of crowds.
        """
        order = np.lexsort((times, crowds))
        rows, counts = rows[order], np.bincount(crowds, minlength=n)
        blocks = group_sums(vectors, np.arange(len(rows)) // _STEP, len(rows) // _STEP + 1, rows=rows).sums
        marks = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(blocks, axis=0)])[: len(blocks)]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return cls(vectors=vectors, rows=rows, times=times[order], offsets=offsets, marks=marks)

    def before(self, crowd: int, time: int) -> PeerSums:
        """The sum (1, dim) and number (1,) of a crowd's vectors strictly before a time (seconds)."""
        first, last = self.offsets[crowd : crowd + 2].tolist()
        end = first + int(np.searchsorted(self.times[first:last], time))
        return PeerSums((self._up_to(end) - self._up_to(first))[None], np.array([end - first], dtype=np.int64))

    def _up_to(self, end: int) -> np.ndarray:
        start = end // _STEP * _STEP
        rest = self.rows[start:end]
        return (
            self.marks[end // _STEP]
            + group_sums(self.vectors, np.zeros(len(rest), dtype=np.int64), 1, rows=rest).sums[0]
        )
