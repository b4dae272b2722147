"""What a measure of style is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["Writing", "Emotion", "Semantics", "Structure", "Pragmatics"]
"""The five categories of expression (DRP, UVQ's taxonomy)."""

Unit = Literal[
    "per 100 words",
    "% of words",
    "letters per word",
    "% of sentences",
    "words per sentence",
    "per sentence",
    "words",
    "per text",
    "% of texts",
    "% of long words",
    "Guiraud's R",
    "-1 to 1",
]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that says how a text is written, whatever it is about.

    ``more`` and ``less`` finish the sentence "Compared with others, this user ...".
    """

    name: str
    category: Category
    unit: Unit
    more: str
    """Said of a user whose values are higher."""
    less: str
    """Said of a user whose values are lower."""
    attribute: str | None = None
    """The attribute of UVQ's taxonomy that it measures, such as "writing/vocabulary"; None where there is none."""
