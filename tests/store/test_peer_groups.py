"""A snapshot's groups against a plain sum, over more rows than one step of the running sums."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from idiolect.store import snapshot as groups
from idiolect.store.snapshot import build_snapshot
from idiolect.types import Item


@pytest.fixture
def both(store, tmp_path, monkeypatch):
    """The store of 300 reviews with categories, and a snapshot that hides nothing; steps are of seven rows."""
    monkeypatch.setattr(groups, "_STEP", 7)
    store.add([Item(id=f"i{k}", category=f"c{k % 3}") for k in range(12)], [])
    store.set_peer("u3", False)
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    return store, build_snapshot(store, members, phase="test", encoder="e", folder=tmp_path / "snapshot")


@pytest.mark.parametrize("at_least", [1, 5, 15, 18, 19])
@pytest.mark.parametrize("before", [None, 0, 1, 40, 77, 1000])
def test_a_snapshot_answers_as_the_store_to_the_bit(both, before, at_least):
    groups, items = ["c0", "c1", "c2", None, "c9", ""], [f"i{k}" for k in range(17)]
    for user in ("u1", "u3", "nobody"):
        asked = {"exclude": user, "encoder": "e", "before": before, "at_least": at_least}
        for live, frozen in (
            [one.peer_group_sums(groups, **asked) for one in both],
            [one.peer_sums(items, **asked) for one in both],
        ):
            np.testing.assert_array_equal(live.sums, frozen.sums)
            np.testing.assert_array_equal(live.counts, frozen.counts)


def test_whom_others_may_be_compared_with_is_listed(both):
    live, frozen = both
    assert live.peers() == frozen.peers() == [f"u{k}" for k in sorted(map(str, range(20))) if k != "3"]
