"""Many processes read beside one that writes: every read sees one commit, whole."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

READERS = """
import os, sys, time
import sqlalchemy as sa
from idiolect.store import schema as tables
from idiolect.store.sql import SqlStore

items = [f"i{k}" for k in range(7)]

def look(store):
    with store.reading() as connection:
        meta = connection.execute(sa.select(tables.meta)).one()
        rows = connection.execute(sa.select(sa.func.count()).select_from(tables.reviews)).scalar_one()
        summed = sum(connection.scalars(sa.select(tables.item_sums.c.count)))
        stored = connection.execute(sa.select(sa.func.count()).select_from(tables.vectors)).scalar_one()
    assert meta.n_reviews == rows, (meta.n_reviews, rows)
    assert summed == stored, (summed, stored)
    found = store.peer_sums(items, exclude="nobody", encoder="e")
    assert (found.sums[:, 0] == found.counts).all(), found
    assert len(store.profile("u0")) % 40 == 0, "half of a commit"
    return rows

def read(where):
    with SqlStore(where, create=False) as store:
        os.write(1, b"ready\\n")  # whole lines, for all write to one pipe
        seen = set()
        deadline = time.monotonic() + 60  # nobody reads on where the test was cut off
        while not store.items(["the end"]) and time.monotonic() < deadline:
            seen.add(look(store))
        os.write(1, b"%d\\n" % len(seen))

# One warm process and its children: importing takes longer than reading.
children = []
for _ in range(int(sys.argv[2])):
    if not (child := os.fork()):
        try:
            read(sys.argv[1])
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
N = 4


def write(store: SqlStore) -> None:
    """Users come and go, 40 reviews a commit; every vector is (1, 0). A secure vacuum would wait for the readers."""
    for turn in range(8):
        ids = [f"t{turn}-{k}" for k in range(40)]
        reviews = [Review(id=id, user=f"u{turn % 3}", item=f"i{k % 7}", text="w " * k) for k, id in enumerate(ids)]
        store.add([], reviews)
        store.add_vectors(ids, np.tile([1.0, 0.0], (40, 1)), encoder="e")
        store.forget(f"u{(turn + 1) % 3}", vacuum=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["file", "server"])
def test_every_read_sees_a_whole_commit_next_to_a_writer(kind, tmp_path, request):
    where = str(tmp_path / "store.db") if kind == "file" else request.getfixturevalue("postgres")()
    command = [sys.executable, "-c", READERS, where, str(N)]
    with SqlStore(where) as store:
        store.add([], [Review(id="first", user="stays", item="i0", text="")])
        store.add_vectors(["first"], np.array([[1.0, 0.0]]), encoder="e")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as readers:
            assert [readers.stdout.readline() for _ in range(N)] == ["ready\n"] * N
            write(store)
            store.add([Item(id="the end")], [])
            seen = [int(line) for line in readers.communicate(timeout=120)[0].split()]
        assert readers.returncode == 0
        assert len(seen) == N
        assert max(seen) > 2
        assert store.secure_vacuum()
        assert all(finding.ok for finding in store.check())
