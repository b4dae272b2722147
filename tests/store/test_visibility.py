from __future__ import annotations

import polars as pl
import pytest

from idiolect.store.base import is_history, is_peer

ROLES = ["profile", "train", "validation", "test", None]
TABLE = {
    "fit": ({"profile", "train"}, {"profile", "train", None}),
    "validation": ({"profile", "train"}, {"profile", "train", None}),
    "test": ({"profile", "train", "validation"}, {"profile", "train", "validation", None}),
}
"""The table of docs/architecture.md: roles in the own history, roles in the peers' pool."""


@pytest.mark.parametrize("phase", TABLE)
def test_a_phase_sees_what_the_architecture_says(phase):
    frame = pl.DataFrame({"role": ROLES})
    history, pool = TABLE[phase]
    assert set(frame.filter(is_history(phase))["role"]) == history
    assert set(frame.filter(is_peer(phase, "corpus"))["role"]) == pool
    assert set(frame.filter(is_peer(phase, "split"))["role"]) == pool - {None}
