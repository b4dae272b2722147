"""What reads a whole store at a time: split, snapshot, trait fidelity, pretraining. Seconds and memory, growing sizes.

    python benchmarks/bench_snapshot.py [--sizes 1000000 10000000] [--dim 64] [--repeats 3] [--folder DIRECTORY]

The corpus is that of ``bench_large.py``, in a SQLite store that is filled without ``ingest`` and not timed. Every stage
is a process of its own: ``split`` writes the split (preset ``small``); ``load`` opens it and reads the users' test
targets; ``snapshot`` writes what is visible in phase ``test``; ``fidelity`` reads the texts that the styles of a
thousand test targets are compared with; ``pretrain`` reads what is left without the targets, of users with 100,000
reviews.

Seconds are [wall, processor of all threads]; memory is the highest anonymous memory (RssAnon: what cannot be dropped)
in GB, interpreter and libraries included. With repeats, each figure is median, smallest and largest. Ten million need
some 20 GB of disk with 64 dimensions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from bench_large import RULES, Stages, write_corpus

from idiolect.data.split import Split, write_split
from idiolect.encoders import HashEncoder
from idiolect.evaluation.scoring import visible_reviews
from idiolect.pipeline.data import Data
from idiolect.pipeline.pretraining import pretraining_reviews
from idiolect.pipeline.settings import Settings
from idiolect.store.frames import StoreScan, item_frame
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Sample

ENCODER = "random"
_BATCH = 65_536
_INDEXES = {"reviews_by_user": '"user", item', "reviews_by_item": "item"}
_REVIEWS = ("review_id", "user", "item", "rating", "title", "text", "timestamp", "order")


def fill(folder: Path, n: int, dim: int) -> None:
    """A store of ``n`` reviews with random vectors, without digests and sums of items; a killed call is continued."""
    if not (folder / "reviews.parquet").exists():
        write_corpus(folder / "new.parquet", n)
        (folder / "new.parquet").rename(folder / "reviews.parquet")
    SqlStore(str(folder / "store.db")).close()
    connection = sqlite3.connect(folder / "store.db", isolation_level=None)
    for line in ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-200000"):
        connection.execute(line)
    for index in _INDEXES:
        connection.execute(f"DROP INDEX IF EXISTS {index}")
    if not connection.execute("SELECT count(*) FROM encoders").fetchone()[0]:
        connection.execute("BEGIN")
        items = ((f"i{k}", "", "", f"c{k % 20}", b"") for k in range(n // 40))
        connection.executemany(
            "INSERT INTO items (id, title, description, category, digest) VALUES (?, ?, ?, ?, ?)", items
        )
        connection.execute("INSERT INTO encoders VALUES (1, ?, ?, ?)", (ENCODER, dim, n))
        connection.execute("UPDATE meta SET n_items = ?, n_reviews = ?, n_dated = ?", (n // 40, n, n))
        connection.execute("COMMIT")
    row = 'INSERT INTO reviews (id, user, item, rating, title, text, timestamp, "order", digest) VALUES'
    done, start = connection.execute("SELECT coalesce(max(review), 0) FROM vectors").fetchone()[0], 1
    with pq.ParquetFile(folder / "reviews.parquet") as file:
        for batch in file.iter_batches(_BATCH, columns=list(_REVIEWS)):
            if start > done:
                connection.execute("BEGIN")
                rows = zip(*(batch.column(name).to_pylist() for name in _REVIEWS), strict=True)
                connection.executemany(f"{row} (?, ?, ?, ?, ?, ?, ?, ?, x'')", rows)
                numbers = np.random.default_rng([1, start]).uniform(-1.7, 1.7, (len(batch), dim))
                halves = (numbers / dim**0.5).astype("<f2")
                stored = ((start + k, half.tobytes()) for k, half in enumerate(halves))
                connection.executemany("INSERT INTO vectors (review, encoder, vector) VALUES (?, 1, ?)", stored)
                connection.execute("COMMIT")
            start += len(batch)
    for index, columns in _INDEXES.items():
        connection.execute(f"CREATE INDEX {index} ON reviews ({columns})")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    (folder / "reviews.parquet").unlink()


def split(store: SqlStore, folder: Path) -> dict[str, Any]:
    """Filter, narrow, hold out."""
    with tempfile.TemporaryDirectory(dir=folder) as work, store.reading() as connection:
        scan, items = StoreScan(connection), item_frame(connection)
        counts = write_split(scan, items, RULES, folder / "split", work=Path(work), fingerprint=scan.fingerprint)
    return {"users": counts.users, "members": counts.members}


def load(store: SqlStore, folder: Path) -> dict[str, Any]:
    """Open the split and read its targets' ids."""
    made = Split.load(folder / "split", fingerprint=store.fingerprint())
    return {"users": len(made.users), "test": len(made.ids("test"))}


def snapshot(store: SqlStore, folder: Path) -> dict[str, Any]:
    """What phase ``test`` sees."""
    made = Split.load(folder / "split", fingerprint=store.fingerprint())
    built = build_snapshot(store, made, phase="test", encoder=ENCODER, folder=folder / "snapshot")
    size = sum(path.stat().st_size for path in built.folder.iterdir())
    return {"history": built.meta.history, "pool": built.meta.pool, "output_gb": round(size / 1e9, 2)}


class Random(HashEncoder):
    """Whose vectors the store holds, by name: none are computed."""

    @property
    def name(self) -> str:
        """That of the stored vectors."""
        return ENCODER


def fidelity(store: SqlStore, folder: Path) -> dict[str, Any]:
    """The texts around a thousand targets."""
    data = Data(store, folder / "split", Settings(), encoder=Random())
    samples = [Sample.of(review) for review in store.reviews(data.split.ids("test")[:1000])]
    return {"reviews": visible_reviews(data, samples).height}


def pretrain(store: SqlStore, folder: Path) -> dict[str, Any]:
    """Reviews of some users, without targets."""
    made = Split.load(folder / "split", fingerprint=store.fingerprint())
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return {"reviews": len(pretraining_reviews(store, made, 100_000, 0, work=Path(work)))}


STAGES: dict[str, Callable[[SqlStore, Path], dict[str, Any]]] = {
    stage.__name__: stage for stage in (split, load, snapshot, fidelity, pretrain)
}


def measure(stage: str, folder: Path) -> dict[str, Any]:
    """One stage, once."""
    stages = Stages()
    with SqlStore(str(folder / "store.db"), create=False) as store, stages.stage(stage) as said:
        said.update(STAGES[stage](store, folder))
    return stages.found[stage]


def apart(*options: str) -> str:
    """This program with other options, in a process of its own; what it prints."""
    threads = {"POLARS_MAX_THREADS": str(len(os.sched_getaffinity(0)))}
    command = [sys.executable, __file__, *options]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env={**threads, **os.environ}).stdout


def spread(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of the repeats of a stage; and what it printed, which is the same in all."""
    said = {name: value for name, value in found[0].items() if name not in ("seconds", "peak_gb", "resident_gb")}
    columns = {
        "wall": [one["seconds"][0] for one in found],
        "processor": [one["seconds"][1] for one in found],
        "peak_gb": [one["peak_gb"] for one in found],
    }
    return said | {name: [median(values), min(values), max(values)] for name, values in columns.items()}


def run(n: int, args: argparse.Namespace) -> dict[str, Any]:
    """All stages at one size."""
    folder = Path(tempfile.mkdtemp(dir=args.folder)) if args.keep is None else args.keep / str(n)
    try:
        if not (folder / "store.db").exists() or (folder / "reviews.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            apart("--fill", str(folder), "--sizes", str(n), "--dim", str(args.dim))
        found = {
            stage: spread([json.loads(apart("--inside", str(folder), "--stages", stage)) for _ in range(args.repeats)])
            for stage in args.stages
        }
    finally:
        if args.keep is None:
            shutil.rmtree(folder)
    return {"reviews": n, "dim": args.dim, "stages": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--dim", type=int, default=64, help="of the vectors")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where there is room; the system's own if not given")
    parser.add_argument("--keep", type=Path, help="a folder whose stores are used again")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill is not None:
        fill(args.fill, args.sizes[0], args.dim)
    elif args.inside is not None:
        print(json.dumps(measure(args.stages[0], args.inside)))
    else:
        for n in sorted(args.sizes):
            print(json.dumps(run(n, args), indent=2), flush=True)


if __name__ == "__main__":
    main()
