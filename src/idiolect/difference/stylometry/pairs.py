"""What a user wrote about an item against what the others wrote about it, for all users and items in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idiolect.errors import InputError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pairs:
    """Every user and item of a corpus where others wrote about the item too, by user."""

    users: np.ndarray
    """int64 (n_pairs,): the user's code, ascending."""
    items: np.ndarray
    """int64 (n_pairs,)."""
    difference: np.ndarray
    """float64 (n_pairs, n_measures): mean of the user's reviews of the item minus mean of the others'."""
    n_peers: np.ndarray
    """int64 (n_pairs,): how many reviews of others it is a difference to."""


def item_pairs(values: np.ndarray, users: np.ndarray, items: np.ndarray, *, min_peers: int = 1) -> Pairs:
    """Each user's difference to the crowd, item by item, from item sums: O(n n_measures).

    As in Eq. 4 of DEP a peer is a review, and a user's further reviews of an item are not peers.

    Args:
        values: float (n, n_measures), row by row a review.
        users: int (n,): each review's user as a code >= 0.
        items: int (n,): each review's item, likewise, below 2**31.
        min_peers: Others who must have written about an item, at least 1; users are counted, not reviews.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    check_codes(values, users, items)
    pairs, of = np.unique((users.astype(np.int64) << 32) | items.astype(np.int64), return_inverse=True)
    pair_items = pairs & 0xFFFFFFFF
    own_sums, n_own = group_sums(values, of, len(pairs)), np.bincount(of, minlength=len(pairs))
    n_items = int(items.max(initial=-1)) + 1
    n_peers = np.bincount(items, minlength=n_items)[pair_items] - n_own
    kept = np.bincount(pair_items, minlength=n_items)[pair_items] > max(min_peers, 1)  # the user is one of them
    peer_sums = group_sums(values, items, n_items)[pair_items[kept]] - own_sums[kept]
    return Pairs(
        users=pairs[kept] >> 32,
        items=pair_items[kept],
        difference=own_sums[kept] / n_own[kept, None] - peer_sums / n_peers[kept, None],
        n_peers=n_peers[kept],
    )


def spread(values: np.ndarray, items: np.ndarray) -> np.ndarray:
    """How far reviews of the same item usually lie apart: the unit in which measures become comparable.

    It is sqrt(pi / 2) times the mean absolute distance of a review to the mean of its item, with ``sqrt(n / (n - 1))``
    for the mean's own share; under normality this is the standard deviation. Few wild texts move it less than they move
    a standard deviation, and unlike the median absolute deviation it is not 0 for what most reviews do not show at all.

    Args:
        values: float (n, n_measures).
        items: int (n,): each review's item as a code >= 0.

    Returns:
        float64 (n_measures,); 0 for what does not vary within items.
    """
    counts = np.bincount(items)
    means = group_sums(values, items, len(counts)) / np.maximum(counts, 1)[:, None]
    shared = counts[items] > 1
    n = counts[items[shared]]
    apart = np.abs(values[shared] - means[items[shared]]) * np.sqrt(n / (n - 1))[:, None]
    return np.sqrt(np.pi / 2) * apart.sum(axis=0) / max(len(n), 1)


def in_spreads(differences: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """``differences`` (..., n_measures) divided by ``spreads`` (n_measures,); 0 where those are 0."""
    return np.divide(differences, spreads, out=np.zeros_like(differences, dtype=np.float64), where=spreads > 0)


def group_sums(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """float64 (n_groups, columns): the sums of ``values`` (n, columns) over the rows of each group."""
    sums = np.empty((n_groups, values.shape[1]))
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(groups, weights=values[:, column], minlength=n_groups)
    return sums


def check_codes(values: np.ndarray, users: np.ndarray, items: np.ndarray) -> None:
    """Refuse rows and codes that do not go together.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    if not len(values) == len(users) == len(items):
        raise InputError(f"{len(values)} reviews, {len(users)} users and {len(items)} items do not go together")
    for name, codes in (("users", users), ("items", items)):
        if not np.issubdtype(codes.dtype, np.integer) or (len(codes) and not 0 <= codes.min() <= codes.max() < 2**31):
            raise InputError(f"{name} are not codes within [0, 2**31)", hint="number them, e.g. by np.unique")
