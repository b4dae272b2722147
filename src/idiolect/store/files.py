"""What a snapshot is on disk: a folder of memory-mapped tables and arrays beside a ``meta.json``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pyarrow as pa

from idiolect.config import Config
from idiolect.errors import InputError
from idiolect.store.visibility import PeerPool
from idiolect.types import Phase

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


@contextmanager
def whole_folder(folder: Path, *, mark: str = META, what: str = "a snapshot") -> Iterator[Path]:
    """An empty folder that becomes ``folder`` when all went well, and vanishes otherwise.

    Args:
        folder: Made or replaced.
        mark: A file that tells folders of this kind from any other.
        what: Their name, for messages.

    Raises:
        InputError: ``folder`` exists and is of another kind; it is left alone.
    """
    if folder.exists() and not (folder / mark).is_file():
        raise InputError(f"{str(folder)!r} exists and is not {what}", hint="name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix=f".{folder.name}-", suffix=PARTIAL, dir=folder.parent))
    try:
        (new := work / "new").mkdir()
        yield new
        if folder.exists():
            os.rename(folder, work / "old")
        os.rename(new, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
