"""DRP through an OpenAI-compatible endpoint, cached: a server of 64 places that takes 200 ms, in its own process.

    python benchmarks/bench_endpoint.py [--samples 200] [--latency 0.2]

200 samples at N = 8 are 18 calls each: 8 of E, 8 of V, one of S, one of G. Embeddings are there before. Prints one JSON
object. Target: at most 1.25 times ``plain``, the larger of the longest chain (four calls) and of what the server needs,
calls x latency / 64; the second run, answered from the cache, takes seconds. ``taskset -c 0`` makes client and server
share one core, and then their processor times a call add up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from idiolect.context import ContextBuilder, ContextConfig
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.openai import OpenAILLM
from idiolect.methods.drp import DRP
from idiolect.methods.peer_comparison import ComparisonConfig, PeerComparisonBuilder
from idiolect.methods.roles import Roles
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Prediction, Review, ReviewId, Sample, UserId

SERVER = Path(__file__).parents[1] / "tests" / "llm" / "chat_server.py"
PLACES = 64
STAGES = 4
DIM = 384
TEXTS = (
    "The first half drags, but the strings at the end are worth every minute of it. ",
    "I loved it so much! Would you not like to hear it twice? Get it! ",
    "It works as described, it came on time, and the price is fair for what it is. ",
)


class Timed(NamedTuple):
    """A run and what it took."""

    wall: float
    processor: float
    found: list[Prediction]


def world(folder: str, n_users: int) -> SqlStore:
    """A store in which each user wrote nine reviews, and nine users about each item; vectors are random."""
    rng = np.random.default_rng(0)
    store = SqlStore(f"{folder}/reviews.db")
    items = [Item(id=ItemId(f"i{k}"), title=f"Item {k}", description="A box. " * 20) for k in range(n_users)]
    reviews = [
        Review(
            id=ReviewId(f"r{user}-{k}"),
            user=UserId(f"u{user}"),
            item=ItemId(f"i{(user + k) % n_users}"),
            text=f"{user} {k} " + "".join(TEXTS[n] for n in rng.integers(len(TEXTS), size=6)),
            order=k,
        )
        for user in range(n_users)
        for k in range(9)
    ]
    store.add(items, reviews)
    vectors = rng.normal(size=(len(reviews), DIM))
    store.add_vectors([r.id for r in reviews], vectors / np.linalg.norm(vectors, axis=1, keepdims=True), encoder="e")
    return store


def timed(llm: LLM, store: SqlStore, samples: list[Sample]) -> Timed:
    """DRP over all samples."""
    comparisons = PeerComparisonBuilder(store, ComparisonConfig(retriever="recency"), encoder="e")
    method = DRP(
        Roles.shared(llm, SamplingParams(temperature=0)),
        ContextBuilder(store, ContextConfig(k=8), encoder=None),
        comparisons,
    )
    wall, processor = time.perf_counter(), time.process_time()
    found = method.generate(samples)
    return Timed(time.perf_counter() - wall, time.process_time() - processor, found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.2)
    options = parser.parse_args()
    command = [sys.executable, str(SERVER), str(options.latency), "", ANSWER]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    config = OpenAIConfig(model="m", base_url=server.stdout.readline().strip(), schemas=False)
    samples = [Sample(user=UserId(f"u{k}"), item=ItemId("i0"), title=f"New {k}") for k in range(options.samples)]
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            world(folder, options.samples) as store,
            Cache(f"{folder}/c.db") as cache,
            OpenAILLM(config) as endpoint,
        ):
            timed(endpoint, store, samples[:1])
            first = timed(CachedLLM(endpoint, cache), store, samples)
            second = timed(CachedLLM(endpoint, cache), store, samples)
        served = psutil.Process(server.pid).cpu_times()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    print(
        json.dumps(
            {key: round(value, 3) for key, value in figures(first, second, options.latency).items()}
            | {"server_cpu_s": round(served.user + served.system, 2)}
        )
    )


def figures(first: Timed, second: Timed, latency: float) -> dict[str, float]:
    """What is printed."""
    calls = sum(usage.calls for one in first.found for usage in one.usage.values())
    plain = max(STAGES * latency, calls * latency / PLACES)
    return {
        "calls": calls,
        "seconds": first.wall,
        "plain": plain,
        "ratio": first.wall / plain,
        "client_cpu_s": first.processor,
        "client_cpu_ms_per_call": 1e3 * first.processor / calls,
        "second_run_seconds": second.wall,
        "failed": sum(one.failure is not None for one in first.found),
    }


ANSWER = """---
[Exclamations]
Definition: how sentences end
Difference Description: The user exclaims more than others, {n} times so.
---
[Humour]
Definition: wit
Difference Description: The user has a drier wit than others, {n} times so.
---
"""
"""What the server says to everything, each time in other words, so that nothing is saved by having read it before; one
difference is left for V in every comparison."""


if __name__ == "__main__":
    main()
