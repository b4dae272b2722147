"""What the server adds to an answer, beside a plain FastAPI proxy that adds nothing, in the same run.

    python benchmarks/bench_server.py [--reviews 20000] [--clients 1 16] [--seconds 10]

Four processes: an upstream that answers at once, the plain proxy, ``idiolect serve`` and this one, which sends chats in
users' voices (RAG), and then a mix of these and new reviews (one in five). Overhead is the latency of a chat minus that
of the same chat through the plain proxy. Prints one JSON object; ``lost`` counts acknowledged reviews that are not in
the store afterwards, and ``faults`` what its check found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from idiolect.difference.stylometry.encoder import StyleEncoder
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

KEY = "benchmark-key-of-more-than-24-characters"
UPSTREAM = """
from fastapi import FastAPI
app = FastAPI()
@app.post("/v1/chat/completions")
async def answer():
    message = {"role": "assistant", "content": "Good."}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
"""
PROXY = """
import os
from contextlib import asynccontextmanager
import httpx2
from fastapi import FastAPI, Request
@asynccontextmanager
async def lifespan(app):
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=256)) as app.state.http:
        yield
app = FastAPI(lifespan=lifespan)
@app.post("/v1/chat/completions")
async def forward(request: Request):
    body = await request.json()
    return (await request.app.state.http.post(os.environ["UPSTREAM"] + "/v1/chat/completions", json=body)).json()
"""
WORDS = tuple("the a fine odd tea album strap motor was is not very quite good! bad, slow. I you we it".split())  # noqa: SIM905


def fill(path: Path, n: int) -> list[str]:
    """A store of ``n`` reviews, twenty a user, ten users an item; its users."""
    rng = np.random.default_rng(0)
    n_users, n_items = max(1, n // 20), max(1, n // 10)
    items = [
        Item(id=ItemId(f"i{k}"), title=f"Item {k}", description=" ".join(rng.choice(WORDS, 8))) for k in range(n_items)
    ]
    encoder = StyleEncoder()
    with SqlStore(path) as store:
        store.add(items, [])
        for start in range(0, n, 5000):
            reviews = [
                Review(
                    id=ReviewId(f"r{k}"),
                    user=UserId(f"u{k % n_users}"),
                    item=ItemId(f"i{k * 7 % n_items}"),
                    text=" ".join(rng.choice(WORDS, 60)),
                    timestamp=k,
                )
                for k in range(start, min(n, start + 5000))
            ]
            store.add([], reviews, {encoder.name: encoder.encode([review.text for review in reviews])})
    return [f"u{k}" for k in range(n_users)]


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def started(stack: ExitStack, command: list[str], port: int, path: str, **variables: str) -> str:
    """The address of a process that answers at ``path``."""
    process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        time.sleep(0.1)
        try:
            httpx2.get(url + path, timeout=5)
        except httpx2.HTTPError:
            continue
        return url
    raise SystemExit(f"{command} does not answer")


async def load(url: str, users: list[str], clients: int, seconds: float, *, writes: bool) -> dict[str, Any]:
    """Latencies (s) of chats and reviews, the ids of added reviews, and errors."""
    found: dict[str, Any] = {"chat": [], "add": [], "ids": [], "errors": 0}
    end = time.perf_counter() + seconds
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)

    async def client(http: httpx2.AsyncClient, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for n in range(10**9):
            if time.perf_counter() > end:
                return
            user, item = users[rng.integers(len(users))], f"i{rng.integers(1000)}"
            kind = "add" if writes and n % 5 == 4 else "chat"
            body: dict[str, Any] = {
                "user": user,
                "item": item,
                "text": f"New {seed} {n}: " + " ".join(rng.choice(WORDS, 40)),
            }
            if kind == "chat":
                ask = [{"role": "user", "content": "Write a short text about a quiet motor."}]
                body = {"model": "idiolect/rag", "messages": ask, "user": user}
            began = time.perf_counter()
            answer = await http.post("/v1/reviews" if kind == "add" else "/v1/chat/completions", json=body)
            found[kind].append(time.perf_counter() - began)
            found["errors"] += answer.status_code != 200
            if kind == "add" and answer.status_code == 200:
                found["ids"] += answer.json()["ids"]

    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as http:
        await asyncio.gather(*(client(http, seed) for seed in range(clients)))
    return found


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Number, p50 and p99 in milliseconds."""
    if not seconds:
        return {"n": 0}
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return {"n": len(seconds), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=20_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, ports = Path(name), [free_port() for _ in range(3)]
        users = fill(folder / "store.db", asked.reviews)
        (folder / "upstream.py").write_text(UPSTREAM, encoding="utf-8")
        (folder / "proxy.py").write_text(PROXY, encoding="utf-8")
        run = [sys.executable, "-m", "uvicorn", "--app-dir", name, "--log-level", "error", "--port"]
        upstream = started(stack, [*run, str(ports[0]), "upstream:app"], ports[0], "/docs")
        proxy = started(stack, [*run, str(ports[1]), "proxy:app"], ports[1], "/docs", UPSTREAM=upstream)
        own = [sys.executable, "-m", "idiolect.cli.main", "serve", "--store", str(folder / "store.db"), "--data", name]
        own += [
            "--port",
            str(ports[2]),
            "--upstream",
            f"{upstream}/v1",
            "--model",
            "m",
            "--set",
            "rate_per_minute=10000000",
        ]
        own += ["--set", "burst=1000000", "--set", "concurrency=64", "--set", "waiting=256"]
        served = started(stack, own, ports[2], "/readyz", IDIOLECT_SERVE_KEY=KEY)
        result: dict[str, Any] = {"reviews": asked.reviews, "cores": os.cpu_count(), "runs": []}
        acknowledged: list[str] = []
        for clients in asked.clients:
            asyncio.run(load(served, users, clients, 1, writes=False))  # warm
            plain = asyncio.run(load(proxy, users, clients, asked.seconds, writes=False))
            chats = asyncio.run(load(served, users, clients, asked.seconds, writes=False))
            mixed = asyncio.run(load(served, users, clients, asked.seconds, writes=True))
            acknowledged += mixed["ids"]
            one, other = quantiles(plain["chat"]), quantiles(chats["chat"])
            result["runs"].append(
                {
                    "clients": clients,
                    "plain_proxy": one,
                    "chat": other,
                    "overhead_ms": {p: round(other[f"{p}_ms"] - one[f"{p}_ms"], 2) for p in ("p50", "p99")},
                    "mixed_chat": quantiles(mixed["chat"]),
                    "mixed_add": quantiles(mixed["add"]),
                    "errors": plain["errors"] + chats["errors"] + mixed["errors"],
                }
            )
        with SqlStore(folder / "store.db", create=False) as store:
            result["lost"] = len(acknowledged) - len(store.reviews([ReviewId(id) for id in set(acknowledged)]))
            result["faults"] = [finding.detail for finding in store.check() if not finding.ok]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
