"""Difference of a text to peers' texts on the same item, as a vector (DEP, Eq. 2-4); for one text or a corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from idiolect.errors import InputError


class Differences(NamedTuple):
    """Difference vectors, one row per review."""

    diff: np.ndarray
    """float32 (n, dim): own vector minus the peers' mean; a zero row if there are too few peers."""
    n_peers: np.ndarray
    """int64 (n,): number of peer reviews."""


def peer_mean_difference(own: np.ndarray, sums: np.ndarray, counts: np.ndarray, *, min_peers: int = 1) -> Differences:
    """Own vectors minus the plain mean of the peers' (DEP, Eq. 4, by sums).

    The mean of ``e_own - e_peer`` over the peers is ``e_own - sum(e_peer) / m``, so that no single peer is read.

    Args:
        own: float (n, dim): the user's vectors.
        sums: float (n, dim): sums of the peers' vectors.
        counts: int (n,): numbers of peers' reviews in the sums.
        min_peers: Fewest peers, at least 1; with fewer the row is zero.
    """
    means = sums / np.maximum(counts, 1).astype(sums.dtype)[:, None]
    diff = (own - means).astype(np.float32, copy=False)
    diff[counts < max(min_peers, 1)] = 0
    return Differences(diff, counts.astype(np.int64))


def weighted_difference(own: np.ndarray, peers: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Own vector minus a weighted mean of the peers', as the DEP authors' program computes it instead of Eq. 4.

    A peer's weight is the softmax, over the peers, of its share of the summed distances. Shares are at most 1, so the
    weights are nearly uniform and slightly favour peers whose histories are unlike the user's.

    Args:
        own: float (dim,).
        peers: float (m, dim), m at least 1.
        distances: float (m,), each >= 0: L2 distance between the mean vectors of the user's and each peer's history.

    Returns:
        float32 (dim,). Peers count equally if all distances are 0 (the authors' program returns NaN).
    """
    total = distances.sum(dtype=np.float64)
    weights = np.exp(distances / total if total > 0 else np.zeros(len(distances)))
    return (own - (weights / weights.sum()) @ peers.astype(np.float64)).astype(np.float32)


BLOCK = 1 << 16
"""Numbers per block: a quarter of a megabyte in float32, which fits a core's second-level cache."""

_SIGN_AND_MAGNITUDE = np.array(0x8FFFE000, dtype=np.uint32).view(np.int32)
_BIAS = 2.0**112


def all_differences(vectors: np.ndarray, users: np.ndarray, items: np.ndarray, *, threads: int = 0) -> Differences:
    """The difference of every review to all other reviews of its item (DEP, Eq. 4), in O(n dim).

    Reviews are sorted by item, and items with equally many reviews are stacked to ``(items, reviews, dim)``: sums over
    an item's reviews then run along a regular axis. A user's further reviews of the same item are not peers.

    Args:
        vectors: float16 or float32 (n, dim), each component within [-1, 1].
        users: int (n,): each review's user as a code within [0, 2**31).
        items: int (n,): each review's item.
        threads: Number of threads; 0: one per core, at most 4 (memory is the limit then). The result does not depend
            on it.

    Returns:
        One row for each of ``vectors``, in their order. In addition, memory holds a few numbers per review and, per
        thread, the vectors of an item.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    _check(vectors, users, items)
    users, items = users.astype(np.int64), items.astype(np.int64)
    # One integer per review sorts several times faster than two keys.
    pairs = (items << 32) | users
    order = np.argsort(pairs)
    n_peers = np.empty(len(vectors), dtype=np.int64)
    n_peers[order] = _run_lengths(items[order]) - _run_lengths(pairs[order])
    found = Differences(np.zeros(vectors.shape, dtype=np.float32), n_peers)
    for by, step in ((items, _compare_with_others), (pairs, _leave_out_own)):
        _share_out(partial(step, found, vectors), list(_stacks(by[order], order, vectors.shape[1])), threads)
    return found


def _check(vectors: np.ndarray, users: np.ndarray, items: np.ndarray) -> None:
    if not len(vectors) == len(users) == len(items):
        raise InputError(f"{len(vectors)} vectors, {len(users)} users and {len(items)} items do not go together")
    for name, codes in (("users", users), ("items", items)):
        if not np.issubdtype(codes.dtype, np.integer) or (len(codes) and not 0 <= codes.min() <= codes.max() < 2**31):
            raise InputError(f"{name} are not codes within [0, 2**31)", hint="number them, e.g. by np.unique")


def _share_out(step: Callable[[np.ndarray], None], stacks: Sequence[np.ndarray], threads: int) -> None:
    """Run ``step`` on every stack; each thread takes every n-th, because the last stacks have the largest items."""
    threads = threads or min(4, os.cpu_count() or 1)

    def work(first: int) -> None:
        for rows in stacks[first::threads]:
            step(rows)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def _run_lengths(values: np.ndarray) -> np.ndarray:
    """int64 (n,): length of the run of equal values (>= 0) that each value is in."""
    lengths = np.diff(np.flatnonzero(np.diff(values, prepend=-1)), append=len(values))
    return np.repeat(lengths, lengths)


def _stacks(values: np.ndarray, order: np.ndarray, dim: int) -> Iterator[np.ndarray]:
    """Runs of at least two equal values, those of equal length stacked to about ``BLOCK`` numbers.

    Args:
        values: int (n,), ascending.
        order: int (n,): the row that each value belongs to.
        dim: Numbers per row.

    Yields:
        int64 (n_runs, length): the rows of each run.
    """
    lengths = _run_lengths(values)
    by_length = np.argsort(lengths, kind="stable")
    rows, lengths = order[by_length], lengths[by_length]
    first = np.searchsorted(lengths, 2)
    while first < len(rows):
        length = lengths[first]
        last = np.searchsorted(lengths, length, side="right")
        step = max(1, BLOCK // (length * dim)) * length
        for begin in range(first, last, step):
            yield rows[begin : min(begin + step, last)].reshape(-1, length)
        first = last


def _compare_with_others(found: Differences, vectors: np.ndarray, rows: np.ndarray) -> None:
    """Write the difference of each row to the other rows of its item.

    The difference to the mean of the ``n - 1`` others is ``n / (n - 1)`` times the difference to the mean of all, a
    factor that costs nothing while float16 is widened.

    Args:
        found: Written to.
        vectors: All vectors.
        rows: int64 (n_items, n_reviews), at least two reviews per item.
    """
    n_items, n_reviews = rows.shape
    flat = rows.ravel()
    own = _widened(vectors, flat, n_reviews / (n_reviews - 1)).reshape(n_items, n_reviews, -1)
    # float32 adds twice as fast, but its error grows with the number of terms.
    total = own.sum(axis=1, keepdims=True, dtype=np.float32 if n_reviews <= 1024 else np.float64)
    own -= (total / n_reviews).astype(np.float32)
    found.diff[flat] = own.reshape(len(flat), -1)


def _leave_out_own(found: Differences, vectors: np.ndarray, rows: np.ndarray) -> None:
    """Correct differences that count a user's further reviews of the same item among the peers.

    The others' sum is recovered from the difference to their mean; with ``m`` peers among ``n`` reviews this multiplies
    the rounding of float32 by ``n / m``.

    Args:
        found: Differences to all others, and the numbers of peers; the differences are corrected in place.
        vectors: All vectors.
        rows: int64 (n_pairs, n_reviews): the reviews of one user on one item, at least two.
    """
    flat = rows.ravel()
    own = _widened(vectors, flat, 1.0)
    n_peers = found.n_peers[flat]
    n_others = (n_peers + rows.shape[1] - 1).astype(np.float32)
    stacked = own.reshape(*rows.shape, -1)
    further = (stacked.sum(axis=1, keepdims=True) - stacked).reshape(own.shape)
    peer_sums = (own - found.diff[flat]) * n_others[:, None] - further
    found.diff[flat] = peer_mean_difference(own, peer_sums, n_peers).diff


def _widened(vectors: np.ndarray, rows: np.ndarray, factor: float) -> np.ndarray:
    """float32 (k, dim), new: ``vectors[rows] * factor``.

    numpy converts float16 one number at a time. Shifting the bits and multiplying by the difference of the exponents'
    biases is exact for all finite numbers and is vectorized, which is about three times faster.

    Args:
        vectors: float16 or float32 (n, dim).
        rows: int64 (k,).
        factor: Multiplied with; float32 is enough.
    """
    taken = vectors.take(rows, axis=0)
    if taken.dtype == np.float16:
        bits = taken.view(np.int16).astype(np.int32)
        bits <<= 13
        bits &= _SIGN_AND_MAGNITUDE
        taken, factor = bits.view(np.float32), _BIAS * factor
    taken = taken.astype(np.float32, copy=False)
    taken *= np.float32(factor)
    return taken
