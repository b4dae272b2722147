"""A corpus as the split rules read it: a few integers per review, while texts and names stay where they are.

A corpus is read in batches, several times, and only the columns that a pass needs. If it is large, the integers are in
files, in buckets of users. Memory then holds a batch, a bucket, and the distinct names of users and items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.data.buckets import Scatter
from idiolect.data.kcore import REVIEW_SCHEMA, eligible, keyed, repeated
from idiolect.data.split_config import SplitConfig
from idiolect.errors import InputError

_BATCH = 250_000
BUCKET_ROWS = 1_000_000
"""Rows of a bucket, on average."""
_MOST_BUCKETS = 500
"""Each has an open file, and a process may have about a thousand."""
_HASHES = 2**32
"""Number of distinct text hashes that are kept: 32 bits distinguish most of a user's texts."""


class ReviewScan(Protocol):
    """Reviews that can be read more than once, always in the same order."""

    @property
    def height(self) -> int:
        """The number of reviews."""
        ...

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
        self.height = frame.height

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
            head = pq.read_metadata(path)
            names = head.schema.to_arrow_schema().names
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{str(path)!r} is not a readable Parquet file: {error}", hint="check it") from error
        self.height = int(head.num_rows)
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
    """The eligible reviews of a scan, in buckets of users: all reviews of a user are in one, in table order.

    Rows of a bucket are numbered from 0 (``place``), and so are its users.
    """

    scan: ReviewScan
    folder: Path | None
    """Where intermediate tables are; None: in memory."""
    buckets: int
    read: int
    """Reviews of the scan, eligible or not."""
    height: int
    """Eligible reviews."""
    n_items: int
    """Items of eligible reviews."""
    rows: Scatter
    """Tables of ``ROW_SCHEMA``."""
    digests: Scatter
    """Tables of ``_DIGEST_SCHEMA``, in order of position, of at least the reviews whose text is that of another review
    of their user."""

    def texts(self, bucket: int, positions: pl.Series, kind: str) -> Callable[[pl.Series], pl.Series]:
        """What ``with_texts`` asks for texts.

        Args:
            bucket: Of the reviews.
            positions: Of all reviews of the bucket, by place.
            kind: A column of ``_DIGEST_SCHEMA``.
        """
        known = self.digests[bucket].select("position", kind)

        def texts(places: pl.Series) -> pl.Series:
            rows = np.searchsorted(known["position"].to_numpy(), positions.gather(places).to_numpy())
            return known[kind].gather(rows)

        return texts


ROW_SCHEMA = pl.Schema(
    {
        "position": pl.UInt32(),
        "user": pl.Int32(),
        "item": pl.Int32(),
        "timestamp": pl.Int64(),
        "order": pl.Int64(),
        "said": pl.UInt32(),
        "collapsed": pl.UInt32(),
    }
)
"""``position``: the review's place in the scan. ``user``: a code of its bucket. ``item``: a code of the corpus.
``said`` and ``collapsed``: hashes of the text, as it is and after ``collapse_whitespace``."""

_DIGEST_SCHEMA = pl.Schema({"position": pl.UInt32(), "said": pl.Binary(), "collapsed": pl.Binary()})


def read_corpus(scan: ReviewScan, items: pl.DataFrame, config: SplitConfig, *, folder: Path | None) -> Corpus:
    """Two passes over the scan: filter, number users and items and hash texts; then compare texts with equal hashes.

    Args:
        scan: The reviews.
        items: Table of ``ITEM_SCHEMA``.
        config: The filters.
        folder: An empty folder; used if the reviews are more than a bucket holds.
    """
    n = max(1, min(_MOST_BUCKETS, -(-scan.height // BUCKET_ROWS)))
    folder = folder if n > 1 else None
    users, about, rows = Codes(), Codes(), Scatter(n, folder, "reviews", ROW_SCHEMA)
    read = height = 0
    for batch in scan.batches(*(name for name in REVIEW_SCHEMA if name != "review_id")):
        fit = eligible(batch.with_row_index("position"), items, config)
        codes = users.of(fit["user"])
        columns = {
            "position": (fit["position"].cast(pl.UInt64) + read).cast(pl.UInt32),
            "user": pl.Series(codes // n, dtype=pl.Int32),
            "item": pl.Series(about.of(fit["item"]), dtype=pl.Int32),
            "said": _hashed(fit["text"]),
            "collapsed": _hashed(collapse_whitespace(fit["text"])),
        }
        rows.add(fit.select("timestamp", "order").with_columns(**columns), codes % n)
        read, height = read + batch.height, height + fit.height
    rows.finish()
    n_items = about.n
    del users, about  # their names take memory
    digests = _digests(scan, rows, n, folder)
    return Corpus(
        scan=scan, folder=folder, buckets=n, read=read, height=height, n_items=n_items, rows=rows, digests=digests
    )


def _digests(scan: ReviewScan, rows: Scatter, n: int, folder: Path | None) -> Scatter:
    """Digests of the texts whose hash is that of another text of their user."""
    parts = [_alike(rows[k]) for k in range(n)]
    positions = np.concatenate(parts)
    bucket = np.repeat(np.arange(n, dtype=np.int16), [len(part) for part in parts])
    order = np.argsort(positions, kind="stable")
    positions, bucket = positions[order], bucket[order]
    del parts, order
    found = Scatter(n, folder, "digests", _DIGEST_SCHEMA)
    start = first = 0
    for batch in scan.batches("text") if len(positions) else ():
        last = int(np.searchsorted(positions, start + batch.height))
        texts = batch["text"].gather(positions[first:last] - np.uint32(start))
        digests = {"said": _digested(texts), "collapsed": _digested(collapse_whitespace(texts))}
        found.add(pl.DataFrame({"position": positions[first:last], **digests}), bucket[first:last])
        start, first = start + batch.height, last
    found.finish()
    return found


def _alike(rows: pl.DataFrame) -> np.ndarray:
    """uint32: the positions of the reviews of a bucket whose text may be that of another review of their user."""
    said, collapsed = (repeated(keyed(rows["user"], rows[name])) for name in ("said", "collapsed"))
    return rows["position"].filter(said | collapsed).to_numpy()


def collapse_whitespace(texts: pl.Series) -> pl.Series:
    """Each run of whitespace (in Python's sense) as one space, none at the ends.

    The pattern leaves single spaces alone: in most texts it finds nothing, which is several times faster.
    """
    return texts.str.replace_all(r"[\s\x1c-\x1f]{2,}|[[\s\x1c-\x1f]--[ ]]", " ").str.strip_chars(" ")


def _hashed(texts: pl.Series) -> pl.Series:
    return (texts.hash() % _HASHES).cast(pl.UInt32)


def _digested(texts: pl.Series) -> pl.Series:
    digests = [blake2b(text.encode(), digest_size=16).digest() for text in texts.to_list()]
    return pl.Series(digests, dtype=pl.Binary)


class Codes:
    """Numbers names by first appearance; keeps every distinct name."""

    def __init__(self) -> None:
        self._type = pl.Categorical(pl.Categories.random())
        self._last = pl.Series([], dtype=self._type)  # polars forgets the names when no series has them
        self.n = 0
        """Distinct names so far."""

    def of(self, names: pl.Series) -> np.ndarray:
        """int32 (n,): the codes of further names."""
        self._last = names.cast(self._type)
        codes = self._last.to_physical().to_numpy().astype(np.int32)
        self.n = max(self.n, int(codes.max(initial=-1)) + 1)
        return codes


class NamedCodes(Codes):
    """Codes that can be turned back into names."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[pl.Series] = []

    def of(self, names: pl.Series) -> np.ndarray:
        """int32 (n,): the codes of further names."""
        known, codes = self.n, super().of(names)
        fresh, firsts = np.unique(codes, return_index=True)
        self._names.append(names.gather(firsts[np.searchsorted(fresh, known) :]))
        return codes

    def names(self, start: int = 0) -> pl.Series:
        """The distinct names in the order of their codes, from code ``start`` on."""
        return pl.concat([pl.Series([], dtype=pl.String), *self._names]).slice(start)
