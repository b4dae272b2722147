"""Bytes per review in every place that holds a corpus: SQLite, PostgreSQL, Parquet, a snapshot, sums and differences.

    python benchmarks/bench_sizes.py [--reviews 20000] [--dim 384] [--postgres URL] [--repeats 3]

Reviews are made up: a hundred words of a Zipf-distributed vocabulary (some 550 characters), n/15 users, n/40 items,
random vectors (which do not compress). A store's size is that of its file or database after everything is written,
indexes included. With the URL of a PostgreSQL database that may be made anew, that store is measured as well.

``seconds``: wall time to fill a store, [median, least, most] of the repeats, in turn. ``postgresql, inserts`` is the
same without COPY.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import sqlalchemy as sa

from idiolect.data import SplitConfig, make_split
from idiolect.difference.bulk import differences
from idiolect.store import engine
from idiolect.store import schema as tables
from idiolect.store.parquet import export_folder
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

BLOCK = 5000


def reviews(n: int) -> list[Review]:
    """Made-up reviews."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmno"), rng.integers(3, 9))) for _ in range(5000)]
    ranks = np.minimum(rng.zipf(1.2, (n, 100)), len(words)) - 1
    users, items = rng.integers(0, n // 15, n), rng.integers(0, n // 40, n)
    return [
        Review(
            id=ReviewId(f"review-{k:012d}"), user=UserId(f"user-{users[k]:09d}"), item=ItemId(f"item-{items[k]:09d}"),
            text=" ".join(words[rank] for rank in ranks[k]), rating=4.0, title="a title of a few words",
            timestamp=1_400_000_000 + k, order=k,
        )
        for k in range(n)
    ]  # fmt: skip


def fill(where: str, made: list[Review], dim: int) -> float:
    """Reviews, items and vectors into a store; seconds."""
    rng, started = np.random.default_rng(1), time.perf_counter()
    items = [Item(id=ItemId(name), title="an item", category="things") for name in sorted({one.item for one in made})]
    with SqlStore(where) as store:
        store.add(items, made)
        for start in range(0, len(made), BLOCK):
            some = [one.id for one in made[start : start + BLOCK]]
            store.add_vectors(some, rng.uniform(-1.7, 1.7, (len(some), dim)) / dim**0.5, encoder="random")
    return time.perf_counter() - started


def empty(url: str) -> None:
    """Drop the tables of a store."""
    made = sa.create_engine(engine._url(url))
    tables.metadata.drop_all(made)
    made.dispose()


def size(path: Path, pattern: str = "*") -> int:
    """Bytes of a file, or of the files of a folder."""
    return path.stat().st_size if path.is_file() else sum(one.stat().st_size for one in path.glob(pattern))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--postgres")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    made = reviews(args.reviews)
    found = {"text (UTF-8)": sum(len(one.text.encode()) for one in made), "vectors (float16)": 2 * args.dim * len(made)}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        file = ""
        for number in range(max(1, args.repeats)):
            file = str(work / f"store-{number}.db")
            seconds.setdefault("sqlite", []).append(fill(file, made, args.dim))
            if args.postgres:
                for name, copied in (("postgresql, inserts", len(made) + 1), ("postgresql", engine._COPIED)):
                    empty(args.postgres)
                    with patch.object(engine, "_COPIED", copied):
                        seconds.setdefault(name, []).append(fill(args.postgres, made, args.dim))
        found["SQLite"] = size(Path(file))
        export_folder(file, work / "export")
        found["Parquet, reviews and items"] = sum(
            size(work / "export" / f"{name}.parquet") for name in ("reviews", "items")
        )
        found["Parquet, vectors"] = size(work / "export", "vectors-*")
        with SqlStore(file, create=False) as store:
            rules = SplitConfig.preset("small", min_item_users=1, min_peers=1)
            split = make_split(store.review_frame(), store.item_frame(), rules)
            build_snapshot(store, split.members, phase="test", encoder="random", folder=work / "snapshot")
        found["snapshot"] = size(work / "snapshot")
        differences(work / "export", work / "out")
        found["differences"] = size(work / "out", "differences-*")
        found["sums of items"] = size(work / "out", "sums-*")
        if args.postgres:
            with engine.open_engine(args.postgres, create=False).connect() as connection:
                query = sa.text("select pg_database_size(current_database())")
                found["PostgreSQL"] = connection.execute(query).scalar_one()
    taken = {name: [round(f(times), 1) for f in (median, min, max)] for name, times in seconds.items()}
    bytes_each = {name: round(value / len(made)) for name, value in found.items()}
    print(
        json.dumps({"reviews": len(made), "dim": args.dim, "bytes_per_review": bytes_each, "seconds": taken}, indent=1)
    )


if __name__ == "__main__":
    main()
