"""What a method claimed of every user, comparison by comparison, read from its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from idiolect.difference.language.feature import Feature
from idiolect.difference.language.modelfree import POOLED
from idiolect.evaluation.claims import is_control
from idiolect.evaluation.judge import Judged
from idiolect.evaluation.uvq import Unit, units_of
from idiolect.experiments import results
from idiolect.types import UserId

COMPARED = "compared"
"""The stage that lists a sample's comparisons (``portrait.portray``)."""

Cell = tuple[UserId, str]
"""A user and one of the user's comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The differences of one method's users, and what a judge made of them."""

    users: tuple[UserId, ...]
    """In the order of the samples."""
    features: Mapping[Cell, tuple[Feature, ...]]
    """Of every comparison that claims something, whatever became of it; without what was measured over all of them."""
    listed: Mapping[UserId, str]
    """The reviews that were compared, as the outputs list them."""
    judged: Mapping[Cell, Judged] | None = None
    """None: nobody was asked."""
    unheard: frozenset[UserId] = frozenset()
    """Users of whom the extractor said nothing that could be read: what differs is not known, which is not 0."""

    @property
    def validated(self) -> list[list[list[Unit]]]:
        """For each user the comparisons, for each of these the features as units: valid unless dropped."""
        return self._by_user({cell: units_of(own) for cell, own in self.features.items()})

    @property
    def units(self) -> list[list[list[Unit]]]:
        """The same by the judge's word, where there is one."""
        if self.judged is None:
            return self.validated
        return self._by_user({cell: list(one.units) for cell, one in self.judged.items()})

    @property
    def unknown(self) -> frozenset[UserId]:
        """Users of whom no number is known: nothing was heard of them, or the judge's answers could all not be read."""
        asked: dict[UserId, list[bool]] = {}
        for cell, one in (self.judged or {}).items():
            if any(feature.valid for feature in self.features[cell]):
                asked.setdefault(cell[0], []).append(one.failed)
        return self.unheard | {user for user, failed in asked.items() if all(failed)}

    def _by_user(self, units: Mapping[Cell, list[Unit]]) -> list[list[list[Unit]]]:
        found: dict[UserId, list[list[Unit]]] = {user: [] for user in self.users}
        for (user, _), own in units.items():
            found[user].append(own)
        return list(found.values())


def found_in(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Found]:
    """What every method that compared anything has found.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``); controls do not count.
    """
    return {
        name: found_by(rows)
        for name, rows in runs.items()
        if not is_control(name) and any(COMPARED in _stages(row) for row in rows)
    }


def found_by(rows: Sequence[Mapping[str, Any]]) -> Found:
    """What one method has found. A comparison that serves several samples of a user counts once, as in the first.

    Raises:
        ArtifactError: The rows are not what this version writes.
    """
    features: dict[Cell, tuple[Feature, ...]] = {}
    listed: dict[UserId, str] = {}
    heard: dict[UserId, bool] = {}
    for row in rows:
        user, own = row["user"], dict[str, list[Feature]]()
        for feature in results.features(row):
            if feature.comparison != POOLED:
                own.setdefault(feature.comparison, []).append(feature)
        for comparison, claimed in own.items():
            features.setdefault((user, comparison), tuple(claimed))
        heard[user] = heard.get(user, False) or _was_heard(row)
        listed[user] = "\n".join(filter(None, (listed.get(user), _stages(row).get(COMPARED))))
    unheard = frozenset(user for user, known in heard.items() if not known)
    return Found(users=tuple(listed), features=features, listed=listed, unheard=unheard)


def _was_heard(row: Mapping[str, Any]) -> bool:
    """Whether the extractor was not asked, or some answer of it could be read."""
    took = row.get("usage", {}).get("extract")
    if took is None:
        return True
    counts = took if isinstance(took, Mapping) else asdict(took)
    return counts["calls"] == 0 or counts.get("failed", 0) + counts.get("unreadable", 0) < counts["calls"]


def _stages(row: Mapping[str, Any]) -> Mapping[str, str]:
    return row.get("stages") or {}
