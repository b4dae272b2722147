"""A seeded world of reviews with ground truth."""

from __future__ import annotations

from idiolect.sandbox.traits import NAMES, TRAITS, Scores, Trait, describe
from idiolect.sandbox.world import Truth, World, WorldConfig

__all__ = ["NAMES", "TRAITS", "Scores", "Trait", "Truth", "World", "WorldConfig", "describe"]
