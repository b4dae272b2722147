"""The split rules, all sums and all differences of a corpus that does not fit into memory, at growing sizes.

    python benchmarks/bench_large.py [--sizes 1000000 10000000] [--stages split differences] [--folder DIRECTORY]

A corpus is a Parquet file with the columns of an export (``reviews.parquet``): short made-up reviews by n/15 users of
n/40 items, both with a popularity that follows a power law. Every size is a process of its own. ``split`` filters,
narrows to the k-core and holds out (preset ``small``), then saves the split. ``differences`` adds up the vectors of all
items and categories and compares every review with its peers, out of core and in this process, from an export with
random vectors.

Seconds are [wall, processor of all threads]; making the corpus is not timed. Memory is, in GB, the highest anonymous
memory of the process (RssAnon: what cannot be dropped) and the highest resident memory (VmHWM, with mapped files), both
so far. An exponent is that of the processor's seconds from the smallest size to the largest. Targets: 20 GB on two
cores at a hundred million reviews, an exponent of at most 1.1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.data import ITEM_SCHEMA, REVIEW_SCHEMA, SplitConfig
from idiolect.data.scan import ParquetScan
from idiolect.data.split import write_split
from idiolect.difference.bulk import differences

BLOCK = 1_000_000
RULES = SplitConfig.preset("small")
NO_ITEMS = pl.DataFrame(schema=ITEM_SCHEMA)


def power_law(rng: np.random.Generator, rows: int, kinds: int, exponent: float) -> np.ndarray:
    """int64 (rows,) within [0, kinds), the k-th with a share of about ``k ** -exponent``."""
    rest = 1 - exponent
    return np.minimum((rng.random(rows) * (kinds**rest - 1) + 1) ** (1 / rest) - 1, kinds - 1).astype(np.int64)


def block(rng: np.random.Generator, start: int, rows: int, n: int, phrases: pl.Series) -> pl.DataFrame:
    """``rows`` reviews of a corpus of ``n``; one text in fifty is one of a few, so that users repeat themselves."""
    texts = [phrases.gather(rng.integers(0, len(phrases), rows)) for _ in range(4)]
    rare = pl.Series(rng.random(rows) < 0.02)
    frame = pl.DataFrame(
        {
            "review_id": pl.int_range(start, start + rows, eager=True),
            "user": power_law(rng, rows, n // 15, 0.5),
            "item": power_law(rng, rows, n // 40, 0.8),
            "rating": rng.integers(1, 6, rows).astype(float),
            "title": pl.repeat("", rows, eager=True),
            "timestamp": rng.integers(1_000_000_000, 1_600_000_000, rows) // 86_400 * 86_400,
            "order": pl.int_range(start, start + rows, eager=True),
        }
    )
    said = pl.select(pl.when(rare).then(pl.lit("the same words again " * 4)).otherwise(pl.concat_str(texts)))
    return frame.with_columns(
        review_id=pl.concat_str(pl.lit("r"), "review_id"),
        user=pl.concat_str(pl.lit("u"), "user"),
        item=pl.concat_str(pl.lit("i"), "item"),
        text=said.to_series(),
    )


def write_corpus(path: Path, n: int) -> None:
    """``n`` reviews of some 80 characters as a Parquet file."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmno"), rng.integers(3, 9))) for _ in range(5000)]
    phrases = pl.Series([" ".join(words[k] for k in row) + " " for row in rng.integers(0, len(words), (100_000, 3))])
    writer = None
    for start in range(0, n, BLOCK):
        table = block(rng, start, min(BLOCK, n - start), n, phrases).select(*REVIEW_SCHEMA).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=BLOCK // 4)
    if writer is not None:
        writer.close()


def complete_export(folder: Path, n: int, dim: int) -> None:
    """What an export has beside ``reviews.parquet``: items of twenty categories, and random vectors."""
    rng = np.random.default_rng(1)
    items = pl.DataFrame({"item": pl.int_range(n // 40, eager=True)})
    items = items.select(
        item=pl.concat_str(pl.lit("i"), "item"), category=pl.concat_str(pl.lit("c"), pl.col("item") % 20)
    )
    items.write_parquet(folder / "items.parquet")
    pl.DataFrame(schema={"user": pl.String}).write_parquet(folder / "not_peers.parquet")
    schema = pa.schema([("review_id", pa.string()), ("vector", pa.binary(2 * dim))])
    with (
        pq.ParquetFile(folder / "reviews.parquet") as file,
        pq.ParquetWriter(folder / "vectors-0.parquet", schema, compression="zstd") as writer,
    ):
        for batch in file.iter_batches(65_536, columns=["review_id"]):
            halves = (rng.uniform(-1.7, 1.7, (len(batch), dim)) / dim**0.5).astype("<f2")
            vectors = pa.Array.from_buffers(schema.field(1).type, len(batch), [None, pa.py_buffer(halves.tobytes())])
            writer.write_batch(pa.record_batch([batch.column(0).cast(pa.string()), vectors], schema=schema))
    head = {"format": 1, "fingerprint": "", "encoders": [{"name": "random", "dim": dim, "file": "vectors-0.parquet"}]}
    (folder / "store.json").write_text(json.dumps(head))


class Peak(threading.Thread):
    """Watches the process' anonymous memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous = 0.0
        self.start()

    def run(self) -> None:
        """Look ten times a second."""
        while True:
            self.anonymous = max(self.anonymous, status("RssAnon"))
            time.sleep(0.1)


def status(name: str) -> float:
    """A line of the process' status, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1e6


class Stages:
    """What every stage took."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._peak = Peak()

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Times a block; what is put into the dictionary is reported too."""
        said: dict[str, Any] = {}
        wall, cpu = time.perf_counter(), time.process_time()
        yield said
        taken = [round(time.perf_counter() - wall, 1), round(time.process_time() - cpu, 1)]
        memory = {"peak_gb": round(self._peak.anonymous, 2), "resident_gb": round(status("VmHWM"), 2)}
        self.found[name] = {"seconds": taken, **memory, **said}
        print(name, self.found[name], file=sys.stderr, flush=True)


def measure(n: int, stages: list[str], folder: Path, dim: int) -> dict[str, Any]:
    """Everything, once."""
    source = folder / "reviews.parquet"
    if not source.exists():  # --inside can be given a folder that has one
        subprocess.run([sys.executable, __file__, "--write", str(source), "--sizes", str(n)], check=True)
    found = Stages()
    if "split" in stages:
        with found.stage("split") as said:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                counts = write_split(
                    ParquetScan(source), NO_ITEMS, RULES, folder / "split", work=Path(work), fingerprint="none"
                )
            said.update(users=counts.users, members=counts.members, core=counts.core_rounds)
    if "differences" in stages:
        complete_export(folder, n, dim)
        with found.stage("differences") as said:
            said.update(asdict(differences(folder, folder / "differences")))
        said["output_gb"] = round(sum(p.stat().st_size for p in (folder / "differences").iterdir()) / 1e9, 2)
    return {"reviews": n, "parquet_gb": round(source.stat().st_size / 1e9, 2), "stages": found.found}


def apart(n: int, args: argparse.Namespace) -> dict[str, Any]:
    """``measure`` in a process of its own, in an empty folder that goes away afterwards."""
    with tempfile.TemporaryDirectory(dir=args.folder) as work:
        command = [sys.executable, __file__, "--sizes", str(n), "--stages", *args.stages, "--inside", work]
        command += ["--dim", str(args.dim)]
        threads = {"POLARS_MAX_THREADS": str(len(os.sched_getaffinity(0)))}
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, **threads})
    return json.loads(done.stdout)


def exponents(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """Of every stage, from one size to the other."""
    grown = math.log(large["reviews"] / small["reviews"])
    took = {
        name: (small["stages"][name]["seconds"][1], large["stages"][name]["seconds"][1]) for name in small["stages"]
    }
    return {name: round(math.log(after / before) / grown, 2) for name, (before, after) in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--stages", nargs="+", default=["split", "differences"])
    parser.add_argument("--dim", type=int, default=64, help="of the vectors")
    parser.add_argument("--folder", type=Path, help="where there is room; the system's own if not given")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write is not None:
        write_corpus(args.write, args.sizes[0])
    elif args.inside is not None:
        print(json.dumps(measure(args.sizes[0], args.stages, args.inside, args.dim)))
    else:
        found = [apart(n, args) for n in sorted(args.sizes)]
        print(json.dumps({"cores": len(os.sched_getaffinity(0)), "runs": found}, indent=2))
        if len(found) > 1:
            print(json.dumps({"growth_exponents": exponents(found[0], found[-1])}))


if __name__ == "__main__":
    main()
