"""What a snapshot is on disk: a folder of memory-mapped tables and arrays beside a ``meta.json``."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pyarrow as pa

from idiolect.config import Config
from idiolect.corpus.atomic import cleaning_up, named_errors, real_path
from idiolect.errors import InputError
from idiolect.store.visibility import PeerPool
from idiolect.types import Phase

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = 2
META = "meta.json"
PARTIAL = ".partial"
"""What the name of an unfinished folder ends with, as that of an unfinished file: an erasure takes both whole."""


class SnapshotMeta(Config):
    """What a snapshot was made from and what it holds."""

    format: int = FORMAT
    """Of the folder."""
    phase: Phase
    """Whose view it is."""
    peers: PeerPool
    """Who may be a peer."""
    encoder: str
    """Name of the encoder of the vectors."""
    dim: int
    """Of a vector."""
    fingerprint: str
    """Of the store when the snapshot was made."""
    dated: bool
    """Whether the corpus has timestamps, so that a time cut between users means something."""
    users: int
    """Users with a visible review."""
    items: int
    """Items known by a record or by a visible review."""
    history: int
    """Reviews that are their user's history."""
    pool: int
    """Reviews that may be peers."""
    pool_without_vector: int
    """Reviews that could have been peers but have no vector, and so are none."""


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
    """A folder with links followed, once it is sure that it is new or wholly of one kind (see ``whole_folder``).

    Raises:
        InputError: It exists and is of another kind, or holds other files too.
    """
    named, folder = folder, real_path(folder)  # a link to a folder stays one
    if folder.exists():
        if not (folder / mark).is_file():
            raise InputError(f"{str(named)!r} exists and is not {what}", hint="name a new folder")
        if other := next((path.name for path in sorted(folder.iterdir()) if not parts.fullmatch(path.name)), None):
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
    """An empty folder that becomes ``folder`` when all went well, and vanishes otherwise, on a signal to end too.

    Until then it lies beside ``folder``; other processes see whether its own still runs (``is_running``).

    Args:
        folder: Made or replaced.
        mark: A file that tells folders of this kind from any other.
        what: Their name, for messages.
        parts: Matches the names of the files that such a folder has.
        placing: Entered for the moment in which it becomes ``folder``; it may raise.

    Raises:
        InputError: ``folder`` exists and is of another kind, or holds other files too; it is left alone.
        OSError: It cannot be written, for instance because the disk is full; ``filename`` is ``folder`` or in it.
    """
    folder = check_replaced(folder, mark=mark, what=what, parts=parts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cleaning_up(), named_errors(folder), _unfinished_folder(folder) as work:
        (new := work / "new").mkdir()
        yield new
        with placing():
            if folder.exists():
                os.rename(folder, work / "old")
            os.rename(new, folder)


@contextmanager
def _unfinished_folder(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that is locked while this process uses it; the lock ends with the process."""
    made = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    work = made.with_name(made.name + PARTIAL)
    try:
        with _locked(made) if fcntl else nullcontext():  # before it has the name by which it is found
            os.rename(made, work)
            yield work
    finally:
        for path in (made, work):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock, unless another process does or there are no such locks; whether it is held."""
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


def is_running(part: Path) -> bool:
    """Whether a running process writes an unfinished folder; the lock of one that was killed is gone."""
    if fcntl is None:
        return False
    try:
        with _locked(part) as free:
            return not free
    except FileNotFoundError:
        return False


def unfinished(outputs: Iterable[Path]) -> Iterator[Path]:
    """What calls that were killed, or still run, left beside recorded outputs: parts of files and of folders."""
    for path in outputs:
        name = glob.escape(path.name)
        for pattern in (f"{name}{PARTIAL}", f"{name}.[0-9]*{PARTIAL}", f".{name}-*{PARTIAL}"):
            yield from sorted(path.parent.glob(pattern))


def remove_abandoned(outputs: Iterable[Path]) -> list[Path]:
    """Remove the unfinished folders beside recorded outputs whose processes are gone; they hold texts of the store."""
    if fcntl is None:  # nothing tells
        return []
    gone = [part for part in unfinished(outputs) if part.is_dir() and not part.is_symlink() and not is_running(part)]
    for part in gone:
        shutil.rmtree(part, ignore_errors=True)
    return gone
