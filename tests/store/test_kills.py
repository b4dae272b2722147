"""Killed at any moment of ingest, embed, add and forget: the store opens, is in order, and a second run ends the same.

The moments are drawn at random, within the time that a whole run takes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from idiolect.store.sql import SqlStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

# What a user does, from the first command to the last; a second run finds done what was done.
PROGRAM = """
import os, sys
import numpy as np
from idiolect.encoders import HashEncoder
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

SECRET = "only-the-secret-user-writes-so "

def review(k):
    user = "secret" if k % 10 == 3 else f"u{k % 23}"
    text = (SECRET if user == "secret" else "other words ") * (k % 50)
    return Review(id=f"{user}-{k * 7919 % 1000:04}", user=user, item=f"i{k % 31}", text=text, timestamp=k)

def work(path):
    encoder = HashEncoder(16)
    with SqlStore(path) as store:
        for start in range(0, 600, 150):
            store.add([Item(id=f"i{start // 150}", category="c")], [review(k) for k in range(start, start + 150)])
        embed_missing(store, encoder, chunk=100)
        store.add([Item(id=f"i{k}", category="d") for k in range(4, 9)], [])
        store.add([], [Review(id="late", user="u1", item="i1", text="One more.", timestamp=9)])
        store.add_vectors(["late"], encoder.encode(["One more."]), encoder=encoder.name)
        store.set_peer("u5", False)
        store.forget("secret")

# Imports are paid once: every run is a child that is already warm.
for line in sys.stdin:
    if not (child := os.fork()):
        work(line.strip())
        os._exit(0)
    print(child, flush=True)  # the number first, for the child may not live long
    sys.stdin.readline()  # until then the child's number is nobody else's
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def nursery() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, **pipes) as process:
        yield process
        process.stdin.close()


def run(process, path: Path, *, kill_after: float | None = None) -> int:
    """A run's exit status; -9 where it was killed."""
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def state(path: Path) -> tuple:
    with SqlStore(path, create=False) as store:
        (encoder,) = store.encoders()
        found = store.peer_sums([f"i{k}" for k in range(31)], exclude="u7", encoder=encoder)
        groups = store.peer_group_sums(["c", "d", "", None], exclude="u7", encoder=encoder)
        reviews = store.review_frame().sort("review_id")
        vectors = store.vectors(reviews["review_id"].to_list(), encoder=encoder)
        sums = [part.tobytes() for part in (*found, *groups)]
        return store.fingerprint(), store.counts(), store.opted_out(), reviews.rows(), vectors.tobytes(), *sums


def check_whole(path: Path) -> None:
    if not path.exists():
        return
    with SqlStore(path) as store:  # which also makes one where the kill came before the first commit
        wrong = [finding.detail for finding in store.check() if not finding.ok and finding.name != "erasures"]
    assert wrong == []


def kill_often(folder: Path, n: int) -> None:
    rng = np.random.default_rng(5)
    hurt, clean = folder / "hurt" / "store.db", folder / "clean.db"
    hurt.parent.mkdir()
    with nursery() as process:
        assert run(process, folder / "warm.db") == 0
        started = time.perf_counter()
        assert run(process, clean) == 0
        seconds = time.perf_counter() - started
        killed = 0
        for k in range(n):
            if k % 3 == 0:  # from nothing; in between from where the last kill left it
                for file in hurt.parent.iterdir():
                    file.unlink()
            killed += run(process, hurt, kill_after=float(rng.uniform(0, 0.7 * seconds))) == -9
            check_whole(hurt)
        assert run(process, hurt) == 0
    assert killed >= n / 3  # the others had less left to do than a clean run
    assert state(hurt) == state(clean)
    for file in hurt.parent.iterdir():
        assert b"secret" not in file.read_bytes()


def test_ten_kills_cost_nothing(tmp_path):
    kill_often(tmp_path, 10)


@pytest.mark.slow
def test_a_hundred_kills_cost_nothing(tmp_path):
    kill_often(tmp_path, 100)
