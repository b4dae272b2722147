"""Measures of style in plain numbers, and how a user's differ from those of others who wrote about the same items.

They are counts of marks, closed-class words and layout in English text; no generator's phrases were looked at.
"""

from __future__ import annotations

from idiolect.difference.stylometry.base import Category, Measure, Unit
from idiolect.difference.stylometry.departure import Departure, Departures, compare, departures
from idiolect.difference.stylometry.frame import codes, departure_frame
from idiolect.difference.stylometry.measuring import measure
from idiolect.difference.stylometry.pairs import Pairs, group_sums, in_spreads, item_pairs, spread
from idiolect.difference.stylometry.shrinkage import Shrinkage
from idiolect.difference.stylometry.table import MEASURES, N_MEASURES, NAMES

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
