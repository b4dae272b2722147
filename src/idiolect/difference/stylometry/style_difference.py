"""Style differences: how a user's measures differ from those of peers on the same items.

For one user (``compare``), all users (``style_differences``) and data frames (``style_difference_frame``): mean
differences over items with Student's t intervals, in standard deviations of reviews of one item. ``Shrinkage``
estimates how much of a user's mean difference is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import polars as pl
from scipy.special import stdtrit

from idiolect.difference.stylometry.measures import MEASURES, N_MEASURES, NAMES, Measure, measure
from idiolect.errors import InputError


def half_width(n: np.ndarray, level: float) -> np.ndarray:
    """Half width of the interval of a mean of ``n`` values, in standard errors (Student's t).

    Args:
        n: int (any shape): numbers of values.
        level: Coverage, within (0, 1).

    Returns:
        float64, the shape of ``n``; infinite below two values.

    Raises:
        InputError: The level is not a coverage.

    Example:
        >>> half_width(np.array([1, 4]), 0.95).round(4).tolist()
        [inf, 3.1824]
    """
    if not 0 < level < 1:
        raise InputError(f"a level of {level} is no coverage", hint="choose one between 0 and 1, such as 0.95")
    freedom = np.asarray(n, dtype=np.float64) - 1
    # What scipy.stats.t.ppf computes, without its checks (some 250 us per call) and without importing scipy.stats.
    return np.where(freedom < 1, np.inf, stdtrit(np.maximum(freedom, 1), (1 + level) / 2))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pairs:
    """All pairs of user and item with peers, sorted by user."""

    users: np.ndarray
    """int64 (n_pairs,): the user's code, ascending."""
    items: np.ndarray
    """int64 (n_pairs,)."""
    difference: np.ndarray
    """float64 (n_pairs, n_measures): mean of the user's reviews of the item minus mean of the others'."""
    n_peers: np.ndarray
    """int64 (n_pairs,): number of peers' reviews."""


def item_pairs(values: np.ndarray, users: np.ndarray, items: np.ndarray, *, min_peers: int = 1) -> Pairs:
    """Each user's difference to all peers per item, from item sums: O(n n_measures).

    As in Eq. 4 of DEP a peer is a review, and a user's further reviews of an item are not peers.

    Args:
        values: float (n, n_measures), one row per review.
        users: int (n,): each review's user as a code >= 0.
        items: int (n,): each review's item, below 2**31.
        min_peers: Fewest other users of an item, at least 1.

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


def within_item_sd(values: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Standard deviation of reviews of one item, estimated robustly: the unit of effect sizes.

    sqrt(pi / 2) times the mean absolute distance of a review to the mean of its item, times ``sqrt(n / (n - 1))`` for
    the mean's own share; under normality this is the standard deviation. Outliers change it less than they change the
    sample standard deviation, and unlike the median absolute deviation it is not 0 if most reviews have the value 0.

    Args:
        values: float (n, n_measures).
        items: int (n,): each review's item as a code >= 0.

    Returns:
        float64 (n_measures,); 0 for measures that do not vary within items. NaN are left out.
    """
    if (partly := np.isnan(values).any(axis=0)).any():
        sd = np.zeros(values.shape[1])
        sd[~partly] = within_item_sd(values[:, ~partly], items)
        for column in np.flatnonzero(partly):
            known = ~np.isnan(values[:, column])
            sd[column] = within_item_sd(values[known, column : column + 1], items[known])[0] if known.any() else 0
        return sd
    counts = np.bincount(items)
    means = group_sums(values, items, len(counts)) / np.maximum(counts, 1)[:, None]
    shared = counts[items] > 1
    n = counts[items[shared]]
    apart = np.abs(values[shared] - means[items[shared]]) * np.sqrt(n / (n - 1))[:, None]
    return np.sqrt(np.pi / 2) * apart.sum(axis=0) / max(len(n), 1)


def effect_sizes(differences: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """``differences`` (..., n_measures) divided by ``sd`` (n_measures,); 0 where ``sd`` is 0."""
    return np.divide(differences, sd, out=np.zeros_like(differences, dtype=np.float64), where=sd > 0)


def group_sums(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """float64 (n_groups, columns): the sums of ``values`` (n, columns) over the rows of each group."""
    sums = np.empty((n_groups, values.shape[1]))
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(groups, weights=values[:, column], minlength=n_groups)
    return sums


def check_codes(values: np.ndarray, users: np.ndarray, items: np.ndarray) -> None:
    """Check lengths and codes.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    if not len(values) == len(users) == len(items):
        raise InputError(f"{len(values)} reviews, {len(users)} users and {len(items)} items do not go together")
    for name, codes in (("users", users), ("items", items)):
        if not np.issubdtype(codes.dtype, np.integer) or (len(codes) and not 0 <= codes.min() <= codes.max() < 2**31):
            raise InputError(f"{name} are not codes within [0, 2**31)", hint="number them, e.g. by np.unique")


@dataclass(frozen=True, slots=True, eq=False)
class Shrinkage:
    """Variances of each measure, by the method of moments for a one-way layout with random users."""

    within: np.ndarray
    """float64 (n_measures,): variance of a user's differences around the user's mean."""
    between: np.ndarray
    """float64 (n_measures,): variance of the users' true means; 0 if they vary no more than noise."""

    @classmethod
    def of(cls, values: np.ndarray, users: np.ndarray) -> Shrinkage:
        """From float (n, n_measures) centred values and the user (int code >= 0) of each row."""
        sizes = np.bincount(users)
        means = group_sums(values, users, len(sizes)) / np.maximum(sizes, 1)[:, None]
        known = sizes > 0
        within = ((values - means[users]) ** 2).sum(axis=0) / max(len(values) - known.sum(), 1)
        noise = within * np.mean(1 / sizes[known]) if known.any() else within
        between = np.maximum((means[known] ** 2).sum(axis=0) / max(known.sum(), 1) - noise, 0)
        return cls(within, between)

    def __call__(self, means: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Shrink means of ``n`` values towards 0 by their share of noise: the best linear predictor of the true means.

        Args:
            means: float (n_users, n_measures).
            n: int (n_users,); the mean of no values becomes 0.
        """
        total = self.between * n[:, None] + self.within
        return means * np.divide(self.between * n[:, None], total, out=np.zeros_like(means), where=total > 0)


LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleDifference:
    """Difference of one user to all peers on one measure."""

    measure: Measure
    difference: float
    """Own value minus peers' mean, averaged over items, in the measure's unit."""
    effect: float
    """``difference`` in standard deviations (``within_item_sd``); 0 if nothing varies."""
    low: float
    high: float
    """Ends of the effect's interval; infinite below two items."""
    n_items: int
    """Items with peers."""

    @property
    def direction(self) -> Literal["more", "less"] | None:
        """Sign of a significant difference; None if the interval contains 0."""
        if self.low > 0:
            return "more"
        return "less" if self.high < 0 else None

    @property
    def phrase(self) -> str | None:
        """The end of "Compared with others, this user ..."; None if the difference is not significant."""
        return None if self.direction is None else getattr(self.measure, self.direction)


def compare(
    own: Sequence[str],
    peers: Sequence[Sequence[str]],
    *,
    sd: np.ndarray | None = None,
    level: float = LEVEL,
) -> tuple[StyleDifference, ...]:
    """Compare one user's reviews with peers' reviews of the same items, on every measure.

    Each item gives one difference: own value minus the peers' mean. The interval is Student's t over items, because
    items are the sampling unit, they are few (a percentile bootstrap over five is far too narrow), and the formula
    serves all users of a corpus at once. Intervals are per measure: of 51, two or three exclude 0 at 95 % by chance, so
    use a higher level to select the strongest.

    Args:
        own: The user's reviews, one per item.
        peers: Peers' reviews of each item; items without peers are ignored.
        sd: float (n_measures,): from a whole corpus, which is more precise; None: from the given reviews.
        level: Coverage of the intervals.

    Returns:
        One difference per measure, in the order of ``MEASURES``.

    Raises:
        InputError: ``own`` and ``peers`` are of different lengths.
    """
    if len(own) != len(peers):
        raise InputError(f"{len(own)} own reviews but peers of {len(peers)} items", hint="one list of peers per review")
    values = measure([*own, *chain.from_iterable(peers)])
    sizes = np.array([len(texts) for texts in peers], dtype=np.int64)
    items = np.concatenate([np.arange(len(own)), np.repeat(np.arange(len(own)), sizes)])
    users = (np.arange(len(values)) >= len(own)).astype(np.int64)
    sd = within_item_sd(values, items) if sd is None else sd
    return StyleDifferences.of(item_pairs(values, users, items), np.arange(2), sd).of_user(0, level=level)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StyleDifferences:
    """Differences of all users of a corpus to all peers, on every measure."""

    users: np.ndarray
    """int64 (n_users,): codes, ascending; one row per user in the other arrays."""
    difference: np.ndarray
    """float64 (n_users, n_measures): mean over items of own minus peers' mean, measures' units; 0 without items."""
    standard_error: np.ndarray
    """float64 (n_users, n_measures): standard error of ``difference`` over items; infinite below two items."""
    n_items: np.ndarray
    """int64 (n_users,): items with peers."""
    sd: np.ndarray
    """float64 (n_measures,): the unit of effects (see ``within_item_sd``)."""

    @classmethod
    def of(cls, pairs: Pairs, users: np.ndarray, sd: np.ndarray) -> StyleDifferences:
        """Average ``pairs`` per user.

        Args:
            pairs: Pairs of these users only.
            users: int (n_users,): codes, ascending; some may have no pair.
            sd: float64 (n_measures,).
        """
        from_, to = np.searchsorted(pairs.users, users), np.searchsorted(pairs.users, users, side="right")
        n = to - from_
        mean = _run_sums(pairs.difference, from_, to) / np.maximum(n, 1)[:, None]
        deviations = pairs.difference - np.repeat(mean, n, axis=0)
        variance = _run_sums(deviations**2, from_, to) / np.maximum(n - 1, 1)[:, None]
        error = np.sqrt(variance / np.maximum(n, 1)[:, None])
        error[n < 2] = np.inf
        return cls(users=users, difference=mean, standard_error=error, n_items=n, sd=sd)

    def effects(self) -> np.ndarray:
        """float64 (n_users, n_measures): the differences in standard deviations."""
        return effect_sizes(self.difference, self.sd)

    def of_user(self, row: int, *, level: float = LEVEL) -> tuple[StyleDifference, ...]:
        """One user's differences, in the order of ``MEASURES``.

        Args:
            row: The user's row.
            level: Coverage of the intervals.
        """
        effect, n = self.effects()[row], int(self.n_items[row])
        reach = np.full(len(effect), np.inf)
        if n > 1:
            reach = effect_sizes(self.standard_error[row], self.sd) * half_width(self.n_items[row], level)
        return tuple(
            StyleDifference(
                measure=of,
                difference=float(difference),
                effect=float(e),
                low=float(e - r),
                high=float(e + r),
                n_items=n,
            )
            for of, difference, e, r in zip(MEASURES, self.difference[row], effect, reach, strict=True)
        )


def style_differences(
    values: np.ndarray, users: np.ndarray, items: np.ndarray, *, min_peers: int = 1
) -> StyleDifferences:
    """Differences of every user of a corpus to peers on the same items.

    Args:
        values: float (n, n_measures) from ``measure``, one row per review.
        users: int (n,): each review's user as a code within [0, 2**31).
        items: int (n,): each review's item.
        min_peers: Fewest other users of an item.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    pairs = item_pairs(values, users, items, min_peers=min_peers)
    return StyleDifferences.of(pairs, np.unique(users).astype(np.int64), within_item_sd(values, items))


def _run_sums(values: np.ndarray, from_: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Sums of ``values[from_[k]:to[k]]`` for consecutive runs; 0 for empty runs."""
    sums = np.zeros((len(from_), values.shape[1]))
    filled = to > from_
    if filled.any():
        sums[filled] = np.add.reduceat(values[: to[filled][-1]], from_[filled], axis=0)
    return sums


def codes(ids: pl.Series) -> np.ndarray:
    """int64 (n,): rank of each id among the distinct ids."""
    return ids.rank("dense").cast(pl.Int64).to_numpy() - 1


def style_difference_frame(reviews: pl.DataFrame, *, min_peers: int = 1) -> pl.DataFrame:
    """Style differences of every user of a corpus to peers on the same items, as a data frame.

    Args:
        reviews: ``user``, ``item`` and ``text``, one row per review.
        min_peers: Fewest other users of an item.

    Returns:
        One row per user and measure, users sorted and measures in the order of ``MEASURES``: ``user``, ``measure``,
        ``difference`` (in the measure's unit), ``standard_error`` (infinite below two items), ``effect`` (in standard
        deviations) and ``n_items``.
    """
    found = style_differences(
        measure(reviews["text"].to_list()), codes(reviews["user"]), codes(reviews["item"]), min_peers=min_peers
    )
    users = reviews["user"].unique().sort()
    return pl.DataFrame(
        {
            "user": np.repeat(users.to_numpy(), N_MEASURES),
            "measure": NAMES * len(users),
            "difference": found.difference.ravel(),
            "standard_error": found.standard_error.ravel(),
            "effect": found.effects().ravel(),
            "n_items": np.repeat(found.n_items, N_MEASURES),
        },
        schema_overrides={"user": pl.String},
    )
