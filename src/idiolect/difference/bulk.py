"""All sums and all differences of an exported store, out of core, in this process or on a Ray cluster (DEP, Eq. 4).

1. *scatter*: rows of ``reviews.parquet``, ``items.parquet`` and the vectors are sorted into buckets by item, a file per
   range of rows with one record batch per bucket.
2. *gather*: per bucket, the sums of its items and the difference of every review to the others of its item.
3. *merge*: sums of categories and of the corpus.

Every sum of float16 vectors is exact in float64 (``store.sums``), and a difference is rounded once. So results do not
depend on the number of buckets and workers, and are those of a store, to the last bit. Every file is written as a
whole; a run that was killed continues after the files that are there.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.data.output_files import atomic_write, real_path
from idiolect.difference.latent import peer_mean_difference
from idiolect.engine import Engine, EngineName, open_engine
from idiolect.errors import InputError, NotFoundError, OutputError
from idiolect.progress import Progress
from idiolect.registry import suggest
from idiolect.store.parquet import DERIVED, read_head, record_derived
from idiolect.store.sums import add_group_sums, group_codes

_RANGE = 1 << 17
"""Rows of a scatter task."""
_BUCKET = 1 << 18
"""Rows of a bucket, on average: with 384 dimensions some 2 GB while its differences are computed."""
_ROWS = 4096
"""Rows whose differences are computed at once."""
_REVIEW = ["review_id", "user", "item"]
_SUMS = "sums-{:05d}.parquet"
_DIFFERENCES = "differences-{:05d}.parquet"
_CATEGORIES = "categories-{:05d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReport:
    """What a ``differences`` wrote."""

    reviews: int
    """Reviews with a difference or, with too few peers, a zero row."""
    compared: int
    """Those with enough peers."""
    items: int
    """Items with a sum."""
    categories: int
    buckets: int


class _Plan(NamedTuple):
    """What every worker needs to know."""

    export: Path
    vectors: str
    dim: int
    out: Path
    buckets: int
    apart: frozenset[str]
    """Users who are nobody's peers."""
    min_peers: int


class _Range(NamedTuple):
    """Rows of a table of the export."""

    kind: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        """Where they are scattered to."""
        return f"{self.kind}-{self.start:012d}.arrow"


def differences(
    export: str | Path,
    out: str | Path,
    *,
    encoder: str | None = None,
    min_peers: int = 1,
    engine: EngineName | Engine = "local",
    workers: int | None = None,
    bucket_rows: int = _BUCKET,
    progress: bool = False,
) -> BulkReport:
    """Write sums of items, categories and the corpus, and the difference of every review to its peers.

    ``out`` then holds, as Parquet: ``differences-*`` (review_id; ``n_peers``: peers' reviews; ``n_users``: their users;
    ``difference``: float32 little-endian, zero if there are too few peers), ``sums-*`` (item, category, count; ``sum``:
    float64 little-endian), ``categories`` (category, count, sum) and ``corpus`` (count, sum). An erasure of a user from
    the export removes ``out``.

    Args:
        export: Folder of ``idiolect export``; every review needs a vector.
        out: New folder, or that of a killed run with the same arguments, which is continued.
        encoder: Whose vectors; None: the only one.
        min_peers: Fewest users that a review is compared with.
        engine: ``local``, or ``ray``: the cluster at ``RAY_ADDRESS``, else one that is started on this machine. Workers
            need both folders under the same paths.
        workers: Of a Ray cluster; None: one per processor.
        bucket_rows: Reviews that a worker has in memory, about.
        progress: Show progress on standard error.

    Raises:
        NotFoundError: There is no export, or it has no vectors of the encoder.
        InputError: Reviews have no vector.
        OutputError: ``out`` holds something else.
        EngineError: A batch was lost with its worker several times.

    Example:
        >>> store.export("export")  # doctest: +SKIP
        >>> differences("export", "differences")  # doctest: +SKIP
    """
    engine = open_engine(engine, workers=workers) if isinstance(engine, str) else engine
    export, out = real_path(Path(export)), real_path(Path(out))
    head = read_head(export)
    chosen = _encoder(head, encoder)
    n = _rows(export / "reviews.parquet")
    if (held := _rows(export / chosen["file"])) != n:
        raise InputError(f"{n - held} of {n} reviews have no vector", hint="run `idiolect embed`, then export again")
    plan = _Plan(
        export, chosen["file"], int(chosen["dim"]), out, max(1, -(-n // bucket_rows)),
        frozenset(pq.read_table(export / "not_peers.parquet")["user"].to_pylist()), max(1, min_peers),
    )  # fmt: skip
    _claim(plan, head["fingerprint"])
    record_derived(export, out)
    ranges = [_Range("reviews", start, min(start + _RANGE, n)) for start in range(0, n, _RANGE)]
    n_items = _rows(export / "items.parquet")
    ranges += [_Range("items", start, min(start + _RANGE, n_items)) for start in range(0, n_items, _RANGE)]
    gathered = [number for number in range(plan.buckets) if not _finished(plan, number)]
    waiting = [one for one in ranges if not (out / "scatter" / one.file).exists()] if gathered else []
    with Progress(len(ranges), "scatter", "range", shown=progress, done=len(ranges) - len(waiting)) as bar:
        for _ in engine.map(partial(_scattering, plan), waiting) if waiting else ():
            bar.update()
    files = [one.file for one in ranges]
    with Progress(plan.buckets, "compare", "bucket", shown=progress, done=plan.buckets - len(gathered)) as bar:
        for _ in engine.map(partial(_gathering, plan, files), gathered) if gathered else ():
            bar.update()
    return _merge(plan)


def _encoder(head: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    known = {entry["name"]: entry for entry in head["encoders"]}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        said = "has vectors of several encoders" if name is None and known else f"has no vectors of {name!r}"
        hint = (f"name one of {', '.join(known)}" if name is None else suggest(name, known)) if known else "embed first"
        raise NotFoundError(f"the export {said}", hint=hint)
    return known[name]


def _claim(plan: _Plan, fingerprint: str) -> None:
    """Note what the folder is for, or check that it is for the same."""
    what = {
        "format": 1, "export": str(plan.export), "fingerprint": fingerprint, "vectors": plan.vectors,
        "buckets": plan.buckets, "min_peers": plan.min_peers,
    }  # fmt: skip
    mark = plan.out / DERIVED
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8")) != what:
            message = f"{str(plan.out)!r} holds differences of another export, or with other settings"
            raise OutputError(message, hint="name a new folder")
    elif plan.out.exists() and any(plan.out.iterdir()):
        raise OutputError(f"{str(plan.out)!r} exists and holds something else", hint="name a new folder")
    else:
        (plan.out / "scatter").mkdir(parents=True, exist_ok=True)
        atomic_write(mark, lambda path: path.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8"))


def _rows(path: Path) -> int:
    return pq.read_metadata(path).num_rows


def _finished(plan: _Plan, number: int) -> bool:
    """Whether a bucket is done: its sums are written last."""
    return (plan.out / _SUMS.format(number)).exists()


def _read(path: Path, columns: Sequence[str], start: int, stop: int) -> pa.Table:
    """Rows [start, stop) of a Parquet file; only their row groups are read."""
    with pq.ParquetFile(path) as file:
        counts = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        ends = np.cumsum(counts)
        first, last = np.searchsorted(ends, start, side="right"), np.searchsorted(ends, stop)
        table = file.read_row_groups(range(first, min(last + 1, len(ends))), columns=list(columns))
        rows = table.slice(start - (int(ends[first]) - counts[first]), stop - start)
        # Other tools write other types of strings.
        fields = [one if pa.types.is_fixed_size_binary(one.type) else one.with_type(pa.string()) for one in rows.schema]
        return rows.cast(pa.schema(fields))


def _scattering(plan: _Plan) -> Callable[[_Range], None]:
    return partial(_scatter, plan)


def _scatter(plan: _Plan, rows: _Range) -> None:
    """Write a range of rows with one record batch per bucket."""
    if rows.kind == "items":
        table = _read(plan.export / "items.parquet", ["item", "category"], rows.start, rows.stop)
    else:
        table = _read(plan.export / "reviews.parquet", _REVIEW, rows.start, rows.stop)
        vectors = _read(plan.export / plan.vectors, ["review_id", "vector"], rows.start, rows.stop)
        if not vectors["review_id"].equals(table["review_id"]):
            raise InputError("vectors and reviews of the export are in different orders", hint="export the store again")
        table = table.append_column("vector", vectors["vector"])
    items = table["item"].to_pylist()
    bucket = np.fromiter((zlib.crc32(item.encode()) % plan.buckets for item in items), dtype=np.int64, count=len(items))
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=plan.buckets))
    table = table.take(pa.array(order))
    batch = pa.record_batch([column.combine_chunks() for column in table.columns], schema=table.schema)

    def write(path: Path) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(str(path), batch.schema, options=options) as writer:
            for first, last in zip([0, *ends[:-1]], ends, strict=True):
                writer.write_batch(batch.slice(int(first), int(last - first)))

    atomic_write(plan.out / "scatter" / rows.file, write)


def _gathering(plan: _Plan, files: Sequence[str]) -> Callable[[int], None]:
    return partial(_gather, plan, files)


def _gather(plan: _Plan, files: Sequence[str], number: int) -> None:
    """Write the sums and differences of a bucket."""
    reviews = _bucket(plan, [name for name in files if name.startswith("reviews-")], number)
    records = _bucket(plan, [name for name in files if name.startswith("items-")], number)
    category = dict(zip(*(records[name].to_pylist() for name in ("item", "category")), strict=True)) if records else {}
    names, items = group_codes(reviews["item"].to_pylist() if reviews else [])
    users = reviews["user"].to_pylist() if reviews else []
    blobs = reviews["vector"].combine_chunks() if reviews else pa.array([], pa.binary(2 * plan.dim))
    vectors = np.frombuffer(blobs.buffers()[1] or b"", dtype="<f2", offset=2 * plan.dim * blobs.offset)
    vectors = vectors[: len(users) * plan.dim].reshape(-1, plan.dim)
    peer = np.fromiter((user not in plan.apart for user in users), dtype=bool, count=len(users))
    sums = np.zeros((len(names), plan.dim))
    add_group_sums(sums, vectors, items[peer], rows=np.flatnonzero(peer))
    counts = np.bincount(items[peer], minlength=len(names))
    ids = reviews["review_id"] if reviews else pa.array([], pa.string())
    _write_differences(plan, number, ids, _compare(plan, vectors, items, users, peer, sums, counts))
    kept = np.flatnonzero(counts)
    _write_sums(plan, number, [names[k] for k in kept], category, sums[kept], counts[kept])


def _bucket(plan: _Plan, files: Sequence[str], number: int) -> pa.Table | None:
    """A bucket's rows of some scattered files, in the order of the export; None if there are none."""
    parts = []
    for name in files:
        # Not Parquet: every bucket opens every file, and opening one reads the descriptions of all its row groups.
        with pa.OSFile(str(plan.out / "scatter" / name)) as file, pa.ipc.open_file(file) as batches:
            parts.append(batches.get_batch(number))
    found = pa.Table.from_batches(parts) if parts else None
    return found if found is not None and found.num_rows else None


def _compare(
    plan: _Plan,
    vectors: np.ndarray,
    items: np.ndarray,
    users: Sequence[str],
    peer: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Differences, numbers of peers' reviews and of their users, block by block."""
    _, codes = group_codes(users)
    pairs, pair = np.unique(items << 32 | codes, return_inverse=True)
    counted = pair[peer]
    own_counts = np.bincount(counted, minlength=len(pairs))
    n_users = np.bincount((pairs >> 32)[own_counts > 0], minlength=len(counts))
    # Most pairs have one review, which is its own sum; only the others are added up.
    several = np.flatnonzero(own_counts > 1)
    place = np.full(len(pairs), -1)
    place[several] = np.arange(len(several))
    rows = np.flatnonzero(peer)[place[counted] >= 0]
    own_sums = np.zeros((len(several), vectors.shape[1]))
    add_group_sums(own_sums, vectors, place[pair[rows]], rows=rows)
    for start in range(0, len(items), _ROWS):
        part = slice(start, start + _ROWS)
        own = vectors[part].astype(np.float64)
        of, item = pair[part], items[part]
        mine = np.where(peer[part, None], own, 0.0)
        mine[place[of] >= 0] = own_sums[place[of][place[of] >= 0]]
        peers = counts[item] - own_counts[of]
        others = n_users[item] - (own_counts[of] > 0)
        found = peer_mean_difference(own, sums[item] - mine, np.where(others >= plan.min_peers, peers, 0))
        yield found.diff, peers, others


def _write_differences(
    plan: _Plan, number: int, ids: pa.Array, parts: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> None:
    type = pa.binary(4 * plan.dim)
    schema = pa.schema(
        [("review_id", pa.string()), ("n_peers", pa.int64()), ("n_users", pa.int64()), ("difference", type)]
    )

    def write(path: Path) -> None:
        start = 0
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
            for diff, peers, users in parts:
                columns = [ids.slice(start, len(diff)), pa.array(peers), pa.array(users), _blobs(diff, "<f4")]
                columns[0] = pa.array(columns[0].to_pylist(), pa.string())
                writer.write_batch(pa.record_batch(columns, schema=schema))
                start += len(diff)

    atomic_write(plan.out / _DIFFERENCES.format(number), write)


def _blobs(rows: np.ndarray, dtype: str) -> pa.Array:
    """Each row as fixed-size binary."""
    rows = np.ascontiguousarray(rows, dtype=dtype)
    type = pa.binary(rows.shape[1] * rows.dtype.itemsize)
    return pa.Array.from_buffers(type, len(rows), [None, pa.py_buffer(rows.tobytes())])


def _write_sums(
    plan: _Plan, number: int, names: list[str], category: Mapping[str, str], sums: np.ndarray, counts: np.ndarray
) -> None:
    """Write the sums of a bucket's categories and then those of its items."""
    categories = [category.get(name, "") for name in names]
    known, codes = group_codes(categories)
    totals, numbers = np.zeros((len(known), plan.dim)), np.zeros(len(known), dtype=np.int64)
    np.add.at(totals, codes, sums)
    np.add.at(numbers, codes, counts)
    _write(plan.out / "scatter" / _CATEGORIES.format(number), {"category": known}, numbers, totals)
    _write(plan.out / _SUMS.format(number), {"item": names, "category": categories}, counts, sums)


def _write(path: Path, texts: Mapping[str, list[str]], counts: np.ndarray, sums: np.ndarray) -> None:
    columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    table = pa.table({**columns, "count": pa.array(counts, pa.int64()), "sum": _blobs(sums, "<f8")})
    atomic_write(path, lambda part: pq.write_table(table, part, compression="zstd"))


def _merge(plan: _Plan) -> BulkReport:
    """Write the sums of categories and of the corpus; drop scattered and unfinished files."""
    done = plan.out / "corpus.parquet"
    if not done.exists():
        totals: dict[str, tuple[int, np.ndarray]] = {}
        for number in range(plan.buckets):
            table = pq.read_table(plan.out / "scatter" / _CATEGORIES.format(number))
            for name, count, blob in zip(*(column.to_pylist() for column in table.columns), strict=True):
                before, total = totals.get(name, (0, np.zeros(plan.dim)))
                totals[name] = before + count, total + np.frombuffer(blob, "<f8")
        names = sorted(totals)
        counts = np.array([totals[name][0] for name in names], dtype=np.int64)
        sums = np.array([totals[name][1] for name in names]).reshape(-1, plan.dim)
        _write(plan.out / "categories.parquet", {"category": names}, counts, sums)
        _write(done, {}, np.array([counts.sum()]), sums.sum(axis=0, keepdims=True))
    shutil.rmtree(plan.out / "scatter", ignore_errors=True)
    for left in plan.out.glob("*.partial"):  # by a killed run
        left.unlink(missing_ok=True)
    reviews = compared = items = 0
    for number in range(plan.buckets):
        users = pq.read_table(plan.out / _DIFFERENCES.format(number), columns=["n_users"])["n_users"].to_numpy()
        reviews, compared = reviews + len(users), compared + int((users >= plan.min_peers).sum())
        items += _rows(plan.out / _SUMS.format(number))
    categories = _rows(plan.out / "categories.parquet")
    return BulkReport(reviews=reviews, compared=compared, items=items, categories=categories, buckets=plan.buckets)
