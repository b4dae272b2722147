"""A corpus as the split rules read it: a few integers per review, while texts and names stay where they are.

A corpus is read in batches, several times, and only the columns that a pass needs. Memory then holds 40 bytes per
eligible review, whatever its text, and several times as much while the rules are applied (docs/scale.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.data.kcore import REVIEW_SCHEMA, eligible
from idiolect.data.split_config import SplitConfig
from idiolect.errors import InputError

_BATCH = 500_000
_HASHES = 2**32
"""Number of distinct text hashes that are kept: 32 bits distinguish most of a user's texts."""


class ReviewScan(Protocol):
    """Reviews that can be read more than once, always in the same order."""

    def batches(self, *columns: str) -> Iterator[pl.DataFrame]:
        """The reviews in table order, batch by batch.

        Args:
            columns: Of ``REVIEW_SCHEMA``.
        """
        ...


class FrameScan:
    """Reviews in memory.

    Args:
        frame: Table of ``REVIEW_SCHEMA``.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def batches(self, *columns: str) -> Iterator[pl.DataFrame]:
        """All reviews, in slices."""
        return self._frame.select(columns).iter_slices(_BATCH)


class ParquetScan:
    """Reviews of a Parquet file with the columns of ``REVIEW_SCHEMA``: ``reviews.parquet`` of an export.

    Args:
        path: The file.

    Raises:
        InputError: A column is missing, or the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            names = pq.read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{str(path)!r} is not a readable Parquet file: {error}", hint="check it") from error
        if missing := [name for name in REVIEW_SCHEMA if name not in names]:
            raise InputError(f"{str(path)!r} has no column {missing[0]!r}", hint="make it with `idiolect export`")

    def batches(self, *columns: str) -> Iterator[pl.DataFrame]:
        """The reviews, as many at a time as fit into some hundred megabytes."""
        schema = {name: REVIEW_SCHEMA[name] for name in columns}
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_BATCH, columns=list(columns)):
                yield pl.DataFrame(pl.from_arrow(batch)).select(columns).cast(pl.Schema(schema))


@dataclass(slots=True, kw_only=True)
class Corpus:
    """The eligible reviews of a scan. Row k of every column belongs to the k-th of them, in table order."""

    scan: ReviewScan
    read: int
    """Reviews of the scan, eligible or not."""
    positions: np.ndarray
    """uint32 (n,): the place of each in the scan."""
    users: pl.Series
    """Int32 (n,): codes into ``user_names``."""
    items: pl.Series
    """Int32 (n,): numbers by first appearance."""
    user_names: pl.Series
    """String: each user, in order of first appearance."""
    times: pl.DataFrame
    """``timestamp`` and ``order``."""
    said: pl.Series
    """UInt32 (n,): hashes of the texts."""
    collapsed: pl.Series
    """UInt32 (n,): hashes of the texts after ``collapse_whitespace``."""

    @property
    def height(self) -> int:
        """The number of eligible reviews."""
        return len(self.users)

    def take(self, column: str, places: pl.Series) -> pl.Series:
        """A column of these reviews, in their order: one pass over the column.

        Args:
            column: Of ``REVIEW_SCHEMA``.
            places: Indices of eligible reviews.
        """
        wanted = self.positions[places.to_numpy()]
        order = np.argsort(wanted, kind="stable")
        ordered = wanted[order]
        found, start, first = [REVIEW_SCHEMA.to_frame(eager=True)[column]], 0, 0
        for batch in self.scan.batches(column) if len(wanted) else ():
            last = int(np.searchsorted(ordered, start + batch.height))
            found.append(batch[column].gather(ordered[first:last] - start))
            start, first = start + batch.height, last
        back = np.empty(len(wanted), dtype=np.uint32)
        back[order] = np.arange(len(wanted), dtype=np.uint32)
        del wanted, ordered, order
        return pl.concat(found).gather(back)


def read_corpus(scan: ReviewScan, items: pl.DataFrame, config: SplitConfig) -> Corpus:
    """The first pass: filter, number users and items, and hash texts.

    Args:
        scan: The reviews.
        items: Table of ``ITEM_SCHEMA``.
        config: The filters.
    """
    users, authors, about = _Codes(), _Codes(), list[pl.DataFrame]()
    positions, read = [np.zeros(0, dtype=np.uint32)], 0
    for batch in scan.batches(*(name for name in REVIEW_SCHEMA if name != "review_id")):
        fit = eligible(batch.with_row_index("position"), items, config)
        positions.append(fit["position"].to_numpy() + np.uint32(read))
        users.add(fit["user"])
        authors.add(fit["item"])
        hashes = {"said": _hashed(fit["text"]), "collapsed": _hashed(collapse_whitespace(fit["text"]))}
        about.append(fit.select("timestamp", "order").with_columns(**hashes))
        read += batch.height
    user_codes, user_names = users.finish()
    empty = pl.DataFrame(schema={"timestamp": pl.Int64, "order": pl.Int64, "said": pl.UInt32, "collapsed": pl.UInt32})
    columns = pl.concat([empty, *about], rechunk=True)
    return Corpus(
        scan=scan,
        read=read,
        positions=np.concatenate(positions),
        users=user_codes,
        items=authors.finish()[0],
        user_names=user_names,
        times=columns.select("timestamp", "order"),
        said=columns["said"],
        collapsed=columns["collapsed"],
    )


def collapse_whitespace(texts: pl.Series) -> pl.Series:
    """Each run of whitespace (in Python's sense) as one space, none at the ends.

    The pattern leaves single spaces alone: in most texts it finds nothing, which is several times faster.
    """
    return texts.str.replace_all(r"[\s\x1c-\x1f]{2,}|[[\s\x1c-\x1f]--[ ]]", " ").str.strip_chars(" ")


def _hashed(texts: pl.Series) -> pl.Series:
    return (texts.hash() % _HASHES).cast(pl.UInt32)


class _Codes:
    """Numbers names by first appearance, batch by batch; a batch keeps its distinct names only."""

    def __init__(self) -> None:
        self._parts: list[pa.DictionaryArray] = []

    def add(self, names: pl.Series) -> None:
        """Number further names."""
        found = names.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        self._parts.append(found)

    def finish(self) -> tuple[pl.Series, pl.Series]:
        """Int32: the code of every name; String: the distinct names."""
        type = pa.dictionary(pa.int32(), pa.large_string())
        whole = pa.chunked_array(self._parts, type=type).unify_dictionaries()
        self._parts.clear()
        names = whole.chunk(0).dictionary if whole.num_chunks else pa.array([], pa.large_string())
        codes = pa.chunked_array([part.indices for part in whole.chunks], type=pa.int32())
        return pl.Series(pl.from_arrow(codes)).rechunk(), pl.Series(pl.from_arrow(names))
