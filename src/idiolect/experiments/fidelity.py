"""What trait fidelity is held against in an evaluation: the reviews that are visible at test."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from idiolect.evaluation.fidelity import StyleTargets
from idiolect.experiments.data import Data
from idiolect.store.visibility import is_history, is_peer
from idiolect.types import Sample

USERS_OWN = "users' own texts"
"""Whose score is what can be hoped for."""


def style_targets(data: Data, samples: Sequence[Sample]) -> StyleTargets:
    """What the texts of test samples are held against, the same for every method.

    Only the reviews of items that matter are measured: those written about, and those their users wrote about before.
    Whoever is nobody's peer is left out of every crowd, and what is faithful to them is not known.

    Args:
        data: Store, split and settings.
        samples: Of the phase that is evaluated.
    """
    roles = data.split.members.select("review_id", "role")
    frame = data.store.review_frame().select("review_id", "user", "item", "text")
    frame = frame.filter(~pl.col("user").is_in(data.store.not_peers()))
    frame = frame.join(roles, on="review_id", how="left", maintain_order="left")
    phase = data.settings.targets.evaluated
    visible = frame.filter(is_peer(phase, data.settings.peers) | is_history(phase))
    users = pl.Series([sample.user for sample in samples], dtype=pl.String)
    asked = pl.Series([sample.item for sample in samples], dtype=pl.String)
    items = pl.concat([asked, visible.filter(pl.col("user").is_in(users.implode()))["item"]])
    return StyleTargets.of(samples, visible.filter(pl.col("item").is_in(items.implode())))
