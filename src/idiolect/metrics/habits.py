"""Habits of users on single items: where a user shows one, and where not.

A habit is a measure of style in which a user departs from others on other items. On one item the user may show it or
not. A method that learned habits and not when they are used shows them where the user does not: it over-personalizes.
Two kinds of real texts say how often a habit appears anyway: others' texts on the same item, and the user's own texts
on other items, which know nothing of this item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry import Pairs, Shrinkage
from idiolect.metrics.base import AdditiveScore, Signature

HABIT = 0.3
"""Standard deviations (of reviews of one item) by which a user departs from others in a habit."""
SHOWN = 0.5
"""Share of the user's average departure from which on a text shows the habit."""
MIN_ITEMS = 4
"""Fewest items that habits are estimated from."""
_SEED = 37


class Rate(AdditiveScore):
    """The share of pairs of sample and habit in which a text shows the habit.

    Args:
        name: Name in tables.
        greater_is_better: Whether a higher share is the better one.
    """

    def __init__(self, name: str, *, greater_is_better: bool) -> None:
        self.name, self.greater_is_better = name, greater_is_better

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """From sums of (shown, pairs); 0 without pairs."""
        return np.divide(totals[:, 0], totals[:, 1], out=np.zeros(len(totals)), where=totals[:, 1] > 0)

    def signature(self) -> Signature:
        """Thresholds included."""
        fields = (("metric", self.name), ("habit", f"{HABIT} SD"), ("shown", f"{SHOWN} of the user's mean"))
        return Signature((*fields, ("aggregate", "share of pairs")))


KEPT = Rate("habits kept", greater_is_better=True)
"""Where the user's own text shows the habit; aggregates the first two columns of ``Habits.counts``."""
OVERDONE = Rate("habits overdone", greater_is_better=False)
"""Where the user's own text shows none of the habit; aggregates the last two columns of ``Habits.counts``."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Habits:
    """The habits of each sample's user, with two real texts to compare with; all differences in SD."""

    profile: np.ndarray
    """float64 (n, n_measures): the user's shrunken mean difference to peers, without the sample's item and that of
    ``elsewhere``, so that neither text made the habits that it is tested for."""
    elsewhere: np.ndarray
    """float64 (n, n_measures): difference to peers of the user's text on another item, drawn at random."""
    others: np.ndarray
    """float64 (n, n_measures): difference of another user's text on the sample's item to the rest of them."""
    known: np.ndarray
    """bool (n,): samples that have all of this; the rows of the others are 0."""

    def counts(self, texts: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Pairs of sample and habit, and those in which a text shows the habit.

        Args:
            texts: float64 (n, n_measures): differences of one text per sample (``StyleTargets.differences``).
            own: float64 (n, n_measures): those of the users' own texts on the samples' items.

        Returns:
            float64 (n, 4): shown and all where the user's own text shows the habit, then shown and all where it shows
            none of it. Between the two, it is not clear whether the user shows the habit.
        """
        size = np.abs(self.profile)
        habit = (size >= HABIT) & self.known[:, None]
        shown = self._towards(texts) >= SHOWN * size
        present, absent = habit & (self._towards(own) >= SHOWN * size), habit & (self._towards(own) <= 0)
        columns = (present & shown, present, absent & shown, absent)
        return np.stack([column.sum(axis=1) for column in columns], axis=1).astype(np.float64)

    def _towards(self, differences: np.ndarray) -> np.ndarray:
        return np.sign(self.profile) * differences


def habits_of(
    values: np.ndarray,
    differences: np.ndarray,
    pairs: Pairs,
    users: np.ndarray,
    items: np.ndarray,
    *,
    scale: np.ndarray,
    centre: np.ndarray,
    clip: float,
) -> Habits:
    """The habits of the samples' users.

    Args:
        values: float64 (n_reviews, n_measures): visible reviews.
        differences: float64 (n_pairs, n_measures), in SD: clipped and centred differences of ``pairs``.
        pairs: Of these reviews.
        users: int64 (n_reviews + n,): codes of the reviews' users, then of the samples'.
        items: int64 (n_reviews + n,): the same for items.
        scale: float64 (n_measures,): 1 / SD; 0 for a measure that does not vary.
        centre: float64 (n_measures,): mean of the clipped differences.
        clip: Limit of differences, in SD.
    """
    n_reviews, n = len(values), len(users) - len(values)
    profile, elsewhere, others = (np.zeros((n, values.shape[1])) for _ in range(3))
    known = np.zeros(n, dtype=bool)
    shrink, rng = Shrinkage.of(differences, pairs.users), np.random.default_rng(_SEED)
    by_item = np.argsort(items[:n_reviews], kind="stable")
    sorted_items = items[:n_reviews][by_item]
    for k, (user, item) in enumerate(zip(users[n_reviews:].tolist(), items[n_reviews:].tolist(), strict=True)):
        first, last = np.searchsorted(pairs.users, [user, user + 1])
        own = np.arange(first, last)[pairs.items[first:last] != item]
        on_item = by_item[slice(*np.searchsorted(sorted_items, [item, item + 1]))]
        peers = on_item[users[on_item] != user]
        one, other = rng.random(2)  # always both, so that a sample's draws do not depend on what others lack
        if len(own) <= MIN_ITEMS or len(peers) < 2:
            continue
        drawn, stranger = own[int(one * len(own))], peers[int(other * len(peers))]
        kept = own[own != drawn]
        profile[k] = shrink(differences[kept].mean(axis=0)[None], np.array([len(kept)]))[0]
        elsewhere[k] = differences[drawn]
        rest = values[peers[peers != stranger]].mean(axis=0)
        others[k] = ((values[stranger] - rest) * scale).clip(-clip, clip) - centre
        known[k] = True
    return Habits(profile=profile, elsewhere=elsewhere, others=others, known=known)
