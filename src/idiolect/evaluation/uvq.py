"""UVQ, the Unique Valid Quantity: how many distinct differences hold for a user across the user's comparisons.

The DRP paper names the measure and its five criteria; the formula is only in the authors' analysis script, as
``row_unique_valid``. By default its defects are corrected; the preset ``script`` keeps them:

- The script takes a direction from the end of a key's path, so five of the 35 keys have none and can never count;
  positive, neutral and negative tone have the same one, and "no headings" is a separate attribute. Here directions are
  explicit and exclude each other.
- The script tests support per attribute, so a key with one claim counts if its siblings recur. Here it is per key.
- In the script a comparison that claims both directions counts for both. Here it counts for neither.
- The script reports missing support as a conflict. Here only attributes claimed in two directions conflict.
- In the script repetitions and keys outside the taxonomy enter the category distribution. Here each key counts once per
  comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import CATEGORIES, CONTROLLED, KEYS, Category, by_path
from idiolect.difference.claims.vote import tally
from idiolect.errors import ConfigError
from idiolect.registry import suggest

ALPHA = {"Semantics": 0.16, "Emotion": 0.15, "Structure": 0.14, "Pragmatics": 0.13, "Writing": 0.12}
"""Weight of recurrence by category, per log comparison."""
FREQUENCY_CAPS = {"writing/sentence-complexity": 2, "writing/exclamations": 1, "writing/vocabulary": 2}
"""Comparisons beyond which recurrence of an attribute adds no more."""
SOURCE_GAIN, MOST_SOURCE_GAIN = 0.05, 1.15
COVERAGE_BONUS = 0.1
"""For every category in which a user has a difference."""
LEAST_RELIABILITY = 0.85
"""An attribute's weight if all users' comparisons of it conflict."""

_PLACE = {key: place for place, key in enumerate(CONTROLLED)}
_CONTROLLED = np.array([KEYS.index(key) for key in CONTROLLED])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Voted:
    """Votes of every user's comparisons on the 35 keys and their attributes."""

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
    """The category in a judge's answer, which may be followed by a path; None if there is none."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One counted difference: from a judge, or a validated feature."""

    category: str
    path: str
    """The controlled key, as a path of the released script; anything else is outside the taxonomy."""
    valid: bool = True
    reason: str = ""
    """Why it is not valid."""


class Aggregation(Config):
    """How UVQ is computed from judged comparisons. The defaults correct the script's defects."""

    min_support: int = Field(default=2, ge=1)
    """Comparisons in which a difference must recur."""
    frequent_from: int = Field(default=3, ge=1)
    """Comparisons from which a difference is frequent."""
    directions: Literal["antonyms", "path_suffix"] = "antonyms"
    """``antonyms``: explicit directions that exclude each other. ``path_suffix``: the sign of the words at the path's
    end, votes and support pooled over the first two parts of the path."""
    drops: Literal["conflicts", "unaccepted"] = "conflicts"
    """``conflicts``: share of claimed attributes lost because both directions were claimed. ``unaccepted``: attributes
    not accepted for whatever cause, over claims and such attributes together."""
    distribution: Literal["keys", "units"] = "keys"
    """What the category distribution counts in each comparison: distinct controlled keys, or all valid units."""

    @classmethod
    def preset(cls, name: str) -> Aggregation:
        """``default``, or ``script``: the released program's rules, to compare with its numbers.

        Raises:
            ConfigError: There is no preset of that name.
        """
        presets = {"default": cls(), "script": cls(directions="path_suffix", drops="unaccepted", distribution="units")}
        if name not in presets:
            raise ConfigError(f"unknown UVQ preset {name!r}", hint=suggest(name, presets))
        return presets[name]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Uvq:
    """UVQ of every user and what belongs to it."""

    kept: np.ndarray
    """bool (n_users, 35): the differences that hold, in the order of ``taxonomy.CONTROLLED``."""
    frequency: np.ndarray
    """int64 (n_users, 35): comparisons that claim each."""
    scores: np.ndarray
    """float64 (n_users,): the script's weighted score."""
    conflict_drop_rate: float
    distribution: Mapping[Category, int]
    """Valid differences per comparison, summed, by category: the paper's category figure."""
    n_valid: int
    """Distinct valid differences per comparison, summed."""
    n_units: int
    """Differences claimed, valid or not."""
    n_rejected: int
    frequent_from: int

    @property
    def per_user(self) -> np.ndarray:
        """int64 (n_users,): how many differences hold."""
        return self.kept.sum(axis=1)

    @property
    def frequent(self) -> np.ndarray:
        """int64 (n_users,): how many of them are frequent."""
        return (self.kept & (self.frequency >= self.frequent_from)).sum(axis=1)

    @property
    def mean(self) -> float:
        """The system's UVQ; 0 without users."""
        return float(self.per_user.mean()) if len(self.kept) else 0.0

    @property
    def by_category(self) -> dict[Category, int]:
        """Differences that hold, over all users, by category."""
        return _by_category(self.kept.sum(axis=0))

    @property
    def rejection_rate(self) -> float:
        """Share of the claimed differences that were not valid; 0 if there are none."""
        return self.n_rejected / self.n_units if self.n_units else 0.0

    def paths(self, user: int) -> list[str]:
        """The differences that hold for a user, as paths."""
        return [CONTROLLED[place].path for place in np.flatnonzero(self.kept[user])]


def units_of(features: Iterable[Feature]) -> list[Unit]:
    """The validated features of one comparison as units: valid unless dropped."""
    return [
        Unit(
            category=feature.category or "",
            path=feature.key.path if feature.key else "",
            valid=feature.valid,
            reason="" if feature.valid else feature.reason or "",
        )
        for feature in features
    ]


def uvq(users: Sequence[Sequence[Sequence[Unit]]], aggregation: Aggregation | None = None) -> Uvq:
    """UVQ of a set of users.

    Args:
        users: For each user the user's comparisons, for each of these its units. Invalid units, those outside the
            taxonomy and those whose category is not their key's do not count.
        aggregation: None: the defaults.
    """
    how = aggregation or Aggregation()
    cells = [(user, cell) for user, row in enumerate(users) for cell in row]
    owner = np.array([user for user, _ in cells], dtype=np.int64)
    claimed = claimed_keys([[(unit.path, unit.category) for unit in cell if unit.valid] for _, cell in cells])
    voted = (by_antonyms if how.directions == "antonyms" else by_path_suffix)(
        claimed, owner, len(users), how.min_support
    )
    distribution, n_valid = _distribution(claimed, [cell for _, cell in cells], how.distribution)
    units = [unit for _, cell in cells for unit in cell]
    return Uvq(
        kept=voted.kept,
        frequency=voted.frequency,
        scores=weighted_scores(voted),
        conflict_drop_rate=conflict_rate(voted) if how.drops == "conflicts" else unaccepted_rate(voted),
        distribution=distribution,
        n_valid=n_valid,
        n_units=len(units),
        n_rejected=sum(not unit.valid for unit in units),
        frequent_from=how.frequent_from,
    )


class _Counts(NamedTuple):
    by_category: dict[Category, int]
    distinct: int


def _distribution(claimed: np.ndarray, cells: Sequence[Sequence[Unit]], of: str) -> _Counts:
    if of == "keys":
        return _Counts(_by_category(claimed.sum(axis=0)), int(claimed.sum()))
    valid = [[(category_of(unit.category), unit.path.strip().lower()) for unit in cell if unit.valid] for cell in cells]
    named = Counter(category for cell in valid for category, _ in cell)
    distinct = sum(len({path for category, path in cell if category and path}) for cell in valid)
    return _Counts({name: named[name] for name in CATEGORIES}, distinct)


def _by_category(of_keys: np.ndarray) -> dict[Category, int]:
    """Sums of a (35,) count by category."""
    counts: dict[Category, int] = dict.fromkeys(CATEGORIES, 0)
    for count, key in zip(of_keys, CONTROLLED, strict=True):
        counts[key.category] += int(count)
    return counts
