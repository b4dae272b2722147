"""The study's contrasts as a figure: who is ahead of whom, by how many nats a review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idiolect.evaluation.claims import is_control
from idiolect.evaluation.drawing import BLUE, VERMILLION, drawing


def draw_gains(contrasts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A row a contrast in their order, with its interval; over controls and over other methods in two colours.

    Args:
        contrasts: Of a section of the study's record: ``better``, ``than``, ``difference``, ``low`` and ``high``.
        path: ``.svg`` or ``.png``.

    Raises:
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    rows = list(reversed(contrasts))
    with drawing(path, width=7.2, height=0.9 + 0.27 * len(rows)) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = VERMILLION if is_control(row["than"]) else BLUE
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6)
            axes.plot(row["difference"], place, "o", color=colour, markersize=5)
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [contrast_label(row) for row in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel("gain in nats a review, 95 % interval over users")
        axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
        figure.tight_layout()


def contrast_label(contrast: Mapping[str, Any]) -> str:
    """``dep over control "wrong user"`` for a method's own control, else both names."""
    better, than = contrast["better"], contrast["than"]
    own = f"{better}: "
    return f'{better} over control "{than.removeprefix(own)}"' if than.startswith(own) else f"{better} over {than}"
