"""Split rules in polars against plain Python loops over the same rules, on synthetic corpora of growing size.

    python benchmarks/bench_split.py [--sizes 10000 100000 1000000] [--repeats 1]

Each measurement runs in its own process. Timed are the rules alone, on reviews that are already in memory: a table, or
for the loops a list of dicts. Seconds are CPU seconds of all threads: a busy machine does not distort them, and polars
gets no credit for its threads. Peak memory is that of the process with its input. Both sides must give the same split.

Prints a JSON object per size, and one of growth exponents. The two sides take turns. ``ratio`` divides the median
processor time of the loops by that of the split rules, ``ratio_of_least`` the least ones, ``spread`` is the range over
turns. An exponent is that of the median times, with its range over turns. Targets: growth exponent at most 1.1, at
least 5 times faster than the loops at a million reviews.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from bench_difference import exponent, in_turn, median, ratios

from idiolect.data import ITEM_SCHEMA, PRESETS, REVIEW_SCHEMA, SplitConfig, make_split

CONFIG = PRESETS["dpl"]
NAMES = ("reviews", "items")
Record = dict[str, Any]
Member = tuple[str, str, str]


def synthesize(n: int, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``n`` reviews by n/25 users of n/20 items, both with Zipf popularity; 2 % repeat a text, days are tied."""
    rng = np.random.default_rng(seed)
    users, items = max(n // 25, 20), max(n // 20, 20)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(400)]
    phrases = [" ".join(rng.choice(words, 9)) for _ in range(2000)]
    picks = rng.integers(0, len(phrases), (n, 4))
    gaps = np.where(rng.random(n) < 0.1, "  ", " ")
    texts = [
        gap.join((phrases[a], phrases[b], phrases[c], phrases[d]))
        for gap, (a, b, c, d) in zip(gaps, picks, strict=True)
    ]
    repeated = rng.random(n) < 0.02
    texts = ["the same words again " * 12 if again else text for again, text in zip(repeated, texts, strict=True)]
    reviews = pl.DataFrame(
        {
            "review_id": [f"r{k}" for k in range(n)],
            "user": [f"user{u:09d}" for u in _zipf(rng, users, n, exponent=0.5)],
            "item": [f"item{i:09d}" for i in _zipf(rng, items, n, exponent=0.8)],
            "rating": rng.integers(1, 6, n).astype(float),
            "title": np.where(rng.random(n) < 0.02, "", "a title").tolist(),
            "text": texts,
            "timestamp": rng.integers(1, 3000, n) * 86_400,
            "order": np.arange(n),
        },
        schema=REVIEW_SCHEMA,
    )
    ids = [f"item{i:09d}" for i in range(items)]
    columns = {"item": ids, "title": ["t"] * items, "description": ["word " * 30] * items, "category": [""] * items}
    return reviews, pl.DataFrame(columns, schema=ITEM_SCHEMA)


def _zipf(rng: np.random.Generator, kinds: int, n: int, *, exponent: float) -> np.ndarray:
    weights = np.arange(1, kinds + 1) ** -exponent
    return rng.permutation(kinds)[np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(n))]


def loop_split(reviews: list[Record], items: list[Record], config: SplitConfig) -> list[Member]:
    """(review id, user, role) of every member, by dicts, sets and loops."""
    rows = loop_filter(reviews, items, config)
    rows = loop_core(rows, config)
    rows = [row | {"text": re.sub(r"\s+", " ", row["text"]).strip()} for row in rows]
    profiles, targets = {}, {}
    for user, own in by_user(rows).items():
        ordered = sorted(loop_unique(own), key=lambda row: row["timestamp"])
        profiles[user], targets[user] = ordered[: -config.held_out], ordered[-config.held_out :]
    roles = ["train"] * config.train + ["validation"] * config.validation + ["test"] * config.test
    members = []
    for user, profile in loop_peers(profiles, config).items():
        members += [(row["review_id"], user, "profile") for row in profile]
        members += [(row["review_id"], user, role) for row, role in zip(targets[user], roles, strict=True)]
    return members


def loop_filter(reviews: list[Record], items: list[Record], config: SplitConfig) -> list[Record]:
    low, high = config.min_description_chars or 0, config.max_description_chars or sys.maxsize
    known = {item["item"] for item in items if item["title"] and low <= len(item["description"]) <= high}
    return [
        row
        for row in reviews
        if len(row["text"]) >= config.min_text_chars
        and row["title"]
        and row["rating"]
        and row["timestamp"]
        and row["item"] in known
    ]


def loop_core(rows: list[Record], config: SplitConfig) -> list[Record]:
    while True:
        fans = defaultdict(set)
        for row in rows:
            fans[row["item"]].add(row["user"])
        items = {item for item, users in fans.items() if len(users) >= config.min_item_users}
        most = config.max_user_reviews or len(rows)
        support = {user: len(loop_unique(own)) for user, own in by_user(rows).items()}
        users = {user for user, count in support.items() if config.min_user_reviews <= count <= most}
        left = [row for row in rows if row["item"] in items and row["user"] in users]
        if len(left) == len(rows):
            return left
        rows = left


def loop_unique(own: list[Record]) -> list[Record]:
    items, texts, kept = set(), set(), []
    for row in sorted(own, key=lambda row: -row["timestamp"]):
        if row["item"] not in items and row["text"] not in texts:
            items.add(row["item"])
            texts.add(row["text"])
            kept.append(row)
    return kept


def loop_peers(profiles: dict[str, list[Record]], config: SplitConfig) -> dict[str, list[Record]]:
    while True:
        fans = Counter(row["item"] for own in profiles.values() for row in own)
        narrowed = {u: [row for row in own if fans[row["item"]] >= config.min_peers] for u, own in profiles.items()}
        left = {user: own for user, own in narrowed.items() if len(own) >= config.min_profile}
        if len(left) == len(profiles):
            return left
        profiles = left


def by_user(rows: list[Record]) -> dict[str, list[Record]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["user"]].append(row)
    return grouped


def measure(side: str, folder: Path) -> None:
    """One measurement, printed as JSON (what the child process does)."""
    seconds, members = measured_polars(folder) if side == "polars" else measured_loops(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    digest = blake2b(repr(members).encode()).hexdigest()
    print(json.dumps({"seconds": seconds, "mib": peak, "members": len(members), "digest": digest}))


def measured_polars(folder: Path) -> tuple[float, list[Member]]:
    reviews, items = (pl.read_parquet(folder / f"{name}.parquet") for name in NAMES)
    start = time.process_time()
    split = make_split(reviews, items, CONFIG)
    return time.process_time() - start, split.members.rows()


def measured_loops(folder: Path) -> tuple[float, list[Member]]:
    reviews, items = ([json.loads(line) for line in (folder / f"{name}.jsonl").open()] for name in NAMES)
    start = time.process_time()
    members = loop_split(reviews, items, CONFIG)
    return time.process_time() - start, members


def in_child(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", side, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(sizes: list[int], repeats: int) -> None:
    times = []
    for n in sizes:
        runs = both_sides(n, repeats)
        if len({run["digest"] for own in runs.values() for run in own}) > 1:
            raise SystemExit(f"the two sides disagree at {n} reviews")
        seconds = {side: [run["seconds"] for run in own] for side, own in runs.items()}
        times.append(seconds["polars"])
        found = {
            "reviews": n,
            "members": runs["polars"][0]["members"],
            "repeats": repeats,
            "processor_seconds": round(median(seconds["polars"]), 3),
            "loops_seconds": round(median(seconds["loops"]), 3),
            **ratios(seconds["loops"], seconds["polars"]),
            "peak_mib": round(max(run["mib"] for run in runs["polars"])),
            "loops_peak_mib": round(max(run["mib"] for run in runs["loops"])),
        }
        print(json.dumps(found), flush=True)
    exponents = {
        f"{n} to {larger}": exponent(own, longer, larger / n)
        for (n, own), (larger, longer) in pairwise(zip(sizes, times, strict=True))
    }
    print(json.dumps({"growth_exponents": exponents}))


def both_sides(n: int, repeats: int) -> dict[str, list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, part in zip(synthesize(n), NAMES, strict=True):
            table.write_parquet(folder / f"{part}.parquet")
            table.write_ndjson(folder / f"{part}.jsonl")
        calls = {side: partial(in_child, side, folder) for side in ("polars", "loops")}
        return in_turn(repeats, calls, measure=lambda call: call())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--measure", choices=["polars", "loops"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.folder)
    else:
        compare(arguments.sizes, arguments.repeats)


if __name__ == "__main__":
    main()
