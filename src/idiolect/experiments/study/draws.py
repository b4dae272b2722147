"""Which reviews stand for a user, and which peers they are compared with, where not all are taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from idiolect.difference.latent import Differences, peer_mean_difference
from idiolect.errors import InputError


class Anchors(NamedTuple):
    """Reviews that stand for their users."""

    users: np.ndarray
    """int64 (n_users,): who has enough of them, ascending."""
    rows: np.ndarray
    """int64 (n_draws, n_users, n): different reviews of each user in random order, so fewer are a prefix."""


def draw_anchors(users: np.ndarray, eligible: np.ndarray, n: int, *, n_draws: int, rng: np.random.Generator) -> Anchors:
    """``n`` random reviews of every user who has as many, several times over.

    Args:
        users: int (n_reviews,): authors.
        eligible: bool (n_reviews,): which reviews may be drawn.
        n: Reviews a user.
        n_draws: Independent draws.
        rng: Where they come from.
    """
    candidates = np.flatnonzero(eligible)
    counts = np.bincount(users[candidates], minlength=1)
    starts = np.cumsum(counts) - counts
    kept = np.flatnonzero(counts >= n)
    places = starts[kept][:, None] + np.arange(n)
    # Sorted by user, randomly within: a user's reviews lie together and their first n are a random choice.
    orders = (np.lexsort((rng.random(len(candidates)), users[candidates])) for _ in range(n_draws))
    return Anchors(kept, np.stack([candidates[order][places] for order in orders]))


def sampled_differences(
    vectors: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    *,
    pools: np.ndarray | None = None,
    k: int | None = None,
    rng: np.random.Generator,
) -> Differences:
    """Every review against at most ``k`` random others of an item (DEP, Eq. 4, over a sample of peers).

    Items' reviews are put in random order; a review's peers are the ``k`` that follow a random place, its author's own
    left out. One pass over the reviews a peer, so this is for small ``k`` and items of moderate size;
    ``difference.bulk.all_differences`` is the way to compare with everybody.

    Args:
        vectors: float (n, dim).
        users: int (n,): authors.
        items: int (n,): what each review is about.
        pools: int (n,): the item whose reviews each review is compared with; None: its own.
        k: Most peers; None: all.
        rng: Chooses peers.
    """
    pools = items if pools is None else pools
    order = np.lexsort((rng.random(len(items)), items))
    ranked = items[order]
    first = np.searchsorted(ranked, pools)
    sizes = np.searchsorted(ranked, pools, side="right") - first
    start = (rng.random(len(pools)) * sizes).astype(np.int64)
    wide = vectors.astype(np.float32)
    sums, counts = np.zeros(wide.shape), np.zeros(len(wide), dtype=np.int64)
    for step in range(int(sizes.max(initial=0))):
        open_ = np.flatnonzero((step < sizes) & (counts < (len(wide) if k is None else k)))
        if not len(open_):
            break
        peers = order[first[open_] + (start[open_] + step) % sizes[open_]]
        others = users[peers] != users[open_]
        sums[open_[others]] += wide[peers[others]]
        counts[open_[others]] += 1
    return peer_mean_difference(wide, sums, counts)


def shuffled_pools(items: np.ndarray, categories: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """For every review a random other item of its item's category: a control whose peers share nothing but that.

    Args:
        items: int (n,): what each review is about.
        categories: int (n_items,): code of each item's category.
        rng: Chooses.

    Returns:
        int64 (n,): items that have reviews.

    Raises:
        InputError: A category has a single reviewed item.
    """
    reviewed = np.unique(items)
    ordered = reviewed[np.argsort(categories[reviewed], kind="stable")]
    place = np.empty(len(categories), dtype=np.int64)
    place[ordered] = np.arange(len(ordered))
    sorted_categories, own = categories[ordered], categories[items]
    first = np.searchsorted(sorted_categories, own)
    sizes = np.searchsorted(sorted_categories, own, side="right") - first
    if (sizes < 2).any():
        raise InputError("a category has one reviewed item, so its peers cannot be shuffled", hint="more items")
    further = 1 + (rng.random(len(items)) * (sizes - 1)).astype(np.int64)
    return ordered[first + (place[items] - first + further) % sizes]
