"""Measures of style in plain numbers, and how a user's differ from those of others who wrote about the same items.

They are counts of marks, closed-class words and layout in English text; no generator's phrases were looked at.
"""

from __future__ import annotations

from idiolect.difference.stylometry.measures import MEASURES, N_MEASURES, NAMES, Category, Measure, Unit, measure
from idiolect.difference.stylometry.style_difference import (
    Departure,
    Departures,
    Pairs,
    Shrinkage,
    codes,
    compare,
    departure_frame,
    departures,
    group_sums,
    in_spreads,
    item_pairs,
    spread,
)

__all__ = [
    "MEASURES",
    "NAMES",
    "N_MEASURES",
    "Category",
    "Departure",
    "Departures",
    "Measure",
    "Pairs",
    "Shrinkage",
    "Unit",
    "codes",
    "compare",
    "departure_frame",
    "departures",
    "group_sums",
    "in_spreads",
    "item_pairs",
    "measure",
    "spread",
]
