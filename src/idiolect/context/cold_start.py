"""What stands in for the peers of an item that too few have written about: everybody else on such items, or at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from idiolect.difference.latent import peer_mean_difference
from idiolect.store.base import ReviewReader
from idiolect.types import Item, Rung, UserId

ColdStart = Literal["none", "category", "corpus"]

LADDERS: Mapping[ColdStart, tuple[Rung, ...]] = MappingProxyType(
    {"none": (), "category": ("category",), "corpus": ("category", "corpus")}
)
"""The rungs below the item's own peers, tried in this order."""


@dataclass(slots=True, eq=False, kw_only=True)
class Compared:
    """Past reviews of one user beside whomever each is compared with; arrays have one row a review."""

    diff: np.ndarray
    """float32 (n, dim): own vector minus the others' mean; a zero row where too few others wrote."""
    n_peers: np.ndarray
    """int64 (n,): how many reviews of others that is; 0 where too few wrote any."""
    rungs: list[Rung]
    """Whose they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Finds others to compare with for reviews that have too few peers."""

    reader: ReviewReader
    encoder: str
    rungs: tuple[Rung, ...]
    min_peers: int

    def climb(
        self, found: Compared, own: np.ndarray, items: Sequence[Item], *, user: UserId, before: int | None
    ) -> None:
        """Compare the reviews that have no peers, or too few, with the next rung's mean, rung by rung.

        The mean is the plain one of Eq. 4, whatever the weighting of peers: who writes about a category is no crowd
        whose histories could be told apart.

        Args:
            found: What the items' own peers gave; its rows are changed in place.
            own: float32 (n, dim): the reviews' vectors.
            items: Their items, in order.
            user: Whose reviews they are.
            before: Only others' reviews with timestamp < ``before`` (seconds) count.
        """
        for rung in self.rungs:
            crowds = [None if rung == "corpus" else item.category for item in items]
            cold = [k for k in np.flatnonzero(found.n_peers == 0).tolist() if crowds[k] != ""]
            if not cold:
                continue
            asked = list(dict.fromkeys(crowds[k] for k in cold))
            sums = self.reader.crowd_sums(
                asked, exclude=user, encoder=self.encoder, before=before, at_least=self.min_peers
            )
            rows = [asked.index(crowds[k]) for k in cold]
            new = peer_mean_difference(own[cold], sums.sums[rows], sums.counts[rows])
            for k, diff, n_peers in zip(cold, new.diff, new.n_peers, strict=True):
                if n_peers:
                    found.diff[k], found.n_peers[k], found.rungs[k] = diff, n_peers, rung
