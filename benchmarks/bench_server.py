"""What the server adds to an answer, beside a plain FastAPI proxy that adds nothing, in the same run.

    python benchmarks/bench_server.py [--reviews 20000] [--clients 1 16] [--seconds 10]
    python benchmarks/bench_server.py --reviews 100000 --clients 64 --seconds 60 --model-ms 1000
    python benchmarks/bench_server.py ... --store postgresql://user@host/empty --servers 2

An upstream, the plain proxy, one or more ``idiolect serve`` and this program are processes of their own. It sends chats
in users' voices (RAG), and then a mix of these and new reviews (one in five). Overhead is the latency of a chat minus
that of the same chat through the plain proxy. ``--model-ms`` is the time that the upstream takes for an answer: without
it, clients send as fast as they are answered, and many of them measure how long they wait for each other.

Prints one JSON object. ``cpu_ms`` is processor time per request, which other programs on the machine disturb little;
``lost`` counts acknowledged reviews that are not in the store afterwards, and ``faults`` what its check found.
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
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from idiolect.difference.stylometry.encoder import StyleEncoder
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

KEY = "benchmark-key-of-more-than-24-characters"
UPSTREAM = """
import asyncio, os
from fastapi import FastAPI
app = FastAPI()
@app.post("/v1/chat/completions")
async def answer():
    await asyncio.sleep(float(os.environ["MODEL_SECONDS"]))
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
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=256), timeout=60) as app.state.http:
        yield
app = FastAPI(lifespan=lifespan)
@app.post("/v1/chat/completions")
async def forward(request: Request):
    body = await request.json()
    return (await request.app.state.http.post(os.environ["UPSTREAM"] + "/v1/chat/completions", json=body)).json()
"""
WORDS = tuple("the a fine odd tea album strap motor was is not very quite good! bad, slow. I you we it".split())  # noqa: SIM905
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Started:
    """A process that answers at an address."""

    url: str
    pid: int

    def cpu(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass
class Load:
    """What clients saw."""

    chat: list[float] = field(default_factory=list)
    """Seconds."""
    add: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Of acknowledged reviews."""
    errors: Counter[str] = field(default_factory=Counter)
    """By status and code."""
    cpu: float = 0.0
    """Seconds of all processes that answered."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        n = max(1, len(self.chat) + len(self.add))
        found = {"chat": quantiles(self.chat), "cpu_ms": round(1000 * self.cpu / n, 2)}
        found["errors"] = dict(self.errors)
        return found | ({"add": quantiles(self.add)} if self.add else {})


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Number, p50 and p99 in milliseconds."""
    if not len(seconds):
        return {"n": 0}
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return {"n": len(seconds), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def fill(where: str | Path, n: int) -> list[str]:
    """A store of ``n`` reviews, twenty a user, ten users an item; its users."""
    rng = np.random.default_rng(0)
    n_users, n_items = max(1, n // 20), max(1, n // 10)
    items = [
        Item(id=ItemId(f"i{k}"), title=f"Item {k}", description=" ".join(rng.choice(WORDS, 8))) for k in range(n_items)
    ]
    encoder = StyleEncoder()
    with SqlStore(where) as store:
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


def started(stack: ExitStack, command: list[str], path: str, **variables: str) -> Started:
    """A process that answers at ``path``; ``command`` ends where a port is missing."""
    port = free_port()
    process = subprocess.Popen([*command, str(port)], env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        time.sleep(0.1)
        try:
            httpx2.get(url + path, timeout=5)
        except httpx2.HTTPError:
            continue
        return Started(url, process.pid)
    raise SystemExit(f"{command} does not answer")


async def load(
    servers: Sequence[Started],
    users: Sequence[str],
    clients: int,
    seconds: float,
    *,
    spread: float = 0.0,
    writes: bool = False,
) -> Load:
    """Send chats and, one in five, reviews; each client keeps to one server and begins within ``spread`` seconds."""
    found, before = Load(), sum(server.cpu() for server in servers)
    end = time.perf_counter() + seconds
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)

    async def client(http: httpx2.AsyncClient, url: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        await asyncio.sleep(max(spread, seconds / 50) * seed / clients)  # so that they do not move in step
        for n in range(10**9):
            if time.perf_counter() > end:
                return
            user, item = users[int(rng.integers(len(users)))], f"i{rng.integers(1000)}"
            adds = writes and n % 5 == 4
            ask = [{"role": "user", "content": "Write a short text about a quiet motor."}]
            body: dict[str, Any] = {"model": "idiolect/rag", "messages": ask, "user": user}
            if adds:
                body = {"user": user, "item": item, "text": f"New {seed} {n}: " + " ".join(rng.choice(WORDS, 40))}
            began = time.perf_counter()
            try:
                answer = await http.post(url + ("/v1/reviews" if adds else "/v1/chat/completions"), json=body)
            except httpx2.HTTPError as error:
                found.errors[type(error).__name__] += 1
                continue
            (found.add if adds else found.chat).append(time.perf_counter() - began)
            if answer.status_code != 200:
                found.errors[f"{answer.status_code} {answer.text[:200]}"] += 1
            if adds and answer.status_code == 200:
                found.ids += answer.json()["ids"]

    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=60) as http:
        await asyncio.gather(*(client(http, servers[n % len(servers)].url, n) for n in range(clients)))
    found.cpu = sum(server.cpu() for server in servers) - before
    return found


def serve(stack: ExitStack, folder: Path, store: str, upstream: str, n: int) -> list[Started]:
    """So many ``idiolect serve`` on one store."""
    limits = ("rate_per_minute=10000000", "burst=1000000", "concurrency=64", "waiting=256")
    command = [sys.executable, "-m", "idiolect.cli.main", "serve", "--store", store, "--upstream", f"{upstream}/v1"]
    command += ["--model", "m", *(part for one in limits for part in ("--set", one))]
    return [
        started(stack, [*command, "--data", str(folder / f"data{k}"), "--port"], "/readyz", IDIOLECT_SERVE_KEY=KEY)
        for k in range(n)
    ]


def compared(proxy: Started, served: Sequence[Started], users: Sequence[str], clients: int, asked: Any) -> Any:
    """The three loads of so many clients, and what is to be in the store."""
    seconds, spread = asked.seconds, asked.model_ms / 1000  # an answer's time apart, or they would ask all at once
    asyncio.run(load(served, users, clients, 2))  # warm
    asyncio.run(load([proxy], users, clients, 1))
    plain = asyncio.run(load([proxy], users, clients, min(seconds, 20), spread=spread))
    chats = asyncio.run(load(served, users, clients, min(seconds, 20), spread=spread))
    mixed = asyncio.run(load(served, users, clients, seconds, spread=spread, writes=True))
    base = quantiles(plain.chat)
    overhead = {
        name: {p: round(quantiles(one.chat)[f"{p}_ms"] - base[f"{p}_ms"], 2) for p in ("p50", "p99")}
        for name, one in (("chats", chats), ("mixed", mixed))
    }
    run = {
        "clients": clients,
        "plain_proxy": plain.record(),
        "chats": chats.record(),
        "mixed": mixed.record(),
        "overhead_ms": overhead,
        "load_of_machine": round(os.getloadavg()[0], 1),
    }
    return run, mixed.ids


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=20_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--model-ms", type=float, default=0)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--store", default="", help="an empty database; a new SQLite file if not given")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        store = asked.store or str(folder / "store.db")
        users = fill(store, asked.reviews)
        (folder / "upstream.py").write_text(UPSTREAM, encoding="utf-8")
        (folder / "proxy.py").write_text(PROXY, encoding="utf-8")
        run = [sys.executable, "-m", "uvicorn", "--app-dir", name, "--log-level", "error"]
        model_seconds = str(asked.model_ms / 1000)
        upstream = started(stack, [*run, "upstream:app", "--port"], "/docs", MODEL_SECONDS=model_seconds).url
        proxy = started(stack, [*run, "proxy:app", "--port"], "/docs", UPSTREAM=upstream)
        served = serve(stack, folder, store, upstream, asked.servers)
        result: dict[str, Any] = {**vars(asked), "store": store.partition("://")[0] if asked.store else "sqlite"}
        result |= {"cores": os.cpu_count(), "runs": []}
        acknowledged: list[str] = []
        for clients in asked.clients:
            found, ids = compared(proxy, served, users, clients, asked)
            result["runs"].append(found)
            acknowledged += ids
        with SqlStore(store, create=False) as database:
            unique = list(dict.fromkeys(acknowledged))
            result["acknowledged"] = len(acknowledged)
            result["lost"] = len(acknowledged) - len(database.reviews_if_known([ReviewId(id) for id in unique]))
            result["faults"] = [finding.detail for finding in database.check() if not finding.ok]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
