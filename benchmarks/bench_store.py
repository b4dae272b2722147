"""One user's reads on a live store and on a snapshot. ``bench_ingest.py`` compares ingest with plain sqlite3.

    python benchmarks/bench_store.py [--reviews 1000000] [--dim 384] [--calls 1000]

Prints one JSON object; durations are [wall, processor] seconds, for the second does not depend on what else the machine
does. A read is what one sample needs: the profile, the vectors of its last eight reviews, and the peer sums
of their items.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from idiolect.store.base import ReviewReader
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId

ENCODER = "random"
BLOCK = 100_000
TEXT = "The first half drags, but the strings at the end are worth every minute of it. " * 5


def reviews(n: int) -> Iterator[Review]:
    """``n`` reviews in random order of id: 20 a user on average, items long-tailed."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, max(1, n // 20), n)
    items = np.minimum(rng.pareto(1.2, n) * n / 500, n // 10).astype(np.int64)
    for order, (name, user, item) in enumerate(zip(rng.permutation(n), users, items, strict=True)):
        text = f"{order} {TEXT}"
        yield Review(
            id=ReviewId(f"r{name}"), user=UserId(f"u{user}"), item=ItemId(f"i{item}"), text=text, timestamp=order
        )


def vectors(n: int, dim: int) -> Iterator[tuple[list[ReviewId], np.ndarray]]:
    """Ids and float16 vectors of length about one, block by block, in table order."""
    names = np.random.default_rng(0).permutation(n)
    rng = np.random.default_rng(1)
    for start in range(0, n, BLOCK):
        ids = [ReviewId(f"r{name}") for name in names[start : start + BLOCK]]
        yield ids, (rng.uniform(-1.7, 1.7, (len(ids), dim)) / dim**0.5).astype(np.float16)


class Stopwatch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def read(self) -> list[float]:
        """Both, in this order."""
        now = time.perf_counter(), time.process_time()
        return [round(after - before, 2) for after, before in zip(now, self._started, strict=True)]


def ingest(store: SqlStore, n: int, dim: int) -> dict[str, list[float]]:
    """Seconds to add reviews, and to add vectors and sums."""
    known, blocks = list(reviews(n)), list(vectors(n, dim))
    watch = Stopwatch()
    store.add([], known)
    added = watch.read()
    watch = Stopwatch()
    for ids, block in blocks:
        store.add_vectors(ids, block, encoder=ENCODER)
    return {"reviews_s": added, "vectors_and_sums_s": watch.read()}


def milliseconds(call: Callable[[UserId], object], users: list[UserId]) -> dict[str, float]:
    """Median and 99th percentile over ``users``."""
    times = []
    for user in users:
        started = time.perf_counter()
        call(user)
        times.append(1000 * (time.perf_counter() - started))
    return {f"p{q}_ms": float(np.percentile(times, q)) for q in (50, 99)}


def read(reader: ReviewReader, user: UserId) -> None:
    """What one sample needs."""
    last = reader.profile(user)[-8:]
    reader.vectors([review.id for review in last], encoder=ENCODER)
    reader.peer_sums([review.item for review in last], exclude=user, encoder=ENCODER)


def live_add(store: SqlStore, user: UserId, dim: int) -> None:
    """One more review and its vector, acknowledged."""
    review = Review(id=ReviewId(f"live {user}"), user=user, item=ItemId("i7"), text=TEXT, timestamp=0)
    store.add([], [review])
    store.add_vectors([review.id], np.full((1, dim), 0.01), encoder=ENCODER)


def measure(n: int, dim: int, calls: int, folder: Path) -> dict[str, object]:
    """Everything, once, in ``folder``."""
    result: dict[str, object] = {"reviews": n, "dim": dim}
    with SqlStore(folder / "store.db") as store:
        result |= ingest(store, n, dim)
        result["file_mb"] = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
        watch = Stopwatch()
        snapshot = build_snapshot(store, members, phase="test", encoder=ENCODER, folder=folder / "snapshot")
        result["snapshot_build_s"] = watch.read()
        users = [UserId(str(user)) for user in np.random.default_rng(2).choice(snapshot.users(), calls)]
        result["snapshot_read"] = milliseconds(lambda user: read(snapshot, user), users)
        result["live_read"] = milliseconds(lambda user: read(store, user), users)
        some = list(dict.fromkeys(users))[:100]
        result["live_add"] = milliseconds(lambda user: live_add(store, user, dim), some)
        result["forget"] = milliseconds(store.forget, some)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--calls", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.reviews, arguments.dim, arguments.calls, Path(folder))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
