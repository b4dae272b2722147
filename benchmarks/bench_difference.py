"""All difference vectors of a corpus against one copy of its vectors.

    python benchmarks/bench_difference.py [--reviews 1000000] [--dim 384]

Prints one JSON object; ``ratio`` is what counts (target: at most 5), for both times are taken on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable

import numpy as np

from idiolect.difference.latent import all_differences


def corpus(n: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors in float16, users and items as codes; item sizes are long-tailed, 1 % of reviews are repeats."""
    rng = np.random.default_rng(seed)
    vectors = np.empty((n, dim), dtype=np.float16)
    for rows in np.array_split(np.arange(n), max(1, n // 50_000)):
        block = rng.standard_normal((len(rows), dim), dtype=np.float32)
        vectors[rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
    items = np.minimum(rng.pareto(1.2, n) * n / 500, n // 8).astype(np.int64)
    users = rng.integers(0, n // 10, n)
    repeats = rng.choice(n - 1, n // 100, replace=False)
    users[repeats + 1], items[repeats + 1] = users[repeats], items[repeats]
    return vectors, users, items


def best_of(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """Seconds of each call's fastest run; the calls take turns, so that a busy moment hits all of them."""
    seconds = [[math.inf] for _ in calls]
    for _ in range(repeats):
        for times, call in zip(seconds, calls, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [min(times) for times in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    vectors, users, items = corpus(args.reviews, args.dim, args.seed)
    copy, differences = best_of(args.repeats, vectors.copy, lambda: all_differences(vectors, users, items))
    sizes = np.unique(items, return_counts=True)[1]
    print(
        json.dumps(
            {
                "reviews": args.reviews,
                "dim": args.dim,
                "items": len(sizes),
                "largest_item": int(sizes.max()),
                "copy_seconds": round(copy, 3),
                "differences_seconds": round(differences, 3),
                "ratio": round(differences / copy, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
