"""Files of a snapshot: a folder of memory-mapped tables and arrays with a ``meta.json``.

Rows are sorted history first, then by user and time, so that a user's profile is a slice. ``pool_*`` holds the rows
of each item's peers, oldest first, with their users and times, so that a request reads one run, and the number of
distinct users; ``own_*`` holds the same rows by user, so that a user's part of a sum is found without reading the
item's. Ids are found by a sorted index of hashes, not by a dictionary in memory.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from idiolect.config import Config
from idiolect.data.files import cleaning_up, named_errors, real_path
from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.errors import InputError
from idiolect.store.base import PeerPool
from idiolect.store.sums import add_group_sums
from idiolect.store.vectors import EncoderRow, vector_batches
from idiolect.types import Phase

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = 2
META = "meta.json"
PARTIAL = ".partial"
"""Suffix of unfinished folders, as of unfinished files: an erasure removes both."""
_UNFINISHED = re.compile(r"\.\d+\.[0-9a-f]{8}\.partial$")
"""Suffix of a file that an erasure is rewriting."""


class SnapshotMeta(Config):
    """Source and contents of a snapshot."""

    format: int = FORMAT
    """Of the folder."""
    phase: Phase
    """The phase whose reviews are visible."""
    peers: PeerPool
    """Whose reviews may be peers."""
    encoder: str
    """Name of the encoder of the vectors."""
    dim: int
    """Of a vector."""
    fingerprint: str
    """Fingerprint of the store when the snapshot was made."""
    dated: bool
    """Whether there are timestamps, so that a time cut between users is possible."""
    users: int
    """Users with a visible review."""
    items: int
    """Items known by a record or by a visible review."""
    history: int
    """Reviews that are their user's history."""
    pool: int
    """Reviews that may be peers."""
    pool_without_vector: int
    """Reviews that are not peers because they have no vector."""


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame as one uncompressed Arrow record batch, which a memory map reads without decoding."""
    table = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    batch = pa.record_batch([column.combine_chunks() for column in table.columns], schema=table.schema)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def map_table(path: Path) -> pa.RecordBatch:
    """The record batch that ``write_table`` wrote, memory-mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)


def map_array(path: Path) -> np.ndarray:
    """An array that ``np.save`` wrote, memory-mapped and read only."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except ValueError:  # an empty file part cannot be mapped
        return np.load(path, allow_pickle=False)


def create_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A zeroed array of the given shape in a new ``.npy`` file, memory-mapped for writing."""
    if 0 in shape:
        np.save(path, np.zeros(shape, dtype=dtype))
        return np.zeros(shape, dtype=dtype)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


_SNAPSHOT = re.compile(r"meta\.json|\w+\.arrow|\w+(\.keys)?\.npy")


def check_replaced(
    folder: Path, *, mark: str = META, what: str = "a snapshot", parts: re.Pattern[str] = _SNAPSHOT
) -> Path:
    """The resolved folder, after a check that it is new or of one kind (see ``whole_folder``).

    Raises:
        InputError: It exists and is of another kind, or holds other files too.
    """
    named, folder = folder, real_path(folder)  # a link to a folder stays one
    if folder.exists():
        if not (folder / mark).is_file():
            raise InputError(f"{str(named)!r} exists and is not {what}", hint="name a new folder")
        names = (path.name for path in sorted(folder.iterdir()))
        if other := next((name for name in names if not parts.fullmatch(_UNFINISHED.sub("", name))), None):
            raise InputError(f"{str(named)!r} holds more than {what}: {other!r}", hint="name a new folder")
    return folder


@contextmanager
def whole_folder(
    folder: Path,
    *,
    mark: str = META,
    what: str = "a snapshot",
    parts: re.Pattern[str] = _SNAPSHOT,
    placing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Iterator[Path]:
    """An empty folder that replaces ``folder`` if the block succeeds, and is removed otherwise, also on a signal.

    Until then it is next to ``folder``, and locked while this process runs (``is_running``).

    Args:
        folder: Created or replaced.
        mark: A file by which folders of this kind are recognized.
        what: Name of the kind, for messages.
        parts: Matches the names of the files of such a folder.
        placing: Context in which ``folder`` is replaced; it may raise.

    Raises:
        InputError: ``folder`` exists and is of another kind, or holds other files too; it is left alone.
        OSError: It cannot be written, for instance because the disk is full; ``filename`` is ``folder`` or in it.
    """
    folder = check_replaced(folder, mark=mark, what=what, parts=parts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cleaning_up(), named_errors(folder), unfinished_folder(folder) as work:
        (new := work / "new").mkdir()
        yield new
        with held(folder) if folder.exists() else nullcontext(), placing():
            if folder.exists():
                os.rename(folder, work / "old")
            os.rename(new, folder)


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """A folder next to ``folder`` that is locked while this process uses it; the lock ends with the process."""
    made = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    work = made.with_name(made.name + PARTIAL)
    try:
        with _locked(made) if fcntl else nullcontext():  # locked before it has its final name
            os.rename(made, work)
            yield work
    finally:
        for path in (made, work):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder; return whether it worked: not if another process holds it, or without support for locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks
        return False
    return True


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Wait for the lock of a folder, and keep other processes from replacing it or rewriting its files.

    Otherwise two processes that rewrite a file without different rows would undo each other's work. Lock order: a
    store's lock may be taken while this one is held, never the other way round.

    Args:
        folder: If it is replaced meanwhile, the new folder is locked.

    Raises:
        OSError: It does not exist, or cannot be read.
    """
    with ExitStack() as stack:
        while fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                break
        yield


def is_running(part: Path) -> bool:
    """Whether a running process writes an unfinished folder; a killed process loses its lock."""
    if fcntl is None:
        return False
    try:
        with _locked(part) as free:
            return not free
    except FileNotFoundError:
        return False


def unfinished(outputs: Iterable[Path]) -> Iterator[Path]:
    """Unfinished files and folders next to recorded outputs, of killed or running processes."""
    for path in outputs:
        name = glob.escape(path.name)
        for pattern in (f"{name}{PARTIAL}", f"{name}.[0-9]*{PARTIAL}", f".{name}-*{PARTIAL}"):
            yield from sorted(path.parent.glob(pattern))


def remove_abandoned(outputs: Iterable[Path]) -> list[Path]:
    """Remove the unfinished folders of killed processes next to recorded outputs; they hold texts of the store."""
    if fcntl is None:  # nothing tells
        return []
    gone = [part for part in unfinished(outputs) if part.is_dir() and not part.is_symlink() and not is_running(part)]
    for part in gone:
        shutil.rmtree(part, ignore_errors=True)
    return gone


_ENTRY = np.dtype([("hash", "<u8"), ("row", "<i8")])


def write_keys(path: Path, ids: Sequence[str]) -> None:
    """Write the rows of distinct ``ids``, sorted by hash."""
    entries = np.empty(len(ids), dtype=_ENTRY)
    entries["hash"], entries["row"] = _hashes(ids), np.arange(len(ids))
    np.save(path, entries[np.argsort(entries["hash"], kind="stable")])


class IdIndex:
    """Finds the row of an id by bisection over hashes.

    Args:
        entries: From ``write_keys``, memory-mapped or not.
        ids: The ids in row order, to distinguish ids of equal hash.
    """

    def __init__(self, entries: np.ndarray, ids: pa.Array) -> None:
        self._hashes, self._rows, self._ids = entries["hash"], entries["row"], ids

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """int64 (n,): the row of each id, -1 if there is none."""
        places = np.searchsorted(self._hashes, wanted := _hashes(ids)).tolist()
        found = (self._row(*args) for args in zip(places, wanted.tolist(), ids, strict=True))
        return np.fromiter(found, dtype=np.int64, count=len(ids))

    def _row(self, place: int, wanted: int, name: str) -> int:
        while place < len(self._hashes) and self._hashes[place] == wanted:
            if self._ids[row := int(self._rows[place])].as_py() == name:
                return row
            place += 1
        return -1


def _hashes(ids: Sequence[str]) -> np.ndarray:
    digests = b"".join([blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest() for name in ids])
    return np.frombuffer(digests, dtype="<u8")


NEVER = np.iinfo(np.int64).max
"""Value in ``pool_times`` of a review without a timestamp; it is before no time cut."""


def write_items(folder: Path, records: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Write every item that has a record or a visible review; an item's code is its row.

    Args:
        folder: The new snapshot.
        records: The store's items (``ITEM_SCHEMA``).
        rows: The visible reviews.

    Returns:
        Columns item and item_code.
    """
    bare = rows.select(pl.col("item").unique(maintain_order=True)).join(records, on="item", how="anti")
    items = pl.concat([records.with_columns(known=True), bare.with_columns(known=False)], how="diagonal")
    write_table(folder / "items.arrow", items.select(*ITEM_SCHEMA, "known"))
    write_keys(folder / "items.keys.npy", items["item"].to_list())
    return items.select("item", item_code=pl.int_range(pl.len()))


def write_reviews(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """Write the visible reviews, the users, and where each user's history begins and ends.

    Returns:
        Columns user and user_code.
    """
    write_table(folder / "reviews.arrow", rows.select(*REVIEW_SCHEMA))
    write_keys(folder / "reviews.keys.npy", rows["review_id"].to_list())
    users = rows.group_by("user").agg(pl.col("history").sum()).sort("user")
    write_table(folder / "users.arrow", users.select("user"))
    write_keys(folder / "users.keys.npy", users["user"].to_list())
    np.save(folder / "profiles.npy", _offsets(users["history"]))
    return users.select("user", user_code=pl.int_range(pl.len(), dtype=pl.Int32))


def write_vectors(folder: Path, connection: sa.Connection, encoder: EncoderRow, rows: pl.DataFrame) -> np.ndarray:
    """Copy the rows' vectors out of the database, one pass over its table; returns them memory-mapped."""
    vectors = create_array(folder / "vectors.npy", (rows.height, encoder.dim), "<f2")
    by_seq = rows.select("seq", row=pl.int_range(pl.len())).sort("seq")
    seqs, places = by_seq["seq"].to_numpy(), by_seq["row"].to_numpy()
    for some, halves in vector_batches(connection, encoder):
        at = np.searchsorted(seqs, some).clip(max=max(len(seqs) - 1, 0))
        wanted = seqs[at] == some if len(seqs) else np.zeros(len(some), dtype=bool)
        vectors[places[at[wanted]]] = halves[wanted]
    return vectors


def write_pool(folder: Path, rows: pl.DataFrame, vectors: np.ndarray, items: pl.DataFrame, users: pl.DataFrame) -> None:
    """Write each item's peers and the sum of their vectors."""
    pool = (
        rows.select("peer", "item", "user", "timestamp", "order", "review_id", row=pl.int_range(pl.len()))
        .filter("peer")
        .join(items, on="item")
        .join(users, on="user")
        .sort("item_code", "timestamp", "order", "review_id")  # without a timestamp first, as ``Moment`` compares
    )
    codes, places = pool["item_code"].to_numpy(), pool["row"].to_numpy()
    np.save(folder / "pool_offsets.npy", _offsets(pl.Series(np.bincount(codes, minlength=items.height))))
    np.save(folder / "pool_rows.npy", places)
    np.save(folder / "pool_voices.npy", _user_counts(pool, items.height))
    np.save(folder / "pool_users.npy", pool["user_code"].to_numpy())
    np.save(folder / "pool_times.npy", pool["timestamp"].fill_null(NEVER).to_numpy())
    own = pool.sort("user_code")
    np.save(folder / "own_offsets.npy", _offsets(pl.Series(np.bincount(own["user_code"], minlength=users.height))))
    np.save(folder / "own_rows.npy", own["row"].to_numpy())
    np.save(folder / "own_items.npy", own["item_code"].to_numpy())
    sums = create_array(folder / "sums.npy", (items.height, vectors.shape[1]), "<f8")
    add_group_sums(sums, vectors, codes, rows=places)


def _user_counts(pool: pl.DataFrame, n_items: int) -> np.ndarray:
    """int64 (n_items,): the number of distinct users of each item."""
    user_counts = np.zeros(n_items, dtype=np.int64)
    counted = pool.group_by("item_code").agg(pl.col("user_code").n_unique())
    user_counts[counted["item_code"].to_numpy()] = counted["user_code"].to_numpy()
    return user_counts


def _offsets(lengths: pl.Series) -> np.ndarray:
    """int64 (n + 1,): where each of n runs of these lengths begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths.to_numpy())]).astype(np.int64)
