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
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from idiolect.config import Config
from idiolect.data.buckets import Scatter, arrow_table
from idiolect.data.output_files import cleaning_up, named_errors, real_path
from idiolect.errors import InputError
from idiolect.store.base import PeerPool
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


class TableWriter:
    """Writes one uncompressed Arrow record batch, which a memory map reads without decoding.

    Rows come part by part. Until ``close`` every buffer of the batch is a file, so that memory holds a part.

    Args:
        path: The table.
        schema: Its columns: strings, numbers and booleans.
        work: A folder for the files; it must have no others of these names.
    """

    def __init__(self, path: Path, schema: pl.Schema, work: Path) -> None:
        self._path, self._schema = path, arrow_table(schema.to_frame()).schema
        self._columns = [_ColumnWriter(work / f"{path.name}-{field.name}", field.type) for field in self._schema]

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows with the columns of the schema."""
        for field, column in zip(self._schema, self._columns, strict=True):
            column.add(rows[field.name])

    def close(self) -> None:
        """Write the table and remove the files."""
        columns = [column.close() for column in self._columns]
        batch = pa.record_batch(columns, schema=self._schema)
        with pa.OSFile(str(self._path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        for column in self._columns:
            column.remove()


class _ColumnWriter:
    """The buffers of an Arrow array, one file each."""

    def __init__(self, path: Path, type: pa.DataType) -> None:
        self._type, self._text = type, pa.types.is_large_string(type)
        self._rows = self._nulls = self._end = 0
        self._valid, self._bits = _BitWriter(path.with_name(f"{path.name}.valid")), None
        self._data = path.with_name(f"{path.name}.data").open("wb")
        self._offsets = path.with_name(f"{path.name}.offsets").open("wb")
        if pa.types.is_boolean(type):
            self._bits = _BitWriter(path.with_name(f"{path.name}.bits"))
        if self._text:
            self._offsets.write(bytes(8))

    def add(self, values: pl.Series) -> None:
        self._rows += len(values)
        self._nulls += values.null_count()
        self._valid.add(values.is_not_null().to_numpy())
        if self._text:
            self._add_text(values.fill_null(""))
        elif self._bits is not None:
            self._bits.add(values.fill_null(False).to_numpy())
        else:
            self._data.write(np.ascontiguousarray(values.fill_null(0).to_numpy()).data)

    def _add_text(self, values: pl.Series) -> None:
        array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = array.buffers()
        if not len(array):
            return
        ends = np.frombuffer(offsets, dtype="<i8")[array.offset : array.offset + len(array) + 1]
        if data is not None:
            self._data.write(memoryview(data)[int(ends[0]) : int(ends[-1])])
        self._offsets.write((ends[1:] - ends[0] + self._end).astype("<i8").data)
        self._end += int(ends[-1] - ends[0])

    def close(self) -> pa.Array:
        """The whole array, memory-mapped."""
        valid = self._valid.close() if self._nulls else None
        parts = [_mapped(self._data)]
        if self._text:
            parts.insert(0, _mapped(self._offsets))
        elif self._bits is not None:
            parts = [self._bits.close()]
        return pa.Array.from_buffers(self._type, self._rows, [valid, *parts], self._nulls)

    def remove(self) -> None:
        bits = [self._bits.file] if self._bits else []
        for file in (self._data, self._offsets, self._valid.file, *bits):
            file.close()
            Path(file.name).unlink()


class _BitWriter:
    """Booleans as bits, eight to a byte."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self._rest = np.zeros(0, dtype=bool)

    def add(self, values: np.ndarray) -> None:
        values = np.concatenate([self._rest, values])
        whole = len(values) // 8 * 8
        self.file.write(np.packbits(values[:whole], bitorder="little").data)
        self._rest = values[whole:]

    def close(self) -> pa.Buffer:
        self.file.write(np.packbits(self._rest, bitorder="little").data)
        return _mapped(self.file)


def _mapped(file: BinaryIO) -> pa.Buffer:
    """What was written to a file."""
    file.close()
    with pa.memory_map(file.name) if os.path.getsize(file.name) else pa.BufferReader(b"") as source:
        return source.read_buffer()


def map_table(path: Path) -> pa.RecordBatch:
    """The record batch that ``TableWriter`` wrote, memory-mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)


def map_array(path: Path) -> np.ndarray:
    """An array that ``np.save`` wrote, memory-mapped and read only."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except ValueError:  # an empty file part cannot be mapped
        return np.load(path, allow_pickle=False)


class ArrayWriter:
    """Fills a new ``.npy`` file from its first number on.

    Args:
        path: The file.
        n: How many numbers will come.
        dtype: Of the file.
    """

    def __init__(self, path: Path, n: int, dtype: Any) -> None:
        self._array, self._end = create_array(path, (n,), dtype), 0

    def add(self, values: np.ndarray) -> None:
        """Append numbers."""
        self._array[self._end : self._end + len(values)] = values
        self._end += len(values)


def create_array(path: Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
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


_HASHES = pl.Schema({"hash": pl.UInt64(), "row": pl.Int64()})


class KeyWriter:
    """Writes the rows of distinct ids, sorted by hash; ids come part by part, in the order of their rows.

    Args:
        path: The file.
        work: A folder for intermediate tables; None: in memory.
        parts: Number of tables that are sorted one after the other.
    """

    def __init__(self, path: Path, work: Path | None = None, parts: int = 1) -> None:
        self._path, self._n, self._parts = path, 0, parts
        self._hashed = Scatter(parts, work, path.name, _HASHES)

    def add(self, ids: Sequence[str]) -> None:
        """Append ids."""
        hashes = _hashes(ids)
        rows = {"hash": hashes, "row": np.arange(self._n, self._n + len(ids))}
        # Of equal size, because hashes are spread evenly, and in the order of the hashes.
        part = ((hashes >> np.uint64(32)) * np.uint64(self._parts) >> np.uint64(32)).astype(np.int64)
        self._hashed.add(pl.DataFrame(rows, schema=_HASHES), part)
        self._n += len(ids)

    def close(self) -> None:
        """Write the file."""
        self._hashed.finish()
        array = ArrayWriter(self._path, self._n, _ENTRY)
        for part in range(self._parts):
            rows = self._hashed[part]
            self._hashed.drop(part)
            entries = np.empty(rows.height, dtype=_ENTRY)
            entries["hash"], entries["row"] = rows["hash"].to_numpy(), rows["row"].to_numpy()
            array.add(entries[np.argsort(entries["hash"], kind="stable")])


class IdIndex:
    """Finds the row of an id by bisection over hashes.

    Args:
        entries: From ``KeyWriter``, memory-mapped or not.
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
