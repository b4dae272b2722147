"""Ids to rows without a dictionary in memory: processes that open one snapshot share its pages."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

_ENTRY = np.dtype([("hash", "<u8"), ("row", "<i8")])


def write_keys(path: Path, ids: Sequence[str]) -> None:
    """Write the rows of distinct ``ids``, sorted by hash."""
    entries = np.empty(len(ids), dtype=_ENTRY)
    entries["hash"], entries["row"] = _hashes(ids), np.arange(len(ids))
    np.save(path, entries[np.argsort(entries["hash"], kind="stable")])


class Keys:
    """Finds the row of an id by bisection over hashes.

    Args:
        entries: What ``write_keys`` wrote, memory-mapped or not.
        ids: The ids in row order; tells ids of equal hash apart.
    """

    def __init__(self, entries: np.ndarray, ids: pa.Array) -> None:
        self._hashes, self._rows, self._ids = entries["hash"], entries["row"], ids

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """int64 (n,): the row of each id, -1 where there is none."""
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
