"""How one user's style departs from that of others who wrote about the same items, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from idiolect.difference.stylometry.base import Measure
from idiolect.difference.stylometry.measuring import measure
from idiolect.difference.stylometry.pairs import Pairs, in_spreads, item_pairs, spread
from idiolect.difference.stylometry.student import half_width
from idiolect.difference.stylometry.table import MEASURES
from idiolect.errors import InputError

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One user against the crowd on one measure."""

    measure: Measure
    difference: float
    """Own minus others', mean over items, in the measure's unit."""
    effect: float
    """``difference`` in spreads (see ``pairs.spread``); comparable between measures. 0 where nothing varies."""
    low: float
    high: float
    """Ends of the effect's interval, spreads; infinite below two items."""
    n_items: int
    """Items on which the user could be compared."""

    @property
    def direction(self) -> Literal["more", "less"] | None:
        """Which way the user departs; None where the interval holds 0, so that nothing can be said."""
        if self.low > 0:
            return "more"
        return "less" if self.high < 0 else None

    @property
    def phrase(self) -> str | None:
        """What finishes "Compared with others, this user ..."; None where nothing can be said."""
        return None if self.direction is None else getattr(self.measure, self.direction)


def compare(
    own: Sequence[str],
    peers: Sequence[Sequence[str]],
    *,
    spreads: np.ndarray | None = None,
    level: float = LEVEL,
) -> tuple[Departure, ...]:
    """One user's reviews against others' reviews of the same items, on every measure.

    Each item gives one difference, own value minus the mean of the others'. The interval is Student's t over items:
    items are what would be drawn anew, they are few (a percentile bootstrap over five is far too narrow), and the same
    formula serves all users of a corpus at once. It holds for one measure at a time; among 51, two or three exceed a
    95 % interval by chance, so ask for a higher level where the strongest are picked.

    Args:
        own: The user's reviews, one an item.
        peers: For each, others' reviews of that item; where there are none, the item does not count.
        spreads: float (n_measures,): of a whole corpus, which are better known than those of few reviews; None: of the
            reviews given, the user's among them.
        level: Coverage of the intervals.

    Returns:
        One a measure, in the order of ``MEASURES``.

    Raises:
        InputError: ``own`` and ``peers`` are of different lengths.
    """
    if len(own) != len(peers):
        raise InputError(f"{len(own)} own reviews but peers of {len(peers)} items", hint="one list of peers a review")
    values = measure([*own, *chain.from_iterable(peers)])
    sizes = np.array([len(texts) for texts in peers], dtype=np.int64)
    items = np.concatenate([np.arange(len(own)), np.repeat(np.arange(len(own)), sizes)])
    users = (np.arange(len(values)) >= len(own)).astype(np.int64)
    spreads = spread(values, items) if spreads is None else spreads
    return Departures.of(item_pairs(values, users, items), np.arange(2), spreads).findings(0, level=level)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Departures:
    """All users of a corpus against the crowd on every measure."""

    users: np.ndarray
    """int64 (n_users,): codes, ascending; one row each below."""
    difference: np.ndarray
    """float64 (n_users, n_measures): own minus others', mean over items, in the measures' units; 0 without items."""
    standard_error: np.ndarray
    """float64 (n_users, n_measures): of ``difference`` over items; infinite below two items."""
    n_items: np.ndarray
    """int64 (n_users,): items on which the user could be compared."""
    spreads: np.ndarray
    """float64 (n_measures,): the unit of effects (see ``pairs.spread``)."""

    @classmethod
    def of(cls, pairs: Pairs, users: np.ndarray, spreads: np.ndarray) -> Departures:
        """The means of ``pairs`` by user.

        Args:
            pairs: Of these users alone.
            users: int (n_users,): codes, ascending; some may have no pair.
            spreads: float64 (n_measures,).
        """
        from_, to = np.searchsorted(pairs.users, users), np.searchsorted(pairs.users, users, side="right")
        n = to - from_
        mean = _run_sums(pairs.difference, from_, to) / np.maximum(n, 1)[:, None]
        deviations = pairs.difference - np.repeat(mean, n, axis=0)
        variance = _run_sums(deviations**2, from_, to) / np.maximum(n - 1, 1)[:, None]
        error = np.sqrt(variance / np.maximum(n, 1)[:, None])
        error[n < 2] = np.inf
        return cls(users=users, difference=mean, standard_error=error, n_items=n, spreads=spreads)

    def effects(self) -> np.ndarray:
        """float64 (n_users, n_measures): the differences in spreads."""
        return in_spreads(self.difference, self.spreads)

    def findings(self, row: int, *, level: float = LEVEL) -> tuple[Departure, ...]:
        """One user's departures, in the order of ``MEASURES``.

        Args:
            row: The user's row.
            level: Coverage of the intervals.
        """
        effect, n = self.effects()[row], int(self.n_items[row])
        reach = np.full(len(effect), np.inf)
        if n > 1:
            reach = in_spreads(self.standard_error[row], self.spreads) * half_width(self.n_items[row], level)
        return tuple(
            Departure(
                measure=of,
                difference=float(difference),
                effect=float(e),
                low=float(e - r),
                high=float(e + r),
                n_items=n,
            )
            for of, difference, e, r in zip(MEASURES, self.difference[row], effect, reach, strict=True)
        )


def departures(values: np.ndarray, users: np.ndarray, items: np.ndarray, *, min_peers: int = 1) -> Departures:
    """Every user of a corpus against the others on the same items, without reading any review twice.

    Args:
        values: float (n, n_measures) from ``measure``, a row a review.
        users: int (n,): each review's user as a code within [0, 2**31).
        items: int (n,): each review's item, likewise.
        min_peers: Others who must have written about an item for it to count.

    Raises:
        InputError: The lengths differ or a code is out of range.
    """
    pairs = item_pairs(values, users, items, min_peers=min_peers)
    return Departures.of(pairs, np.unique(users).astype(np.int64), spread(values, items))


def _run_sums(values: np.ndarray, from_: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Sums of ``values[from_[k]:to[k]]`` for runs that follow each other; 0 for empty ones."""
    sums = np.zeros((len(from_), values.shape[1]))
    filled = to > from_
    if filled.any():
        sums[filled] = np.add.reduceat(values[: to[filled][-1]], from_[filled], axis=0)
    return sums
