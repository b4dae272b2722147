"""Calls of an OpenAI-compatible endpoint, cached, against a server of 64 places that takes 200 ms, in its own process.

    python benchmarks/bench_endpoint.py [--calls 3600] [--latency 0.2]

Prints one JSON object. Target: at most 1.25 times ``plain``, which is what the server needs, calls x latency / 64;
the second run, answered from the cache, takes seconds. ``taskset -c 0`` makes client and server share one core, and
then their processor times a call add up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from idiolect.llm.base import Completion, SamplingParams
from idiolect.llm.cache import Cache
from idiolect.llm.cached import CachedLLM
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.openai import OpenAILLM
from idiolect.types import Block, Message, Prompt, ReviewId

SERVER = Path(__file__).parents[1] / "tests" / "llm" / "chat_server.py"
PLACES = 64
TEXT = "The first half drags, but the strings at the end are worth every minute of it. " * 50


def prompts(n: int) -> list[Prompt]:
    """Distinct prompts of about 4,000 characters, each made from eight reviews."""
    return [
        Prompt((Message("user", (Block((f"{k} {TEXT}",)),)),), sources=tuple(ReviewId(f"r{k}-{j}") for j in range(8)))
        for k in range(n)
    ]


def timed(llm: CachedLLM, asked: list[Prompt]) -> tuple[float, float, list[Completion]]:
    """Wall seconds, processor seconds, completions."""
    wall, processor = time.perf_counter(), time.process_time()
    found = llm.generate(asked, SamplingParams())
    return time.perf_counter() - wall, time.process_time() - processor, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=3600)
    parser.add_argument("--latency", type=float, default=0.2)
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, str(SERVER), str(options.latency)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    config = OpenAIConfig(model="m", base_url=server.stdout.readline().strip())
    asked = prompts(options.calls)
    try:
        with tempfile.TemporaryDirectory() as folder, Cache(f"{folder}/c.db") as cache, OpenAILLM(config) as endpoint:
            endpoint.generate(asked[:1], SamplingParams())
            wall, processor, found = timed(CachedLLM(endpoint, cache), asked)
            again, _, _ = timed(CachedLLM(endpoint, cache), asked)
        served = psutil.Process(server.pid).cpu_times()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    plain = options.calls * options.latency / PLACES
    result = {
        "calls": options.calls,
        "seconds": wall,
        "plain": plain,
        "ratio": wall / plain,
        "cpu_ms_per_call": 1e3 * processor / options.calls,
        "server_cpu_ms_per_call": 1e3 * (served.user + served.system) / options.calls,
        "second_run_seconds": again,
        "failed": sum(completion.failure is not None for completion in found),
    }
    print(json.dumps({k: round(v, 3) for k, v in result.items()}))


if __name__ == "__main__":
    main()
