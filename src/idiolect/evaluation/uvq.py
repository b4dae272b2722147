"""UVQ, the Unique Valid Quantity: how many distinct differences hold for a user across the user's comparisons.

The DRP paper names the measure and its five criteria; the formula is only in the authors' analysis script, where it is
called ``row_unique_valid``. Its defects are corrected by default and kept behind the preset ``script``:

- A direction was read off the end of a key's path, so that five of the 35 keys had none and could never count;
  positive, neutral and negative tone had one and the same, and "no headings" was an attribute of its own. Here
  directions are explicit and exclude each other.
- Support was tested per attribute, so a key seen once counted where its siblings recurred. Here it is the key's own.
- A comparison that claims both directions counted for both. Here it counts for neither.
- What merely lacked support was reported as a conflict. Here only attributes claimed in two directions are.
- Repetitions and keys outside the taxonomy entered the category distribution. Here each key counts once a comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.feature import Feature
from idiolect.difference.language.taxonomy import CATEGORIES, CONTROLLED, Category
from idiolect.errors import ConfigError
from idiolect.evaluation import uvq_rules as rules
from idiolect.registry import suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One difference as it is counted: what a judge returned, or a validated feature."""

    category: str
    path: str
    """The controlled key, as a path of the released script; anything else is outside the taxonomy."""
    valid: bool = True
    reason: str = ""
    """Why it is not valid."""


class Aggregation(Config):
    """How judged comparisons become a number. The defaults have the script's defects corrected."""

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
        """``default``, or ``script``: as the released program counts, to compare with its numbers.

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
        """Share of the claimed differences that were not valid; 0 where none was claimed."""
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
    claimed = rules.claimed_keys([[(unit.path, unit.category) for unit in cell if unit.valid] for _, cell in cells])
    voted = (rules.by_antonyms if how.directions == "antonyms" else rules.by_path_suffix)(
        claimed, owner, len(users), how.min_support
    )
    distribution, n_valid = _distribution(claimed, [cell for _, cell in cells], how.distribution)
    units = [unit for _, cell in cells for unit in cell]
    return Uvq(
        kept=voted.kept,
        frequency=voted.frequency,
        scores=rules.weighted_scores(voted),
        conflict_drop_rate=rules.conflict_rate(voted) if how.drops == "conflicts" else rules.unaccepted_rate(voted),
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
    valid = [
        [(rules.category_of(unit.category), unit.path.strip().lower()) for unit in cell if unit.valid] for cell in cells
    ]
    named = Counter(category for cell in valid for category, _ in cell)
    distinct = sum(len({path for category, path in cell if category and path}) for cell in valid)
    return _Counts({name: named[name] for name in CATEGORIES}, distinct)


def _by_category(of_keys: np.ndarray) -> dict[Category, int]:
    """Sums of a (35,) count by category."""
    counts: dict[Category, int] = dict.fromkeys(CATEGORIES, 0)
    for count, key in zip(of_keys, CONTROLLED, strict=True):
        counts[key.category] += int(count)
    return counts
