"""Difference-aware personalization of language models."""

from __future__ import annotations

from idiolect.types import Item, Prediction, Review, Sample
from idiolect.version import __version__

__all__ = ["Item", "Prediction", "Review", "Sample", "__version__"]
