"""Bulk work in one process against a Ray cluster on the same machine: encoding, reading files, sums and differences.

    python benchmarks/bench_ray.py [--texts 2000] [--reviews 200000] [--dim 384] [--encoder minilm] [--workers 2]
        [--repeats 1]

Both sides do the same work in the same run, in turn, from files on the same disk, and must give the same bits (vectors
of a neural encoder: the same to float16, counted). Ray's start is timed apart; loading the encoder is part of both
sides. Seconds are the medians of wall time, and of the processor time of this machine (all processes, so other work
counts: use a quiet machine, or look at the ratio only). ``ratio`` divides the median wall time with Ray by that of one
process, ``ratio_of_least`` the least ones, ``spread`` is the range over turns. One process may use all cores where a
library does (torch, polars).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from bench_difference import in_turn, median, ratios

from idiolect.difference.bulk import differences
from idiolect.engine import LOCAL, Engine, EngineName, open_engine
from idiolect.store.embedding import embed_store
from idiolect.store.ingestion import ingest_files
from idiolect.store.parquet import DERIVED
from idiolect.store.sql import SqlStore

FILES = 8


def texts(rng: np.random.Generator, n: int, words: int) -> list[str]:
    """``n`` texts of about ``words`` words."""
    known = ["".join(rng.choice(list("abcdefghijklmno"), rng.integers(3, 9))) for _ in range(2000)]
    return [" ".join(known[k] for k in row) for row in rng.integers(0, len(known), (n, words))]


def write_files(folder: Path, n: int, words: int) -> None:
    """``n`` reviews in eight files of JSON lines."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(n), FILES)):
        frame = pl.DataFrame(
            {
                "review_id": [f"r{k}" for k in rows],
                "user": [f"u{k}" for k in rng.integers(0, max(n // 15, 2), len(rows))],
                "item": [f"i{k}" for k in rng.integers(0, max(n // 40, 2), len(rows))],
                "text": texts(rng, len(rows), words),
                "rating": rng.integers(1, 6, len(rows)),
                "timestamp": rng.integers(1_000_000_000, 1_600_000_000, len(rows)),
            }
        )
        frame.write_ndjson(folder / f"{number}.jsonl")


def write_export(folder: Path, n: int, dim: int) -> None:
    """An export of ``n`` reviews with random vectors, without texts."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    reviews = pl.DataFrame(
        {
            "review_id": [f"r{k}" for k in range(n)],
            "user": [f"u{k}" for k in rng.integers(0, n // 15, n)],
            "item": [f"i{k}" for k in rng.integers(0, n // 40, n)],
        }
    )
    reviews.write_parquet(folder / "reviews.parquet", row_group_size=8192)
    items = pl.DataFrame(
        {"item": [f"i{k}" for k in range(n // 40)], "category": [f"c{k % 20}" for k in range(n // 40)]}
    )
    items.write_parquet(folder / "items.parquet")
    pl.DataFrame(schema={"user": pl.String}).write_parquet(folder / "not_peers.parquet")
    schema = pa.schema([("review_id", pa.string()), ("vector", pa.binary(2 * dim))])
    with pq.ParquetWriter(folder / "vectors-0.parquet", schema, compression="zstd") as writer:
        for start in range(0, n, 8192):
            ids = reviews["review_id"][start : start + 8192].to_list()
            halves = (rng.uniform(-1.7, 1.7, (len(ids), dim)) / dim**0.5).astype("<f2")
            vectors = pa.Array.from_buffers(schema.field(1).type, len(ids), [None, pa.py_buffer(halves.tobytes())])
            writer.write_batch(pa.record_batch([pa.array(ids), vectors], schema=schema))
    head = {"format": 1, "fingerprint": "", "encoders": [{"name": "random", "dim": dim, "file": "vectors-0.parquet"}]}
    (folder / "store.json").write_text(json.dumps(head))


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, wall and processor."""
    wall, cpu = time.perf_counter(), busy()
    work()
    return time.perf_counter() - wall, busy() - cpu


def busy() -> float:
    """Seconds that this machine's processors worked."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


def both(repeats: int, work: Callable[[EngineName], Any], before: Callable[[], Any] = lambda: None) -> dict[str, Any]:
    """What ``work`` takes on either engine, and Ray against one process by the clock."""
    runs = in_turn(repeats, {"local": lambda: work("local"), "ray": lambda: work("ray")}, before, timed)
    found: dict[str, Any] = {}
    for name, own in runs.items():
        wall, processor = (round(median(some), 2) for some in zip(*own, strict=True))
        found[name] = {"wall": wall, "processor": processor}
    wall_times = {name: [wall for wall, _ in own] for name, own in runs.items()}
    return {"repeats": repeats, **found, **ratios(wall_times["ray"], wall_times["local"])}


def reading(work: Path, n: int, workers: int, repeats: int) -> dict[str, Any]:
    """Eight files into a store."""
    write_files(work / "files", n, 40)

    def read(engine: EngineName) -> None:
        store = work / f"{engine}.db"
        store.unlink(missing_ok=True)
        ingest_files(work / "files", store=str(store), engine=engine, workers=workers)

    found, prints = both(repeats, read), set()
    for engine in ("local", "ray"):
        with SqlStore(work / f"{engine}.db", create=False) as opened:
            prints.add(opened.fingerprint())
    return {"reviews": n, **found, "equal": len(prints) == 1}


def encoding(work: Path, n: int, encoder: str, workers: int, repeats: int) -> dict[str, Any]:
    """Texts of a hundred words to stored vectors."""
    write_files(work / "texts", n, 100)
    bare, ready = work / "texts.db", work / "ready.db"
    ingest_files(work / "texts", store=str(bare))

    def encode(engine: EngineName) -> None:
        embed_store(str(ready), encoder, engine=engine, workers=workers)
        ready.replace(work / f"texts-{engine}.db")

    found, vectors = both(repeats, encode, before=lambda: shutil.copy(bare, ready)), []
    for engine in ("local", "ray"):
        with SqlStore(work / f"texts-{engine}.db", create=False) as opened:
            ids = opened.review_frame()["review_id"].to_list()
            vectors.append(opened.vectors(ids, encoder=next(iter(opened.encoders()))))
    same = float((vectors[0] == vectors[1]).mean())
    return {"texts": n, "encoder": encoder, **found, "equal_components": same}


def comparing(work: Path, n: int, dim: int, engines: dict[str, Engine], repeats: int) -> dict[str, Any]:
    """All sums and differences of an export."""
    write_export(work / "export", n, dim)

    def compare(name: str) -> None:
        shutil.rmtree(work / name, ignore_errors=True)
        differences(work / "export", work / name, engine=engines[name], bucket_rows=n // FILES)

    found = both(repeats, compare)
    files = sorted(path.name for path in (work / "local").iterdir() if path.name != DERIVED)
    equal = all(pl.read_parquet(work / "local" / name).equals(pl.read_parquet(work / "ray" / name)) for name in files)
    return {"reviews": n, "dim": dim, **found, "equal": equal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--reviews", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    try:
        started = time.perf_counter()
        engines = {"local": LOCAL, "ray": open_engine("ray", workers=args.workers)}
        print(
            json.dumps({"workers": args.workers, "start_of_ray": round(time.perf_counter() - started, 1)}), flush=True
        )
        print(json.dumps({"differences": comparing(work, args.reviews, args.dim, engines, args.repeats)}), flush=True)
        print(json.dumps({"ingest": reading(work, args.reviews, args.workers, args.repeats)}), flush=True)
        embedded = encoding(work, args.texts, args.encoder, args.workers, args.repeats)
        print(json.dumps({"embed": embedded}), flush=True)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
