"""Snapshots: the visible reviews of one phase, memory-mapped. They open in milliseconds, and processes share them.

Sums over whole categories replace those of an item's peers if these are too few. Without a time cut they are the sum of
the item sums. With a time cut they are running sums in time order with a checkpoint every 4096 rows, so that a query
reads at most that many vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from idiolect.errors import ArtifactError, NotFoundError
from idiolect.store.base import PeerSums
from idiolect.store.schema import to_item, to_review
from idiolect.store.snapshot_files import FORMAT, META, NEVER, IdIndex, SnapshotMeta, map_array, map_table
from idiolect.store.sums import check_dated, group_codes, group_sums, suppress_small_groups
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId

_STEP = 4096


class PeerGroups:
    """A snapshot's pool by category, and as a whole; computed when first used.

    Args:
        categories: Of every item.
        vectors: float16 (n, dim); memory-mapped.
        item_sums: float64 (n_items, dim): the pool's sum of every item.
        pool: The rows of ``vectors`` that are in the pool, item by item.
        users: int, parallel to ``pool``: who wrote them.
        times: int64, parallel to ``pool``: seconds.
        offsets: int64 (n_items + 1,): where each item's part of the pool begins.
    """

    def __init__(
        self,
        categories: Sequence[str],
        *,
        vectors: np.ndarray,
        item_sums: np.ndarray,
        pool: np.ndarray,
        users: np.ndarray,
        times: np.ndarray,
        offsets: np.ndarray,
    ) -> None:
        names, self._of_item = group_codes(categories)
        self._codes: dict[str | None, int] = {name: code for code, name in enumerate([*names, None])}
        self._vectors, self._item_sums = vectors, item_sums
        self._pool, self._users, self._times, self._offsets = pool, users, times, offsets

    def read(self, group: str | None, before: int | None) -> PeerSums:
        """The sum (1, dim) and number (1,) of a group's vectors.

        Args:
            group: A category; None: the whole pool.
            before: Only those strictly before this time (seconds); None: all.
        """
        code = self._codes.get(group)
        if code is None:
            return PeerSums(np.zeros((1, self._vectors.shape[1])), np.zeros(1, dtype=np.int64))
        if before is not None:
            return self._running.before(code, before)
        return PeerSums(self._totals.sums[[code]], self._totals.counts[[code]])

    def user_counts(self, group: str | None, before: int | None) -> int:
        """The number of distinct users of a group; with ``before``, those with a review strictly before this time."""
        code = self._codes.get(group)
        return 0 if code is None else self._first_seen.number(code, before)

    def holds(self, group: str | None, items: np.ndarray) -> np.ndarray:
        """Bool (n,): whether items (codes) are of a group."""
        return np.full(len(items), True) if group is None else self._of_item[items] == self._codes.get(group)

    @cached_property
    def _totals(self) -> PeerSums:
        counts = np.bincount(self._of_item, weights=np.diff(self._offsets), minlength=len(self._codes)).astype(np.int64)
        sums = np.zeros((len(self._codes), self._vectors.shape[1]))
        for start in range(0, len(self._item_sums), _STEP):
            part = slice(start, start + _STEP)
            np.add.at(sums, self._of_item[part], self._item_sums[part])
        sums[-1], counts[-1] = sums[:-1].sum(axis=0), counts[:-1].sum()
        return PeerSums(sums, counts)

    @cached_property
    def _running(self) -> RunningSums:
        rows, times = np.tile(self._pool, 2), np.tile(self._times, 2)
        return RunningSums.of(self._vectors, rows, times, self._groups, len(self._codes))

    @cached_property
    def _first_seen(self) -> FirstSeen:
        users, times = np.tile(self._users, 2), np.tile(self._times, 2)
        return FirstSeen.of(users, times, self._groups, len(self._codes))

    @property
    def _groups(self) -> np.ndarray:
        """The pool's groups: one per category, then one of all users."""
        about = np.repeat(self._of_item, np.diff(self._offsets))
        return np.concatenate([about, np.full(len(about), self._codes[None])])


@dataclass(frozen=True, slots=True, eq=False)
class FirstSeen:
    """The time of each user's first review in each group, so that bisection counts the users at any time."""

    times: np.ndarray
    """int64 (k,): one per user and group, by group, ascending; seconds."""
    offsets: np.ndarray
    """int64 (n + 1,): where each group begins."""

    @classmethod
    def of(cls, users: np.ndarray, times: np.ndarray, groups: np.ndarray, n: int) -> FirstSeen:
        """One sort.

        Args:
            users: int (k,): who wrote each row.
            times: int64 (k,): when.
            groups: int (k,) within [0, n): in which group.
            n: Number of groups.
        """
        order = np.lexsort((times, users, groups))
        users, groups = users[order], groups[order]
        first = np.flatnonzero((np.diff(users, prepend=-1) != 0) | (np.diff(groups, prepend=-1) != 0))
        groups, times = groups[first], times[order][first]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=n))])
        return cls(times[np.lexsort((times, groups))], offsets)

    def number(self, group: int, before: int | None) -> int:
        """Number of users of a group; with ``before``, those with a first review strictly before it (seconds)."""
        first, last = self.offsets[group : group + 2].tolist()
        return last - first if before is None else int(np.searchsorted(self.times[first:last], before))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RunningSums:
    """Every group's vectors in time order, with running sums."""

    vectors: np.ndarray
    """float16 (m, dim); memory-mapped."""
    rows: np.ndarray
    """int64 (k,): rows of ``vectors``, by group, then by time."""
    times: np.ndarray
    """int64 (k,): their times, seconds."""
    offsets: np.ndarray
    """int64 (n + 1,): where each group begins."""
    checkpoints: np.ndarray
    """float64 (k // 4096 + 1, dim): the sum of all rows before every 4096th."""

    @classmethod
    def of(cls, vectors: np.ndarray, rows: np.ndarray, times: np.ndarray, groups: np.ndarray, n: int) -> RunningSums:
        """One pass over the vectors.

        Args:
            vectors: float16 (m, dim).
            rows: int (k,): rows of ``vectors``.
            times: int64 (k,): of each row.
            groups: int (k,) within [0, n): of each row.
            n: Number of groups.
        """
        order = np.lexsort((times, groups))
        rows, counts = rows[order], np.bincount(groups, minlength=n)
        blocks = group_sums(vectors, np.arange(len(rows)) // _STEP, len(rows) // _STEP + 1, rows=rows).sums
        checkpoints = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(blocks, axis=0)])[: len(blocks)]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return cls(vectors=vectors, rows=rows, times=times[order], offsets=offsets, checkpoints=checkpoints)

    def before(self, group: int, time: int) -> PeerSums:
        """The sum (1, dim) and number (1,) of a group's vectors strictly before a time (seconds)."""
        first, last = self.offsets[group : group + 2].tolist()
        end = first + int(np.searchsorted(self.times[first:last], time))
        return PeerSums((self._up_to(end) - self._up_to(first))[None], np.array([end - first], dtype=np.int64))

    def _up_to(self, end: int) -> np.ndarray:
        start = end // _STEP * _STEP
        rest = self.rows[start:end]
        return (
            self.checkpoints[end // _STEP]
            + group_sums(self.vectors, np.zeros(len(rest), dtype=np.int64), 1, rows=rest).sums[0]
        )


class Snapshot:
    """A read-only ``ReviewReader`` of one phase and one encoder; made by ``build_snapshot``.

    Threads may share it, and it can be pickled for another process, which then opens the same folder.

    Args:
        folder: Of the snapshot.
        meta: Its description.
    """

    def __init__(self, folder: Path, meta: SnapshotMeta) -> None:
        self.folder = folder
        self.meta = meta
        self._reviews, self._review_keys = _table(folder, "reviews")
        self._items, self._item_keys = _table(folder, "items")
        self._users, self._user_keys = _table(folder, "users")
        self._vectors, self._sums, self._profiles = _arrays(folder, "vectors", "sums", "profiles")
        self._pool_offsets, self._pool_rows = _arrays(folder, "pool_offsets", "pool_rows")
        self._pool_users, self._pool_times, self._user_counts = _arrays(
            folder, "pool_users", "pool_times", "pool_voices"
        )
        self._own_offsets, self._own_rows, self._own_items = _arrays(folder, "own_offsets", "own_rows", "own_items")

    @classmethod
    def open(cls, folder: str | Path) -> Snapshot:
        """The snapshot in a folder.

        Raises:
            NotFoundError: There is none.
            ArtifactError: It is damaged, or of another format.
        """
        folder = Path(folder)
        if not (folder / META).is_file():
            raise NotFoundError(f"there is no snapshot in {str(folder)!r}", hint="make one with `build_snapshot`")
        try:
            meta = SnapshotMeta.model_validate_json((folder / META).read_bytes())
            if meta.format != FORMAT:
                raise ArtifactError(f"{str(folder)!r} has format {meta.format}, not {FORMAT}", hint="build it again")
            return cls(folder, meta)
        except (ValidationError, OSError, ValueError, pa.ArrowException) as error:
            raise ArtifactError(
                f"the snapshot in {str(folder)!r} is damaged: {error}", hint="build it again"
            ) from error

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Snapshot.open, (self.folder,)

    def users(self) -> list[UserId]:
        """Every user with a visible review, sorted."""
        return self._users.column("user").to_pylist()

    def peers(self) -> list[UserId]:
        """Every user with a review in the pool, sorted."""
        return self._users.column("user").filter(pa.array(np.diff(self._own_offsets) > 0)).to_pylist()

    def catalogue(self) -> list[Item]:
        """Every item of a visible review, in the order of the folder; without a record it has only an id."""
        rows = zip(*(column.to_pylist() for column in self._items.columns), strict=True)
        return [to_item(row) if row[-1] else Item(id=row[0]) for row in rows]

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """The user's history of the phase, oldest first, strictly before ``before``; empty for an unknown user."""
        code = int(self._user_keys.find([user])[0])
        if code < 0:
            return []
        start, end = self._profiles[code : code + 2].tolist()
        reviews = _read(self._reviews.slice(start, end - start))
        return [review for review in reviews if before is None or review.moment < before]

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """The item's reviews in the pool by others than ``exclude``, oldest first, with timestamp < ``before``.

        Raises:
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        entries, _ = self._entries(self._item_keys.find([item]))
        entries = entries[self._others(entries, exclude, before)]
        return _read(self._reviews.take(pa.array(self._pool_rows[entries])))

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """The items among ``ids`` that have a record."""
        rows = self._item_keys.find(ids)
        found = self._items.take(pa.array(rows[rows >= 0]))
        records = zip(*(column.to_pylist() for column in found.columns), strict=True)
        return {ItemId(row[0]): to_item(row) for row in records if row[-1]}

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """float16 (n, dim), row k for ``ids[k]``.

        Raises:
            NotFoundError: A review is not visible in this phase, or the snapshot is of another encoder.
        """
        self._check_encoder(encoder)
        rows = self._review_keys.find(ids)
        if len(rows) and rows.min() < 0:
            first, number = ids[int(np.argmin(rows))], int((rows < 0).sum())
            raise NotFoundError(
                f"{number} reviews are not visible in phase {self.meta.phase!r}, the first is {first!r}"
            )
        return self._vectors[rows]

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """Sums and counts of the others' vectors in the pool, row k for ``items[k]``.

        The item sum minus the user's own part; with ``before``, the sum over the item's earlier rows.

        Raises:
            NotFoundError: The snapshot is of another encoder.
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        self._check_encoder(encoder)
        codes = self._item_keys.find(items)
        if before is not None:
            entries, groups = self._entries(codes)
            chosen = self._others(entries, exclude, before)
            rows, groups = self._pool_rows[entries[chosen]], groups[chosen]
            found = group_sums(self._vectors, groups, len(items), rows=rows)
            pairs = np.unique((groups << 32) | self._pool_users[entries[chosen]])
            return suppress_small_groups(found, np.bincount(pairs >> 32, minlength=len(items)) >= at_least)
        own = self._own_sums(codes, exclude)
        known = codes >= 0
        sums, counts, user_counts = np.zeros_like(own.sums), np.zeros_like(own.counts), np.zeros_like(own.counts)
        sums[known] = self._sums[codes[known]]
        counts[known] = self._pool_offsets[codes[known] + 1] - self._pool_offsets[codes[known]]
        user_counts[known] = self._user_counts[codes[known]]
        return suppress_small_groups(
            PeerSums(sums - own.sums, counts - own.counts), user_counts - (own.counts > 0) >= at_least
        )

    def peer_group_sums(
        self,
        groups: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """Sums and counts of the others' vectors in the pool, one row per group: a category, or None for all.

        Raises:
            NotFoundError: The snapshot is of another encoder.
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        self._check_encoder(encoder)
        if before is not None:
            check_dated(self.meta.dated)
        found = [self._group_sum(group, exclude, before, at_least) for group in groups]
        sums = np.concatenate([np.zeros((0, self.meta.dim)), *(one.sums for one in found)])
        return PeerSums(sums, np.concatenate([np.zeros(0, dtype=np.int64), *(one.counts for one in found)]))

    def _group_sum(self, group: str | None, exclude: UserId, before: int | None, at_least: int) -> PeerSums:
        total, own = self._groups.read(group, before), self._own_places(exclude)
        rows = self._own_rows[own][self._groups.holds(group, self._own_items[own])]
        if before is not None:
            times = self._reviews.column("timestamp").take(pa.array(rows)).fill_null(NEVER)
            rows = rows[times.to_numpy() < before]
        mine = group_sums(self._vectors, np.zeros(len(rows), dtype=np.int64), 1, rows=rows)
        found = PeerSums(total.sums - mine.sums, total.counts - mine.counts)
        if at_least == 1:  # one review is enough, so users are not counted
            return found
        return suppress_small_groups(found, self._groups.user_counts(group, before) - (mine.counts > 0) >= at_least)

    @cached_property
    def _groups(self) -> PeerGroups:
        return PeerGroups(
            self._items.column("category").fill_null("").to_pylist(),
            vectors=self._vectors,
            item_sums=self._sums,
            pool=self._pool_rows,
            users=self._pool_users,
            times=self._pool_times,
            offsets=self._pool_offsets,
        )

    def _own_places(self, user: UserId) -> slice:
        """The slice of the user's reviews in ``own_*``."""
        code = int(self._user_keys.find([user])[0])
        return slice(*self._own_offsets[code : code + 2]) if code >= 0 else slice(0)

    def _own_sums(self, codes: np.ndarray, user: UserId) -> PeerSums:
        """The user's own part of the sums of the items of these codes."""
        own = self._own_places(user)
        which, groups = np.nonzero(self._own_items[own, None] == codes)
        return group_sums(self._vectors, groups, len(codes), rows=self._own_rows[own][which])

    def _entries(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices in ``pool_*`` of all peers of these items, and for each the index of its item in ``codes``."""
        known = np.flatnonzero(codes >= 0)
        starts = self._pool_offsets[codes[known]]
        lengths = self._pool_offsets[codes[known] + 1] - starts
        shifts = starts - (np.cumsum(lengths) - lengths)
        return np.arange(lengths.sum()) + np.repeat(shifts, lengths), np.repeat(known, lengths)

    def _others(self, entries: np.ndarray, exclude: UserId, before: int | None) -> np.ndarray:
        """Bool (n,): which entries are not the user's own, and early enough."""
        others = self._pool_users[entries] != self._user_keys.find([exclude])[0]
        if before is None:
            return others
        check_dated(self.meta.dated)
        return others & (self._pool_times[entries] < before)

    def _check_encoder(self, encoder: str) -> None:
        if encoder != self.meta.encoder:
            message = f"the snapshot has vectors of encoder {self.meta.encoder!r}, not {encoder!r}"
            raise NotFoundError(message, hint="build a snapshot with the other encoder")


def _table(folder: Path, name: str) -> tuple[pa.RecordBatch, IdIndex]:
    table = map_table(folder / f"{name}.arrow")
    return table, IdIndex(map_array(folder / f"{name}.keys.npy"), table.column(0))


def _arrays(folder: Path, *names: str) -> list[np.ndarray]:
    return [map_array(folder / f"{name}.npy") for name in names]


def _read(batch: pa.RecordBatch) -> list[Review]:
    return [to_review(row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
