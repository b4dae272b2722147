"""Difference-aware personalization of language models."""

from __future__ import annotations

from idiolect.types import Item, Prediction, Review, Sample

__version__ = "0.1.0"

__all__ = ["Item", "Prediction", "Review", "Sample", "__version__"]
