"""How much of a user's mean difference is the user, and how much the luck of few reviews."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry.pairs import group_sums


@dataclass(frozen=True, slots=True, eq=False)
class Shrinkage:
    """Variances of each measure, by the method of moments for a one-way layout with random users."""

    within: np.ndarray
    """float64 (n_measures,): of a user's differences around the user's mean."""
    between: np.ndarray
    """float64 (n_measures,): of the users' true means; 0 where they vary no more than luck lets them."""

    @classmethod
    def of(cls, values: np.ndarray, users: np.ndarray) -> Shrinkage:
        """From float (n, n_measures) centred values and the user (int code >= 0) of each row."""
        sizes = np.bincount(users)
        means = group_sums(values, users, len(sizes)) / np.maximum(sizes, 1)[:, None]
        known = sizes > 0
        within = ((values - means[users]) ** 2).sum(axis=0) / max(len(values) - known.sum(), 1)
        luck = within * np.mean(1 / sizes[known]) if known.any() else within
        between = np.maximum((means[known] ** 2).sum(axis=0) / max(known.sum(), 1) - luck, 0)
        return cls(within, between)

    def __call__(self, means: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Means of ``n`` values each, drawn towards 0 by their share of luck: the best linear guess at the truth.

        Args:
            means: float (n_users, n_measures).
            n: int (n_users,); a mean of none becomes 0.
        """
        total = self.between * n[:, None] + self.within
        return means * np.divide(self.between * n[:, None], total, out=np.zeros_like(means), where=total > 0)
