from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.store import snapshot_files as keys
from idiolect.store.snapshot_files import IdIndex, KeyWriter


def write_keys(path, ids, **how):
    writer = KeyWriter(path, **how)
    writer.add(ids)
    writer.close()


@given(ids=st.lists(st.text(max_size=8), unique=True, max_size=30), others=st.lists(st.text(max_size=8), max_size=10))
def test_ids_are_found_at_their_rows_and_others_nowhere(ids, others, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "k.npy"
    write_keys(path, ids)
    found = IdIndex(np.load(path), pa.array(ids, pa.large_string())).find([*ids, *others])
    assert found.tolist() == [*range(len(ids)), *(ids.index(name) if name in ids else -1 for name in others)]


@pytest.fixture
def one_hash(monkeypatch):
    monkeypatch.setattr(keys, "_hashes", lambda ids: np.full(len(ids), 7, dtype=np.uint64))


def test_ids_of_equal_hash_are_told_apart(one_hash, tmp_path):
    ids = ["a", "b", "c"]
    write_keys(tmp_path / "k.npy", ids)
    assert IdIndex(np.load(tmp_path / "k.npy"), pa.array(ids)).find(["c", "a", "d"]).tolist() == [2, 0, -1]
