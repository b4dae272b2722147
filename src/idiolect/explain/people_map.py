"""All users of a store in difference space: who differs from others in the same way, and a map of everybody.

A user's place is the mean of their differences from others on the same items (Eq. 2-4 of DEP with the style encoder,
whose coordinates are measures), shrunk by its noise. It is made from vectors that are stored, so no text is read. Users
who opted out of being compared are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from idiolect.difference.stylometry import NAMES
from idiolect.difference.stylometry.encoder import LIMIT, StyleEncoder
from idiolect.difference.stylometry.style_difference import (
    Shrinkage,
    effect_sizes,
    group_sums,
    item_pairs,
    within_item_sd,
)
from idiolect.errors import NotFoundError
from idiolect.store import schema as tables
from idiolect.store.sql import SqlStore
from idiolect.store.vectors import find_encoder, vector_batches
from idiolect.types import UserId


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Neighbour:
    """A user who differs from others in a similar way."""

    user: UserId
    similarity: float
    """Cosine of the two users' differences, -1 to 1."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PeopleMap:
    """Every user with a difference, as rows."""

    users: tuple[UserId, ...]
    n_items: np.ndarray
    """int32 (n_users,): items that a user's place rests on."""
    effects: np.ndarray
    """float32 (n_users, n_measures): shrunk means of differences in standard deviations of reviews of one item, each
    clipped as the encoder clips coordinates, because one heading where nobody writes any is a hundred of them; in the
    order of ``NAMES``."""
    points: np.ndarray
    """float32 (n_users, 2): principal components of ``effects``."""
    explained: tuple[float, ...]
    """Share of the variance that each component shows."""
    loadings: np.ndarray
    """float32 (2, n_measures): what each component consists of."""

    def nearest(self, user: UserId, k: int) -> list[Neighbour]:
        """The ``k`` most similar users.

        Raises:
            NotFoundError: The user is not in the map.
        """
        row = self._row(user)
        length = np.linalg.norm(self.effects, axis=1)
        similar = self.effects @ self.effects[row] / np.maximum(length * length[row], 1e-12)
        similar[row] = -np.inf
        k = min(k, len(self.users) - 1)
        rows = np.argpartition(-similar, k - 1)[:k] if k > 0 else np.array([], dtype=np.int64)
        rows = rows[np.argsort(-similar[rows], kind="stable")]
        return [Neighbour(user=self.users[other], similarity=float(similar[other])) for other in map(int, rows)]

    def _row(self, user: UserId) -> int:
        try:
            return self.users.index(user)
        except ValueError:
            raise NotFoundError(
                "the user cannot be compared with anybody",
                hint="their items need reviews by others, or the user opted out",
            ) from None


def people_map(store: SqlStore, *, min_peers: int = 1) -> PeopleMap:
    """The map of a store's users.

    Args:
        store: With vectors of the style encoder.
        min_peers: Fewest other users of an item.

    Raises:
        NotFoundError: The store has no vectors of the style encoder.
    """
    users, items, vectors = _read(store)
    names, user_codes = np.unique(users, return_inverse=True)
    _, item_codes = np.unique(items, return_inverse=True)
    pairs = item_pairs(vectors, user_codes, item_codes, min_peers=min_peers)
    effects = effect_sizes(pairs.difference, within_item_sd(vectors, item_codes)).clip(-LIMIT, LIMIT)
    present, codes, n_items = np.unique(pairs.users, return_inverse=True, return_counts=True)
    means = group_sums(effects, codes, len(present)) / np.maximum(n_items, 1)[:, None]
    shrunk = Shrinkage.of(effects, codes)(means, n_items) if len(codes) else means
    points, explained, loadings = _components(shrunk)
    return PeopleMap(
        users=tuple(UserId(str(name)) for name in names[present]),
        n_items=n_items.astype(np.int32),
        effects=shrunk.astype(np.float32),
        points=points.astype(np.float32),
        explained=explained,
        loadings=loadings.astype(np.float32),
    )


def _read(store: SqlStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User and item of every review with a vector, and the vectors."""
    review = tables.reviews.c
    out = sa.select(tables.opted_out.c.user)
    query = sa.select(review.seq, review.user, review.item).where(review.user.not_in(out)).order_by(review.seq)
    with store.reading() as connection:
        row = find_encoder(connection, StyleEncoder.name)
        known = connection.execute(query).all()
        batches = list(vector_batches(connection, row))
    seqs = np.concatenate([seq for seq, _ in batches])
    vectors = np.concatenate([rows for _, rows in batches]).astype(np.float32)
    mine = np.array([one.seq for one in known], dtype=np.int64)
    kept, at, of = np.intersect1d(mine, seqs, assume_unique=True, return_indices=True)
    users = np.array([one.user for one in known], dtype=object)[at]
    items = np.array([one.item for one in known], dtype=object)[at]
    return users, items, vectors[of].reshape(len(kept), row.dim)


def _components(values: np.ndarray) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    """Two principal components: places, explained shares and loadings, each pointing to its largest loading."""
    n_measures = values.shape[1]
    if len(values) < 2:
        return np.zeros((len(values), 2)), (0.0, 0.0), np.zeros((2, n_measures))
    centred = values - values.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(values))
    axes = axes[:, ::-1][:, :2].T
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    total = max(float(variances.sum()), 1e-12)
    return centred @ axes.T, tuple(float(one) / total for one in variances[::-1][:2]), axes


def strongest(loadings: Sequence[float] | np.ndarray, k: int = 3) -> list[tuple[str, str]]:
    """The measures that an axis consists of most, with the direction that goes with its positive side."""
    values = np.asarray(loadings)
    places = np.argsort(-np.abs(values), kind="stable")[:k]
    return [(NAMES[place], "more" if values[place] > 0 else "less") for place in places if values[place]]
