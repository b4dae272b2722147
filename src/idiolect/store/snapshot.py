"""What one phase may see, memory-mapped: opens in milliseconds at any size, shared between processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from idiolect.errors import ArtifactError, NotFoundError
from idiolect.store.base import PeerSums
from idiolect.store.crowds import Crowds
from idiolect.store.files import FORMAT, META, SnapshotMeta, map_array, map_table
from idiolect.store.item_sums import check_dated
from idiolect.store.keys import Keys
from idiolect.store.layout import NEVER
from idiolect.store.rows import to_item, to_review
from idiolect.store.sums import group_sums, withhold
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId


class Snapshot:
    """A read-only ``ReviewReader`` of one phase and one encoder; made by ``build_snapshot``.

    Threads may share it, and it can be pickled: another process then opens the same folder.

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
        self._pool_users, self._pool_times, self._voices = _arrays(folder, "pool_users", "pool_times", "pool_voices")
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
        """Every item of a visible review, in the order of the folder; known by its id alone where it has no record."""
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

        The item sum minus the user's own part; with ``before``, the sum over the item's rows that are early enough.

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
            return withhold(found, np.bincount(pairs >> 32, minlength=len(items)) >= at_least)
        own = self._own_sums(codes, exclude)
        known = codes >= 0
        sums, counts, voices = np.zeros_like(own.sums), np.zeros_like(own.counts), np.zeros_like(own.counts)
        sums[known] = self._sums[codes[known]]
        counts[known] = self._pool_offsets[codes[known] + 1] - self._pool_offsets[codes[known]]
        voices[known] = self._voices[codes[known]]
        return withhold(PeerSums(sums - own.sums, counts - own.counts), voices - (own.counts > 0) >= at_least)

    def crowd_sums(
        self,
        crowds: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """Sums and counts of the others' vectors in the pool, one row a crowd: a category, or None for everybody.

        Raises:
            NotFoundError: The snapshot is of another encoder.
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        self._check_encoder(encoder)
        if before is not None:
            check_dated(self.meta.dated)
        found = [self._crowd_sum(crowd, exclude, before, at_least) for crowd in crowds]
        sums = np.concatenate([np.zeros((0, self.meta.dim)), *(one.sums for one in found)])
        return PeerSums(sums, np.concatenate([np.zeros(0, dtype=np.int64), *(one.counts for one in found)]))

    def _crowd_sum(self, crowd: str | None, exclude: UserId, before: int | None, at_least: int) -> PeerSums:
        total, own = self._crowds.read(crowd, before), self._own_places(exclude)
        rows = self._own_rows[own][self._crowds.holds(crowd, self._own_items[own])]
        if before is not None:
            times = self._reviews.column("timestamp").take(pa.array(rows)).fill_null(NEVER)
            rows = rows[times.to_numpy() < before]
        mine = group_sums(self._vectors, np.zeros(len(rows), dtype=np.int64), 1, rows=rows)
        found = PeerSums(total.sums - mine.sums, total.counts - mine.counts)
        if at_least == 1:  # a review is all it takes, and nobody need be counted
            return found
        return withhold(found, self._crowds.voices(crowd, before) - (mine.counts > 0) >= at_least)

    @cached_property
    def _crowds(self) -> Crowds:
        return Crowds(
            self._items.column("category").fill_null("").to_pylist(),
            vectors=self._vectors,
            item_sums=self._sums,
            pool=self._pool_rows,
            users=self._pool_users,
            times=self._pool_times,
            offsets=self._pool_offsets,
        )

    def _own_places(self, user: UserId) -> slice:
        """Where the user's reviews stand in ``own_*``."""
        code = int(self._user_keys.find([user])[0])
        return slice(*self._own_offsets[code : code + 2]) if code >= 0 else slice(0)

    def _own_sums(self, codes: np.ndarray, user: UserId) -> PeerSums:
        """What the user's own rows put into the sums of the items of these codes."""
        own = self._own_places(user)
        which, groups = np.nonzero(self._own_items[own, None] == codes)
        return group_sums(self._vectors, groups, len(codes), rows=self._own_rows[own][which])

    def _entries(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places in ``pool_*`` of all peers of these items, and for each place which of ``codes`` it is of."""
        known = np.flatnonzero(codes >= 0)
        starts = self._pool_offsets[codes[known]]
        lengths = self._pool_offsets[codes[known] + 1] - starts
        shifts = starts - (np.cumsum(lengths) - lengths)
        return np.arange(lengths.sum()) + np.repeat(shifts, lengths), np.repeat(known, lengths)

    def _others(self, entries: np.ndarray, exclude: UserId, before: int | None) -> np.ndarray:
        """Which places are not the user's own, and early enough: bool (n,)."""
        others = self._pool_users[entries] != self._user_keys.find([exclude])[0]
        if before is None:
            return others
        check_dated(self.meta.dated)
        return others & (self._pool_times[entries] < before)

    def _check_encoder(self, encoder: str) -> None:
        if encoder != self.meta.encoder:
            message = f"the snapshot has vectors of encoder {self.meta.encoder!r}, not {encoder!r}"
            raise NotFoundError(message, hint="build a snapshot with the other encoder")


def _table(folder: Path, name: str) -> tuple[pa.RecordBatch, Keys]:
    table = map_table(folder / f"{name}.arrow")
    return table, Keys(map_array(folder / f"{name}.keys.npy"), table.column(0))


def _arrays(folder: Path, *names: str) -> list[np.ndarray]:
    return [map_array(folder / f"{name}.npy") for name in names]


def _read(batch: pa.RecordBatch) -> list[Review]:
    return [to_review(row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
