"""One user's context, with recency anchors, on a snapshot of one million reviews.

    python benchmarks/bench_context.py [--reviews 1000000] [--dim 384] [--calls 2000]

Prints one JSON object. Targets: p50 at most 3 ms, p99 at most 15 ms. ``plain`` reads every peer's vector and averages
instead of using item sums; both answer the same samples from the same snapshot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from idiolect.context import ContextBuilder, ContextConfig
from idiolect.store.snapshot import Snapshot
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

ENCODER = "random"
TEXT = "The first half drags, but the strings at the end are worth every minute of it. " * 3


def corpus(n: int, rng: np.random.Generator) -> tuple[list[Item], list[Review]]:
    """``n`` reviews, 30 a user on average; item sizes are long-tailed."""
    users = rng.integers(0, max(1, n // 30), n)
    items = np.minimum(rng.pareto(1.2, n) * n / 500, n // 10).astype(np.int64)
    times = rng.integers(1_000_000_000, 1_700_000_000, n)
    known = [Item(id=ItemId(f"i{item}"), title=f"Item {item}", description=TEXT) for item in np.unique(items)]
    reviews = [
        Review(
            id=ReviewId(f"r{row}"),
            user=UserId(f"u{user}"),
            item=ItemId(f"i{item}"),
            text=f"{row} {TEXT}",
            timestamp=int(time),
            order=row,
        )
        for row, (user, item, time) in enumerate(zip(users, items, times, strict=True))
    ]
    return known, reviews


def snapshot(items: list[Item], reviews: list[Review], dim: int, folder: Path, rng: np.random.Generator) -> Snapshot:
    """Everything ingested, with random vectors, and all of it visible as history and as peers."""
    with SqlStore(folder / "reviews.db") as store:
        store.add(items, reviews)
        for first in range(0, len(reviews), 20_000):
            ids = [review.id for review in reviews[first : first + 20_000]]
            vectors = rng.standard_normal((len(ids), dim), dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            store.add_vectors(ids, vectors, encoder=ENCODER)
        members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
        return build_snapshot(store, members, phase="test", encoder=ENCODER, folder=folder / "snapshot")


def plain_context(reader: Snapshot, sample: Sample, k: int) -> list[np.ndarray]:
    """The same differences by reading every peer's vector."""
    differences = []
    for review in reader.profile(sample.user)[::-1][:k]:
        peers = reader.reviews_of(review.item, exclude=sample.user)
        own, *others = reader.vectors([review.id, *(peer.id for peer in peers)], encoder=ENCODER).astype(np.float64)
        differences.append(own - np.mean(others, axis=0) if others else own * 0)
    return differences


def milliseconds(call: Callable[[Sample], object], samples: Sequence[Sample]) -> dict[str, float]:
    """Percentiles over single calls, the first of each sample."""
    seconds = []
    for sample in samples:
        start = time.perf_counter()
        call(sample)
        seconds.append(time.perf_counter() - start)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--plain-calls", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    items, reviews = corpus(args.reviews, rng)
    asked = rng.choice(len(reviews), args.calls)
    samples = [Sample(user=reviews[row].user, item=reviews[row].item) for row in asked]
    with tempfile.TemporaryDirectory() as folder:
        reader = snapshot(items, reviews, args.dim, Path(folder), rng)
        config = ContextConfig()
        builder = ContextBuilder(reader, config, encoder=ENCODER)
        context = milliseconds(lambda sample: builder.build([sample]), samples)
        plain = milliseconds(lambda sample: plain_context(reader, sample, config.k), samples[: args.plain_calls])
    ratio = round(plain["p50_ms"] / context["p50_ms"], 1)
    print(json.dumps({"reviews": args.reviews, "dim": args.dim, "context": context, "plain": plain, "ratio": ratio}))


if __name__ == "__main__":
    main()
