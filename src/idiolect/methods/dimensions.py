"""Along what E compares: DPL's three dimensions, DRP's standard that opens further ones, or a list of your own."""

from __future__ import annotations

from typing import Literal

from idiolect.config import Config


class Dimension(Config):
    """One way in which writing can differ."""

    name: str
    definition: str


class Standard(Config):
    """The standard for comparison that E is given (Delta in DPL, Delta_auto in DRP)."""

    dimensions: tuple[Dimension, ...]
    open: bool = False
    """Whether E is to find further dimensions, each with a definition of its own."""


Dimensions = Literal["fixed", "auto"] | tuple[Dimension, ...]
"""``fixed``: DPL's three. ``auto``: these first, then whatever the texts show (DRP). Else a list."""

SEEDS = (
    Dimension(name="Writing Style", definition="the choice of words and how sentences are built"),
    Dimension(name="Emotional Style", definition="the affective tone: positive, neutral or negative, and how strong"),
    Dimension(name="Semantic Style", definition="how dense the information is and how well the text hangs together"),
)
"""DPL's dimensions, which DRP judges first."""


def standard(dimensions: Dimensions) -> Standard:
    """What E is told."""
    if isinstance(dimensions, str):
        return Standard(dimensions=SEEDS, open=dimensions == "auto")
    return Standard(dimensions=dimensions)
