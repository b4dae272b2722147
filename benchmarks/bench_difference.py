"""All difference vectors of a corpus against the same arithmetic without what a corpus needs around it.

    python benchmarks/bench_difference.py [--reviews 1000000] [--dim 384] [--dtype float32]

Baselines, in the same run and in one thread:

- ``arithmetic``: Eq. 4 on rows that already lie in the order of their items: sum per item (``np.add.reduceat``), mean
  of the others, subtraction, in blocks that fit a core's cache. It does not sort, gather, put rows back, count a
  user's further reviews of an item, or check anything. This is the yardstick: any program for Eq. 4 must read, add,
  divide and write every number once.
- ``convert``: ``astype(np.float32)`` of the float16 matrix, which no arithmetic is done with.
- ``copy``: of the matrix as it is.

Prints one JSON object. Calls take turns. ``ratio`` divides the median processor times (target: at most 3), because
processor time does not depend on what else the machine does; ``ratio_of_least`` divides the least ones, and
``spread`` is the least and the largest ratio of single turns.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

import numpy as np

from idiolect.difference.latent import BLOCK, all_differences

T = TypeVar("T")


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


def arithmetic(vectors: np.ndarray, sizes: np.ndarray, rows_per_block: int) -> np.ndarray:
    """Eq. 4 on rows in the order of their items.

    Args:
        vectors: float (n, dim).
        sizes: int (n_items,): rows of each item, at least one.
        rows_per_block: Rows computed at a time; a larger item is a block of its own.
    """
    found = np.empty(vectors.shape, dtype=np.float32)
    ends = np.cumsum(sizes)
    starts, first = ends - sizes, 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + rows_per_block, side="right")))
        begin, end, n = starts[first], ends[last - 1], sizes[first:last]
        own = vectors[begin:end].astype(np.float32, copy=False)
        others = np.repeat(np.add.reduceat(own, starts[first:last] - begin, axis=0), n, axis=0)
        others -= own
        others /= np.repeat(np.maximum(n - 1, 1), n).astype(np.float32)[:, None]
        np.subtract(own, others, out=found[begin:end])
        first = last
    return found


def processor_seconds(call: Callable[[], object]) -> float:
    """Of one call, all threads of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def in_turn(
    repeats: int,
    calls: dict[str, Callable[[], Any]],
    before: Callable[[], object] = lambda: None,
    measure: Callable[[Callable[[], Any]], T] = processor_seconds,
) -> dict[str, list[T]]:
    """What each call takes, several times; the calls take turns, so that a busy moment hits all of them.

    Args:
        repeats: Turns.
        calls: By name.
        before: Called before each of them, outside its time.
        measure: Makes a call, and gives what it took.
    """
    found: dict[str, list[T]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            before()
            found[name].append(measure(call))
    return found


def ratios(own: list[float], baseline: list[float]) -> dict[str, object]:
    """Of the medians and of the least times, and the range over turns."""
    each = [a / b for a, b in zip(own, baseline, strict=True)]
    return {
        "ratio": round(median(own) / median(baseline), 2),
        "ratio_of_least": round(min(own) / min(baseline), 2),
        "spread": [round(min(each), 2), round(max(each), 2)],
    }


def exponent(small: list[float], large: list[float], factor: float) -> dict[str, object]:
    """Of the growth from one size to another, ``factor`` times as large: of the medians, and the range over turns."""
    each = [math.log(b / a) / math.log(factor) for a, b in zip(small, large, strict=True)]
    of_medians = math.log(median(large) / median(small)) / math.log(factor)
    return {"exponent": round(of_medians, 2), "spread": [round(min(each), 2), round(max(each), 2)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--threads", type=int, default=1, help="of all_differences; 0: one per core")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    halves, users, items = corpus(args.reviews, args.dim, args.seed)
    vectors = halves.astype(args.dtype)
    sizes = np.unique(items, return_counts=True)[1]
    block = max(1, BLOCK // args.dim)
    seconds = in_turn(
        args.repeats,
        {
            "differences": lambda: all_differences(vectors, users, items, threads=args.threads),
            "arithmetic": lambda: arithmetic(vectors, sizes, block),
            "convert": lambda: halves.astype(np.float32),
            "copy": vectors.copy,
        },
    )
    own = seconds.pop("differences")
    found = {
        "reviews": args.reviews,
        "dim": args.dim,
        "dtype": args.dtype,
        "items": len(sizes),
        "largest_item": int(sizes.max()),
        "repeats": args.repeats,
        "processor_seconds": round(median(own), 3),
    }
    against = {name: {"seconds": round(median(s), 3), **ratios(own, s)} for name, s in seconds.items()}
    print(json.dumps({**found, "against": against}, indent=2))


if __name__ == "__main__":
    main()
