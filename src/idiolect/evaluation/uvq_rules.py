"""The two rules by which recurring differences are accepted, for all users at once; and the script's weighted score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.difference.language.taxonomy import CATEGORIES, CONTROLLED, KEYS, Category, by_path
from idiolect.difference.language.vote import tally

ALPHA = {"Semantics": 0.16, "Emotion": 0.15, "Structure": 0.14, "Pragmatics": 0.13, "Writing": 0.12}
"""By category: what recurrence adds, per log comparison."""
FREQUENCY_CAPS = {"writing/sentence-complexity": 2, "writing/exclamations": 1, "writing/vocabulary": 2}
"""Comparisons beyond which recurrence of an attribute adds no more."""
SOURCE_GAIN, MOST_SOURCE_GAIN = 0.05, 1.15
COVERAGE_BONUS = 0.1
"""For every category in which a user has a difference."""
LEAST_RELIABILITY = 0.85
"""An attribute's weight where all users' comparisons of it conflict."""

_PLACE = {key: place for place, key in enumerate(CONTROLLED)}
_CONTROLLED = np.array([KEYS.index(key) for key in CONTROLLED])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Voted:
    """How every user's comparisons voted on the 35 keys and on their attributes."""

    frequency: np.ndarray
    """int64 (n_users, 35): comparisons that claim a key."""
    kept: np.ndarray
    """bool (n_users, 35)."""
    attribute: np.ndarray
    """int64 (35,): the attribute of each key, as the rule groups them."""
    claimed: np.ndarray
    """bool (n_users, n_attributes): claimed in some comparison."""
    signed: np.ndarray
    """bool (n_users, n_attributes): claimed in a direction that the rule knows."""
    conflict: np.ndarray
    """bool (n_users, n_attributes): claimed in more than one direction."""
    accepted: np.ndarray
    """bool (n_users, n_attributes): a direction of it was accepted."""


def category_of(word: str) -> Category | None:
    """The category in a judge's word for it, which may have a path behind it; None where there is none."""
    wanted = word.strip().split("/", 1)[0].strip().lower()
    return next((name for name in CATEGORIES if name.lower() == wanted), None)


def claimed_keys(cells: Sequence[Sequence[tuple[str, str]]]) -> np.ndarray:
    """The controlled keys in each comparison's (path, category) pairs where category and key agree.

    Returns:
        bool (n_cells, 35).
    """
    claimed = np.zeros((len(cells), len(CONTROLLED)), dtype=bool)
    for row, cell in enumerate(cells):
        for path, category in cell:
            key = by_path(path)
            if key is not None and key.category == category_of(category):
                claimed[row, _PLACE[key]] = True
    return claimed


def by_antonyms(claimed: np.ndarray, users: np.ndarray, n_users: int, min_support: int) -> Voted:
    """Explicit directions that exclude each other, each with its own support (``vote.tally``).

    Args:
        claimed: bool (n_cells, 35), of ``claimed_keys``.
        users: int (n_cells,): the user of each cell.
        n_users: How many users there are.
        min_support: Comparisons that are enough.
    """
    wide = np.zeros((len(claimed), len(KEYS)), dtype=bool)
    wide[:, _CONTROLLED] = claimed
    result = tally(wide, users, n_users, min_support=min_support)
    attribute = _codes([key.attribute for key in CONTROLLED])
    kept = result.accepted[:, _CONTROLLED]
    frequency = result.support[:, _CONTROLLED]
    ever = _sums(claimed, users, n_users) > 0
    directions = _pooled(ever, attribute)
    return Voted(
        frequency=frequency,
        kept=kept,
        attribute=attribute,
        claimed=directions > 0,
        signed=directions > 0,
        conflict=directions > 1,
        accepted=_pooled(kept, attribute) > 0,
    )


def by_path_suffix(claimed: np.ndarray, users: np.ndarray, n_users: int, min_support: int) -> Voted:
    """The released script's rule: signs from the words of a path, votes pooled over its first two parts.

    Arguments as of ``by_antonyms``.
    """
    attribute = _codes(["/".join(key.path.split("/")[:2]) for key in CONTROLLED])
    sign = np.array([_suffix_sign(key.path) for key in CONTROLLED])
    frequency = _sums(claimed, users, n_users)
    votes = _pooled(frequency * sign, attribute)
    positive, negative = (_sums(_pooled(claimed & (sign == one), attribute) > 0, users, n_users) for one in (1, -1))
    lead = np.where(votes > 0, 1, -1) * (np.abs(votes) >= min_support)
    one_sided = np.where((positive >= min_support) & (negative <= 1), 1, 0)
    one_sided = np.where((one_sided == 0) & (negative >= min_support) & (positive <= 1), -1, one_sided)
    direction = np.where(lead != 0, lead, one_sided)
    return Voted(
        frequency=frequency,
        kept=(frequency > 0) & (sign != 0) & (direction[:, attribute] == sign),
        attribute=attribute,
        claimed=_pooled(frequency, attribute) > 0,
        signed=(positive + negative) > 0,
        conflict=(positive > 0) & (negative > 0),
        accepted=direction != 0,
    )


def conflict_rate(voted: Voted) -> float:
    """Share of the claimed attributes that are lost because their directions conflict."""
    return float((voted.conflict & ~voted.accepted).sum() / max(1, voted.claimed.sum()))


def unaccepted_rate(voted: Voted) -> float:
    """The script's ``conflict_drop_rate``: attributes not accepted, over claims and such attributes together."""
    dropped = int((voted.claimed & ~voted.accepted).sum())
    return dropped / max(1, int(voted.frequency.sum()) + dropped)


def weighted_scores(voted: Voted) -> np.ndarray:
    """float64 (n_users,): the script's score of the kept keys.

    A key counts (1 + alpha ln f) min(1.15, 1 + 0.05 (f - 1)) r for f comparisons that claim it and the reliability r of
    its attribute over all the users given; alpha is the category's, f under the logarithm is capped for three
    attributes. Each category in which something is kept adds 0.1. Source: the released script (METHODS 1.5).
    """
    alpha = np.array([ALPHA[key.category] for key in CONTROLLED])
    caps = np.array([FREQUENCY_CAPS.get(key.attribute, np.inf) for key in CONTROLLED])
    frequency = np.maximum(voted.frequency, 1)
    gains = 1 + alpha * np.log(np.minimum(frequency, caps))
    gains = gains * np.minimum(MOST_SOURCE_GAIN, 1 + SOURCE_GAIN * (frequency - 1))
    conflicting = voted.conflict.sum(axis=0) / np.maximum(1, voted.signed.sum(axis=0))
    reliability = np.maximum(LEAST_RELIABILITY, 1 - conflicting)[voted.attribute]
    covered = _pooled(voted.kept, _codes([key.category for key in CONTROLLED])) > 0
    return (voted.kept * gains * reliability).sum(axis=1) + COVERAGE_BONUS * covered.sum(axis=1)


def _suffix_sign(path: str) -> int:
    if any(word in path for word in ("/higher", "/more", "/true")):
        return 1
    return -1 if any(word in path for word in ("/lower", "/less", "/fewer")) else 0


def _codes(names: Sequence[str]) -> np.ndarray:
    """int64 (n,): a number for each name, in the order of first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])


def _pooled(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """int64 (n, n_groups): sums of the columns of each group."""
    return values.astype(np.int64) @ np.eye(groups.max() + 1, dtype=np.int64)[groups]


def _sums(values: np.ndarray, users: np.ndarray, n_users: int) -> np.ndarray:
    """int64 (n_users, columns): sums of the rows of each user."""
    sums = np.zeros((n_users, values.shape[1]), dtype=np.int64)
    np.add.at(sums, users, values)
    return sums
