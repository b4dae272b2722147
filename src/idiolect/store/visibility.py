"""Who may see which review in which phase (docs/architecture.md, "Visibility, per phase").

Own history and the peers' pool are separate sets: a review without a role is nobody's history and may still be a peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import polars as pl

from idiolect.types import Phase

SplitRole = Literal["profile", "train", "validation", "test"]
"""What a split says of a review: known past, or the target of a sample of that phase."""

PeerPool = Literal["corpus", "split"]
"""Whose reviews may be peers: everybody's, or only those that the split gives a role."""

HISTORY: Mapping[Phase, tuple[SplitRole, ...]] = {
    "fit": ("profile", "train"),
    "validation": ("profile", "train"),
    "test": ("profile", "train", "validation"),
}
"""Roles that are history in a phase; before a fit target only what is strictly earlier is taken from it."""

HIDDEN: Mapping[Phase, tuple[SplitRole, ...]] = {
    "fit": ("validation", "test"),
    "validation": ("validation", "test"),
    "test": ("test",),
}
"""Roles that nobody sees in a phase."""


def is_history(phase: Phase) -> pl.Expr:
    """Over a column ``role`` (null: none): is the review its user's history?"""
    return pl.col("role").is_in(HISTORY[phase]).fill_null(False)


def is_peer(phase: Phase, peers: PeerPool) -> pl.Expr:
    """Over a column ``role`` (null: none): may the review be compared with?"""
    return ~pl.col("role").is_in(HIDDEN[phase]).fill_null(peers == "split")
