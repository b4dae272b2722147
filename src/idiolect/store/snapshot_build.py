"""Writes a snapshot out of core: what a phase may see of a store, in buckets of bounded size.

The store is read once, batch by batch. Reviews meet their roles in buckets of equal ids, are put in order in buckets of
neighbouring users, and become peers in buckets of neighbouring items. Memory holds a batch, a bucket, a few numbers per
user and item and their distinct names; the disk holds a second copy of the reviews meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import sqlalchemy as sa

from idiolect.data.buckets import Buckets, Scatter, numbers
from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.data.scan import NamedCodes
from idiolect.data.split import MEMBER_SCHEMA, Split
from idiolect.errors import InputError, NotFoundError
from idiolect.store import schema as tables
from idiolect.store.base import PeerPool, is_history, is_peer
from idiolect.store.frames import StoreScan, item_batches
from idiolect.store.metadata import erasures
from idiolect.store.snapshot import Snapshot
from idiolect.store.snapshot_files import (
    META,
    NEVER,
    ArrayWriter,
    KeyWriter,
    SnapshotMeta,
    TableWriter,
    create_array,
    whole_folder,
)
from idiolect.store.sql import SqlStore
from idiolect.store.sums import add_group_sums
from idiolect.store.vectors import EncoderRow, find_encoder, vector_batches
from idiolect.types import Phase

BUCKET_ROWS = 250_000
"""Rows of a bucket, on average; those of one user or item are never divided."""
_MOST_BUCKETS = 500
"""Each has an open file, and a process may have about a thousand."""


def build_snapshot(
    store: SqlStore,
    members: pl.DataFrame | Split,
    *,
    phase: Phase,
    encoder: str,
    folder: str | Path,
    peers: PeerPool = "corpus",
) -> Snapshot:
    """Write the visible reviews of a phase as a memory-mapped folder.

    The folder is replaced atomically. Reviews without a role are in no history, and may be peers.

    Args:
        store: The store with reviews and vectors.
        members: The split, or its table (``MEMBER_SCHEMA``): one row per review.
        phase: The phase.
        encoder: Name of an encoder with vectors in the store.
        folder: Folder of the snapshot.
        peers: "corpus": every review that the phase does not hide may be a peer; "split": of these only members.

    Raises:
        InputError: ``members`` does not fit the store, or ``folder`` holds something else.
        ArtifactError: A user was erased while the snapshot was made.
        NotFoundError: A review of the history has no vector.
    """
    with store.reading() as connection:
        since = erasures(connection)
    with whole_folder(Path(folder), placing=lambda: store.unerased(since)) as new, store.reading() as connection:
        source = find_encoder(connection, encoder)
        fingerprint, dated = connection.execute(sa.select(tables.meta.c.digest, tables.meta.c.n_dated)).one()
        (work := new.with_name("work")).mkdir()
        space = _Space(new, work, StoreScan(connection).height)
        visible = _visible(space, connection, members, source, phase, peers)
        users = _write_users(space, visible)
        written = _write_reviews(space, connection, _by_user(space, visible, users))
        vectors = _write_vectors(space, connection, source, written.places, visible.height)
        _write_pool(space, written, users.height, vectors)
        meta = SnapshotMeta(
            phase=phase,
            peers=peers,
            encoder=encoder,
            dim=source.dim,
            fingerprint=fingerprint,
            dated=dated > 0,
            users=users.height,
            items=len(written.pool),
            history=int(users.history.sum()),
            pool=int(written.pool.sum()),
            pool_without_vector=visible.without_vector,
        )
        (new / META).write_text(meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return Snapshot.open(folder)


class _Space:
    """Where the snapshot and its intermediate tables are.

    Args:
        new: Folder of the snapshot.
        work: Folder for intermediate files; removed with the unfinished snapshot.
        height: Number of reviews of the store.
    """

    def __init__(self, new: Path, work: Path, height: int) -> None:
        self.new, self.work = new, work
        self.n = max(1, min(_MOST_BUCKETS, -(-height // BUCKET_ROWS)))
        """Number of buckets."""
        self.folder = work if self.n > 1 else None
        """Of tables; None: in memory, because there is little."""

    def parts(self, sizes: np.ndarray) -> np.ndarray:
        """int64 (n,): the bucket of each of n runs of rows of these sizes; ascending, for about equal buckets."""
        starts = np.cumsum(sizes) - sizes
        return starts // max(BUCKET_ROWS, -(-int(sizes.sum()) // _MOST_BUCKETS))

    def scatter(self, name: str, part: np.ndarray, schema: pl.Schema) -> tuple[Scatter, int]:
        """Buckets for rows, and their number, by a result of ``parts``."""
        n = int(part.max(initial=0)) + 1
        return Scatter(n, self.folder, name, schema), n


_STORED = pl.Schema({"seq": pl.Int64(), **REVIEW_SCHEMA, "has_vector": pl.Boolean()})
_ROLES = pl.Schema({"place": pl.Int64(), "review_id": pl.String(), "member": pl.String(), "role": pl.String()})
_SEEN = pl.Schema(
    {"seq": pl.Int64(), **REVIEW_SCHEMA, "history": pl.Boolean(), "peer": pl.Boolean(), "code": pl.Int32()}
)
"""Visible reviews; ``code`` is a code of their user."""


class _Visible(NamedTuple):
    """The visible reviews with vectors."""

    rows: Buckets
    """Tables of ``_SEEN``, in no order."""
    users: NamedCodes
    history: np.ndarray
    """int64 (users,): rows of each user's history, by code."""
    others: np.ndarray
    """int64 (users,): the user's other rows."""
    without_vector: int
    """Reviews that are left out, because a peer needs a vector."""

    @property
    def height(self) -> int:
        return int(self.history.sum() + self.others.sum())


def _visible(
    space: _Space,
    connection: sa.Connection,
    members: pl.DataFrame | Split,
    encoder: EncoderRow,
    phase: Phase,
    peers: PeerPool,
) -> _Visible:
    reviews, roles = _stored(space, connection, encoder), _roles(space, members)
    apart = pl.Series(connection.scalars(sa.select(tables.opted_out.c.user)).all(), dtype=pl.String).implode()
    rows, users, refused = Buckets(space.folder, "visible"), NamedCodes(), _Refused(phase)
    history = others = np.zeros(0, dtype=np.int64)
    without_vector = 0
    for bucket in range(space.n):
        known = roles[bucket]
        found = reviews[bucket].join(known, on="review_id", how="left")
        reviews.drop(bucket)
        roles.drop(bucket)
        found = found.with_columns(history=is_history(phase), peer=is_peer(phase, peers) & ~pl.col("user").is_in(apart))
        refused.look(found, known)
        found = found.filter(pl.col("history") | pl.col("peer"))
        seen = found.filter("has_vector")
        without_vector += found.height - seen.height
        codes = users.of(seen["user"])
        own = seen["history"].to_numpy()
        history, others = _added(history, codes[own], users.n), _added(others, codes[~own], users.n)
        rows[bucket] = seen.with_columns(code=pl.Series(codes)).select(_SEEN.names())
    refused.check()
    return _Visible(rows, users, history, others, without_vector)


def _added(counts: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Counts by code (int64, at most n) and those of further codes."""
    more = np.bincount(codes, minlength=n)
    more[: len(counts)] += counts
    return more


def _stored(space: _Space, connection: sa.Connection, encoder: EncoderRow) -> Scatter:
    """All reviews of the store (``_STORED``), by id."""
    vector = tables.vectors.c
    query = sa.select(vector.review).where(
        vector.encoder == encoder.key, vector.review.between(sa.bindparam("first"), sa.bindparam("last"))
    )
    found = Scatter(space.n, space.folder, "stored", _STORED)
    for batch in StoreScan(connection).batches("seq", *REVIEW_SCHEMA):
        seqs = batch["seq"].to_numpy()
        stored = connection.scalars(query, {"first": int(seqs[0]), "last": int(seqs[-1])}).all()
        has_vector = pl.Series(np.isin(seqs, np.array(stored, dtype=np.int64)))
        found.add(batch.with_columns(has_vector=has_vector), _by_id(batch, space.n))
    found.finish()
    return found


def _roles(space: _Space, members: pl.DataFrame | Split) -> Scatter:
    """The members of the split (``_ROLES``), by id."""
    found, place = Scatter(space.n, space.folder, "roles", _ROLES), 0
    for batch in members.batches() if isinstance(members, Split) else members.iter_slices(BUCKET_ROWS):
        rows = batch.select(MEMBER_SCHEMA.names()).rename({"user": "member"}).with_row_index("place", place)
        found.add(rows.with_columns(pl.col("place").cast(pl.Int64)), _by_id(batch, space.n))
        place += batch.height
    found.finish()
    return found


def _by_id(rows: pl.DataFrame, n: int) -> np.ndarray:
    return (rows["review_id"].hash() % n).to_numpy().astype(np.int64)


@dataclass(slots=True)
class _Some:
    """Rows that should not be there: how many, and the first."""

    n: int = 0
    row: dict[str, Any] = field(default_factory=dict)

    def add(self, rows: pl.DataFrame, by: str) -> None:
        """Further ones, in the order of a column."""
        self.n += rows.height
        if rows.height:
            first = rows.row(rows[by].arg_min() or 0, named=True)
            self.row = first if not self.row or first[by] < self.row[by] else self.row


class _Refused:
    """Checks of a split against its store, bucket by bucket; what is wrong is one error.

    Args:
        phase: Whose history must have vectors.
    """

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._twice, self._unknown, self._foreign, self._missing = _Some(), _Some(), _Some(), _Some()

    def look(self, found: pl.DataFrame, roles: pl.DataFrame) -> None:
        """Look at a bucket.

        Args:
            found: Its reviews with their roles.
            roles: Its members.
        """
        self._twice.add(roles.filter(pl.col("review_id").is_duplicated()), "place")
        self._unknown.add(roles.join(found, on="review_id", how="anti"), "place")
        self._foreign.add(found.filter(pl.col("member") != pl.col("user")), "seq")
        self._missing.add(found.filter("history", ~pl.col("has_vector")), "seq")

    def check(self) -> None:
        """Raise an error if something is wrong."""
        if self._twice.n:
            review = self._twice.row["review_id"]
            raise InputError(f"review {review!r} stands twice in the split", hint="a review has one role")
        if self._unknown.n:
            first = self._unknown.row["review_id"]
            raise InputError(
                f"{self._unknown.n} reviews of the split are not in the store, the first is {first!r}",
                hint="split the store's present content",
            )
        if self._foreign.n:
            row = self._foreign.row
            message = f"review {row['review_id']!r} is {row['user']!r}'s, the split says {row['member']!r}'s"
            raise InputError(message, hint="split the store's present content")
        if self._missing.n:
            first = self._missing.row["review_id"]
            raise NotFoundError(
                f"{self._missing.n} reviews of the {self._phase} history have no vector, the first is {first!r}",
                hint="run `idiolect embed` first",
            )


class _Users(NamedTuple):
    """The users of the snapshot, sorted."""

    rank: np.ndarray
    """int32 (users,): the user's row in the snapshot, by code."""
    history: np.ndarray
    """int64 (users,): rows of each user's history."""
    others: np.ndarray
    """int64 (users,): each user's other rows."""

    @property
    def height(self) -> int:
        return len(self.rank)


def _write_users(space: _Space, visible: _Visible) -> _Users:
    """Write the users, and where each user's history begins and ends."""
    names = visible.users.names()
    order = names.arg_sort().to_numpy()
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    users = names.gather(order)
    table, keys = _table(space, "users", pl.Schema({"user": pl.String()}))
    table.add(users.to_frame("user"))
    keys.add(users.to_list())
    table.close()
    keys.close()
    found = _Users(rank, visible.history[order], visible.others[order])
    np.save(space.new / "profiles.npy", _offsets(found.history))
    return found


def _table(space: _Space, name: str, schema: pl.Schema) -> tuple[TableWriter, KeyWriter]:
    """A table of the snapshot, and the index of its ids."""
    keys = KeyWriter(space.new / f"{name}.keys.npy", space.folder, space.n // 16 + 1)  # a hash is smaller than a review
    return TableWriter(space.new / f"{name}.arrow", schema, space.work), keys


def _by_user(space: _Space, visible: _Visible, users: _Users) -> Iterator[pl.DataFrame]:
    """The rows of the snapshot in its order, with ``code`` as the user's row in it.

    History first, so that a user's profile is a slice; oldest first, ties by id as in the live store.
    """
    part = space.parts(np.concatenate([users.history, users.others]))
    found, n = space.scatter("by-user", part, _SEEN)
    for bucket in range(space.n):
        rows = visible.rows[bucket]
        visible.rows.drop(bucket)
        rank = users.rank[rows["code"].to_numpy()]
        bucket_of = part[rank + np.where(rows["history"].to_numpy(), 0, users.height)]
        found.add(rows.with_columns(code=pl.Series(rank)), bucket_of)
    found.finish()
    for k in range(n if users.height else 0):
        rows = found[k]
        found.drop(k)
        # Polars puts reviews without a timestamp first, as ``Moment`` does.
        yield rows.sort(~pl.col("history"), "code", "timestamp", "order", "review_id")


_POOL = pl.Schema(
    {
        "row": pl.Int64(),
        "item": pl.Int32(),
        "user": pl.Int32(),
        "timestamp": pl.Int64(),
        "order": pl.Int64(),
        "review_id": pl.String(),
    }
)


class _Written(NamedTuple):
    """The rows and items of the snapshot."""

    places: np.ndarray
    """int64: the row of a review plus one, by its internal key; 0: none."""
    pool: np.ndarray
    """int64 (items,): the number of peers of each item, by its row in the snapshot."""
    peers: Buckets
    """Tables of ``_POOL``: ``item`` and ``user`` are rows of the snapshot's tables."""
    parts: int
    """Number of tables."""


def _write_reviews(space: _Space, connection: sa.Connection, parts: Iterator[pl.DataFrame]) -> _Written:
    """Write the reviews, and the items that have a record or a visible review."""
    items, peers, pool = _Items(space, connection), Buckets(space.folder, "peers"), np.zeros(0, dtype=np.int64)
    table, keys = _table(space, "reviews", REVIEW_SCHEMA)
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(tables.reviews.c.seq), 0))).scalar_one()
    places = numbers(last + 1, np.int64, space.folder, "places")
    start = n = 0
    for rows in parts:
        table.add(rows)
        keys.add(rows["review_id"].to_list())
        row, codes = np.arange(start, start + rows.height), items.codes.of(rows["item"])
        places[rows["seq"].to_numpy()] = row + 1
        pool = _added(pool, codes[rows["peer"].to_numpy()], items.codes.n)
        rows = rows.with_columns(row=pl.Series(row), item=pl.Series(codes), user="code")
        peers[n] = rows.filter("peer").select(_POOL.names())
        start, n = start + rows.height, n + 1
    table.close()
    keys.close()
    items.close()
    return _Written(places, _added(pool, np.zeros(0, dtype=np.int64), items.codes.n), peers, n)


class _Items:
    """Writes the items: those with a record, then those that only reviews name. An item's code is its row."""

    def __init__(self, space: _Space, connection: sa.Connection) -> None:
        self.codes = NamedCodes()
        self._table, self._keys = _table(space, "items", pl.Schema({**ITEM_SCHEMA, "known": pl.Boolean()}))
        for batch in item_batches(connection):
            self.codes.of(batch["item"])
            self._add(batch.with_columns(known=True))
        self._recorded = self.codes.n

    def _add(self, rows: pl.DataFrame) -> None:
        self._table.add(rows)
        self._keys.add(rows["item"].to_list())

    def close(self) -> None:
        bare = self.codes.names(self._recorded).to_frame("item").with_columns(known=False)
        self._add(pl.concat([ITEM_SCHEMA.to_frame(), bare], how="diagonal"))
        self._table.close()
        self._keys.close()


def _write_vectors(
    space: _Space, connection: sa.Connection, encoder: EncoderRow, places: np.ndarray, height: int
) -> np.ndarray:
    """Copy the rows' vectors out of the database, one pass over its table; returns them memory-mapped."""
    vectors = create_array(space.new / "vectors.npy", (height, encoder.dim), "<f2")
    for seqs, halves in vector_batches(connection, encoder):
        rows = places[seqs]
        visible = rows > 0
        vectors[rows[visible] - 1] = halves[visible]
    return vectors


_OWN = pl.Schema({"row": pl.Int64(), "item": pl.Int32(), "user": pl.Int32()})


def _write_pool(space: _Space, written: _Written, users: int, vectors: np.ndarray) -> None:
    """Write each item's peers and the sum of their vectors, and each user's own."""
    n, total = len(written.pool), int(written.pool.sum())
    part = space.parts(written.pool)
    pool, parts = space.scatter("pool", part, _POOL)
    own_counts = np.zeros(users, dtype=np.int64)
    for k in range(written.parts):
        rows = written.peers[k]
        written.peers.drop(k)
        own_counts = _added(own_counts, rows["user"].to_numpy(), users)
        pool.add(rows, part[rows["item"].to_numpy()])
    pool.finish()
    np.save(space.new / "pool_offsets.npy", _offsets(written.pool))
    own_part = space.parts(own_counts)
    own, own_parts = space.scatter("own", own_part, _OWN)
    files = {"rows": np.int64, "users": np.int32, "times": np.int64}
    arrays = {name: ArrayWriter(space.new / f"pool_{name}.npy", total, dtype) for name, dtype in files.items()}
    sums = create_array(space.new / "sums.npy", (n, vectors.shape[1]), "<f8")
    voices = np.zeros(n, dtype=np.int64)
    for k in range(parts):
        # Without a timestamp first, as ``Moment`` compares.
        rows = pool[k].sort("item", "timestamp", "order", "review_id")
        pool.drop(k)
        places, items = rows["row"].to_numpy(), rows["item"].to_numpy()
        arrays["rows"].add(places)
        arrays["users"].add(rows["user"].to_numpy())
        arrays["times"].add(rows["timestamp"].fill_null(NEVER).to_numpy())
        pairs = rows.group_by("item").agg(pl.col("user").n_unique())
        voices[pairs["item"].to_numpy()] = pairs["user"].to_numpy()
        add_group_sums(sums, vectors, items, rows=places)
        own.add(rows, own_part[rows["user"].to_numpy()])
    own.finish()
    np.save(space.new / "pool_voices.npy", voices)
    _write_own(space, own, own_parts, own_counts)


def _write_own(space: _Space, own: Scatter, parts: int, counts: np.ndarray) -> None:
    """Write each user's rows in the pool, by item and then oldest first.

    Args:
        space: Of the snapshot.
        own: Tables of ``_OWN``, by neighbouring users and in the order of the pool.
        parts: Their number.
        counts: int64 (users,): rows of each user.
    """
    np.save(space.new / "own_offsets.npy", _offsets(counts))
    rows, items = (
        ArrayWriter(space.new / f"own_{name}.npy", int(counts.sum()), np.int64) for name in ("rows", "items")
    )
    for k in range(parts):
        some = own[k]
        own.drop(k)
        some = some[np.argsort(some["user"].to_numpy(), kind="stable")]
        rows.add(some["row"].to_numpy())
        items.add(some["item"].to_numpy())


def _offsets(lengths: np.ndarray) -> np.ndarray:
    """int64 (n + 1,): where each of n runs of these lengths begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
