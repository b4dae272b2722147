"""A process killed in the middle of anything leaves a store that opens; a second run ends as if nothing had been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from idiolect.store.sql import SqlStore

PROGRAM = """
import os, signal, sys
import numpy as np
import idiolect.store.vectors
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

path, moment = sys.argv[1:]

def die(at):
    if at == moment:
        os.kill(os.getpid(), signal.SIGKILL)

def reviews():
    for k in range(9000):
        if k == 8500:
            die("ingest")  # two chunks are written, none is committed
        yield Review(id=f"r{k}", user=f"u{k % 50}", item=f"i{k % 70}", text="word " * (k % 50), timestamp=k)

def change_sums(*args, **kwargs):
    if args[2][0] == "i30":  # the second block of vectors
        die("before sums")
        real(*args, **kwargs)
        die("before commit")
    else:
        real(*args, **kwargs)

real, idiolect.store.vectors.change_sums = idiolect.store.vectors.change_sums, change_sums
vectors = np.random.default_rng(0).uniform(-1, 1, (9000, 4)).astype(np.float16)
with SqlStore(path) as store:
    store.add((Item(id=f"i{k}") for k in range(70)), reviews())
    for start in range(0, 9000, 1500):
        store.add_vectors([f"r{k}" for k in range(start, start + 1500)], vectors[start : start + 1500], encoder="e")
"""


def run(path: Path, moment: str) -> int:
    command = [sys.executable, "-c", PROGRAM, str(path), moment]
    return subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


def state(path: Path) -> tuple:
    with SqlStore(path, create=False) as store:
        found = store.peer_sums([f"i{k}" for k in range(70)], exclude="u7", encoder="e")
        return store.fingerprint(), store.counts(), found.sums.tobytes(), found.counts.tobytes()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_run_leaves_a_whole_store_that_a_second_run_completes(tmp_path):
    clean, hurt = tmp_path / "clean.db", tmp_path / "hurt.db"
    assert run(clean, "never") == 0
    expected = {"ingest": (0, 0), "before sums": (9000, 1500), "before commit": (9000, 1500)}
    for moment, (n_reviews, n_vectors) in expected.items():
        assert run(hurt, moment) == -9
        with SqlStore(hurt, create=False) as store:
            assert store.counts().reviews == n_reviews
            assert n_reviews - store.missing_vectors("e").height == n_vectors
            if n_vectors:
                found = store.peer_sums([f"i{k}" for k in range(70)], exclude="", encoder="e")
                assert found.counts.sum() == n_vectors
                assert np.isfinite(found.sums).all()
    assert run(hurt, "never") == 0
    assert state(hurt) == state(clean)
