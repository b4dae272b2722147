"""From a file of reviews to every difference, at growing sizes: seconds, peak memory, growth exponents.

    python benchmarks/bench_scale.py [--sizes 100000 1000000] [--dim 64] [--repeats 1] [--folder DIRECTORY]

Reviews are short and synthetic; users and items follow Zipf's law. Every size is a process of its own and goes the way
that a user's file goes: ingested from JSON lines into a store on the disk, vectors stored with their sums (made up, for
an encoder would take all the time), split, what a phase may see written as a snapshot, and every review compared with
its peers from the store's own vectors. The file and the vectors are made before and not timed.

The sizes take turns. Seconds are [wall, processor], those of the run whose processor time is the median (the lower of
two); ``spread`` is the least and the largest processor time of the runs. Memory is the process' peak so far, in GB. An
exponent is that of the processor's seconds from the smallest size to the largest, with its range over turns. Targets:
24 GB and 2 cores at ten million reviews, an exponent of at most 1.1.
Ten million (``--sizes 100000 10000000``) need some 15 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import polars as pl
from bench_difference import exponent, in_turn

from idiolect.data import SplitConfig
from idiolect.data.split import make_split
from idiolect.difference.latent import all_differences
from idiolect.store.frames import StoreScan, item_frame, review_frame
from idiolect.store.ingestion import ingest_files
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.store.vectors import find_encoder, vector_batches
from idiolect.types import ReviewId

ENCODER = "random"
BLOCK = 100_000
RULES = SplitConfig.preset("small")
STAGES = ("ingest", "vectors", "split", "snapshot", "differences")


def zipf(rng: np.random.Generator, n: int, kinds: int, exponent: float) -> np.ndarray:
    """``n`` draws within [0, kinds), the k-th with a share of about ``k ** -exponent``."""
    edges = np.cumsum(np.arange(1, kinds + 1, dtype=np.float64) ** -exponent)
    return np.searchsorted(edges / edges[-1], rng.random(n)).clip(max=kinds - 1)


def write_reviews(path: Path, n: int) -> None:
    """``n`` reviews of some 80 characters by n/15 users about n/40 items, as JSON lines."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghijklmno"), rng.integers(3, 9))) for _ in range(5000)])
    with path.open("wb") as file:
        for start in range(0, n, BLOCK):
            rows = min(BLOCK, n - start)
            columns = [pl.Series(words[zipf(rng, rows, len(words), 0.7)]) for _ in range(13)]
            block = pl.DataFrame(
                {
                    "review_id": [f"r{k}" for k in range(start, start + rows)],
                    "user": [f"u{k}" for k in zipf(rng, rows, n // 15, 0.5).tolist()],
                    "item": [f"i{k}" for k in zipf(rng, rows, n // 40, 0.8).tolist()],
                    "rating": rng.integers(1, 6, rows),
                    "timestamp": rng.integers(1_000_000_000, 1_600_000_000, rows),
                }
            )
            block.with_columns(text=pl.concat_str(columns, separator=" ")).write_ndjson(file)


def vectors(n: int, dim: int) -> Iterator[tuple[list[ReviewId], np.ndarray]]:
    """Ids and float16 vectors of length about one, block by block."""
    rng = np.random.default_rng(1)
    for start in range(0, n, BLOCK):
        ids = [ReviewId(f"r{k}") for k in range(start, min(start + BLOCK, n))]
        yield ids, (rng.uniform(-1.7, 1.7, (len(ids), dim)) / dim**0.5).astype(np.float16)


class Stages:
    """What every stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.peak_gb: dict[str, float] = {}
        self._started = self._now()

    def done(self, stage: str, *, but: list[float] | None = None) -> None:
        """End a stage that began where the last one ended, less seconds that are not its own."""
        spent = [now - then for now, then in zip(self._now(), self._started, strict=True)]
        self.seconds[stage] = [round(own - other, 2) for own, other in zip(spent, but or [0.0, 0.0], strict=True)]
        self.peak_gb[stage] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
        self._started = self._now()

    @staticmethod
    def _now() -> list[float]:
        return [time.perf_counter(), time.process_time()]


def add_all_vectors(store: SqlStore, n: int, dim: int) -> list[float]:
    """Store every vector; the seconds that making them took."""
    making, blocks = [0.0, 0.0], vectors(n, dim)
    while True:
        before = time.perf_counter(), time.process_time()
        block = next(blocks, None)
        making = [making[0] + time.perf_counter() - before[0], making[1] + time.process_time() - before[1]]
        if block is None:
            return making
        store.add_vectors(*block, encoder=ENCODER)


def differences(store: SqlStore) -> np.ndarray:
    """How many peers every review was compared with; the differences themselves are computed and dropped."""
    with store.reading() as connection:
        who = review_frame(connection).select(pl.col("user", "item").cast(pl.Categorical).to_physical())
        found = np.concatenate([block for _, block in vector_batches(connection, find_encoder(connection, ENCODER))])
    users, items = (who[name].to_numpy() for name in ("user", "item"))
    return all_differences(found, users, items).n_peers


def measure(n: int, dim: int, folder: Path) -> dict[str, Any]:
    """Everything, once."""
    source, where = folder / "reviews.jsonl", str(folder / "store.db")
    write_reviews(source, n)
    stages = Stages()
    ingest_files(source, store=where)
    stages.done("ingest")
    with SqlStore(where, create=False) as store:
        stages.done("vectors", but=add_all_vectors(store, n, dim))
        with store.reading() as connection:
            split = make_split(StoreScan(connection), item_frame(connection), RULES)
        stages.done("split")
        build_snapshot(store, split.members, phase="test", encoder=ENCODER, folder=folder / "snapshot")
        stages.done("snapshot")
        n_peers = differences(store)
        stages.done("differences")
        return {
            "reviews": store.counts().reviews,
            "users_of_the_split": len(split.users),
            "with_peers": round(float((n_peers > 0).mean()), 3),
            "largest_crowd": int(n_peers.max()),
            "store_gb": round(Path(where).stat().st_size / 1e9, 3),
            "seconds": stages.seconds,
            "total_seconds": [round(sum(taken[k] for taken in stages.seconds.values()), 1) for k in (0, 1)],
            "peak_gb": stages.peak_gb,
        }


def apart(n: int, dim: int, folder: Path | None) -> dict[str, Any]:
    """``measure`` in a process of its own, in an empty folder that goes away afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, __file__, "--sizes", str(n), "--dim", str(dim), "--inside", work]
        threads = {"POLARS_MAX_THREADS": str(len(os.sched_getaffinity(0)))}
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, **threads})
    return json.loads(done.stdout)


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run whose processor time is the median, and the range of all."""
    took = [run["total_seconds"][1] for run in runs]
    found = runs[took.index(median_low(took))]
    return {**found, "repeats": len(runs), "spread": [min(took), max(took)]}


def exponents(small: list[dict[str, Any]], large: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every stage and of the whole, from one size to the other."""
    factor = large[0]["reviews"] / small[0]["reviews"]
    took = {name: [[run["seconds"][name][1] for run in runs] for runs in (small, large)] for name in STAGES}
    took["total"] = [[run["total_seconds"][1] for run in runs] for runs in (small, large)]
    return {name: exponent(before, after, factor) for name, (before, after) in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where there is room; the system's own for such things if not given"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        print(json.dumps(measure(args.sizes[0], args.dim, args.inside)))
        return
    sizes = sorted(set(args.sizes))
    calls = {str(n): partial(apart, n, args.dim, args.folder) for n in sizes}
    runs = list(in_turn(args.repeats, calls, measure=lambda call: call()).values())
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"dim": args.dim, "cores": cores, "runs": list(map(middle, runs))}, indent=2))
    if len(runs) > 1:
        print(json.dumps({"growth_exponents": exponents(runs[0], runs[-1])}))


if __name__ == "__main__":
    main()
