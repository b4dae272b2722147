"""Measures of style, and the differences between a user's values and those of peers on the same items.

The measures count punctuation, closed-class words and layout in English text. They were made without looking at any
generator's phrases.
"""

from __future__ import annotations

from idiolect.difference.stylometry.measures import MEASURES, N_MEASURES, NAMES, Category, Measure, Unit, measure
from idiolect.difference.stylometry.style_difference import (
    Pairs,
    Shrinkage,
    StyleDifference,
    StyleDifferences,
    codes,
    compare,
    effect_sizes,
    group_sums,
    item_pairs,
    style_difference_frame,
    style_differences,
    within_item_sd,
)

__all__ = [
    "MEASURES",
    "NAMES",
    "N_MEASURES",
    "Category",
    "Measure",
    "Pairs",
    "Shrinkage",
    "StyleDifference",
    "StyleDifferences",
    "Unit",
    "codes",
    "compare",
    "effect_sizes",
    "group_sums",
    "item_pairs",
    "measure",
    "style_difference_frame",
    "style_differences",
    "within_item_sd",
]
