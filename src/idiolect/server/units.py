"""The units of an adapter's code on the reviews of one store: statistics, labels, users, and the code of each user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.difference.stylometry import group_sums
from idiolect.errors import ConfigError
from idiolect.explain.latent import Codes, LatentConfig, StreamStatistics, UnitStatistics, closest_measures
from idiolect.explain.units import look_at, make_report
from idiolect.store.sql import SqlStore

LABELLED = 24
"""Units that are labelled in the list: those whose silence changes the soft prompts most."""
_USERS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is known of all units; labels are made when they are asked for."""

    adapter: str
    codes: Codes
    streams: tuple[StreamStatistics, ...]
    statistics: UnitStatistics
    users: tuple[str, ...]
    """Those with codes."""
    means: np.ndarray
    """float64 (n_users, n_units): mean code of each user."""

    @classmethod
    def of(cls, store: SqlStore, adapter: Path) -> Units:
        """Look at an adapter.

        Raises:
            See ``idiolect.explain.units.inspect_adapter``.
        """
        codes, streams, statistics = look_at(store, adapter, LatentConfig())
        names, number, counts = np.unique(np.array(codes.names, dtype=object), return_inverse=True, return_counts=True)
        means = group_sums(codes.code, number, len(names)) / counts[:, None]
        return cls(adapter.name, codes, streams, statistics, tuple(map(str, names)), means)

    @property
    def width(self) -> int:
        """Number of units."""
        return self.codes.code.shape[1]

    def listed(self) -> dict[str, Any]:
        """All units in short, those that change the soft prompts most first; the first of them with labels."""
        order = np.argsort(-self.statistics.shift, kind="stable").tolist()
        units = [self._plain(number) for number in order]
        for one, labelled in zip(units, self._report(order[:LABELLED]), strict=False):
            one |= {key: labelled[key] for key in ("label", "auc", "auc_sd", "pairs")}
        streams = [asdict(one) | {"dead": len(one.dead), "dense": len(one.dense)} for one in self.streams]
        return {
            "adapter": self.adapter,
            "stream": self.codes.stream,
            "streams": streams,
            "width": self.width,
            "reviews": len(self.codes.ids),
            "users": len(self.users),
            "units": units,
        }  # fmt: skip

    def unit(self, number: int, *, texts: bool) -> dict[str, Any]:
        """One unit with the users who have it, and its top reviews.

        Args:
            number: Which.
            texts: Whether reviews of users and peers are shown, or only whose they are.

        Raises:
            ConfigError: There is no such unit.
        """
        self.check(number)
        found = self._report([number])[0]
        for top in found["top"]:
            if not texts:
                del top["text"], top["peer_text"]
        own = self.means[:, number]
        most = [k for k in np.argsort(-own, kind="stable")[:_USERS].tolist() if own[k] > 0]
        return {
            **self._plain(number),
            **{key: found[key] for key in ("label", "auc", "auc_sd", "pairs", "top")},
            "have": [{"user": self.users[k], "code": float(own[k])} for k in most],
        }

    def of_user(self, user: str, k: int = 8) -> list[dict[str, Any]]:
        """The units in which a user is furthest above the mean of all users; none for a user without codes."""
        if user not in self.users:
            return []
        own, sd = self.means[self.users.index(user)], self.means.std(axis=0)
        above = np.divide(own - self.means.mean(axis=0), sd, out=np.zeros(self.width), where=sd > 0)
        order = [n for n in np.argsort(-above * self.statistics.shift, kind="stable")[:k].tolist() if above[n] > 0]
        labels = self._report(order) if order else []
        return [
            {"number": n, "above": float(above[n]), "label": one["label"], "style": self._style(n)}
            for n, one in zip(order, labels, strict=True)
        ]

    def column(self, number: int, users: Sequence[str]) -> np.ndarray:
        """float32 (len(users),): mean code in deviations from the mean of all users; 0 for users without codes.

        Raises:
            ConfigError: There is no such unit.
        """
        self.check(number)
        own = self.means[:, number]
        values = dict(zip(self.users, ((own - own.mean()) / max(float(own.std()), 1e-12)).tolist(), strict=True))
        return np.array([values.get(user, 0.0) for user in users], dtype=np.float32)

    def check(self, number: int) -> None:
        """Refuse a unit that is none.

        Raises:
            ConfigError: There is no such unit.
        """
        if not 0 <= number < self.width:
            raise ConfigError(f"the adapter has no unit {number}", hint=f"its units are 0 to {self.width - 1}")

    def _report(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        report = make_report(self.adapter, self.codes, self.streams, self.statistics, LatentConfig(), numbers=numbers)
        return [asdict(unit) for unit in report.units]

    def _plain(self, number: int) -> dict[str, Any]:
        names = ("active", "shift", "user_share", "item_share", "contrast")
        figures = {name: float(getattr(self.statistics, name)[number]) for name in names}
        return {"number": number, **figures, "style": self._style(number)}

    def _style(self, number: int) -> list[tuple[str, float]]:
        return list(closest_measures(self.statistics.style, number))
