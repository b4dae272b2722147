"""UVQ as figures: of which categories the differences are, and whether UVQ goes with the texts' quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from idiolect.difference.language.taxonomy import CATEGORIES
from idiolect.errors import InputError
from idiolect.evaluation.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, drawing
from idiolect.evaluation.significance import Interval
from idiolect.evaluation.uvq import Uvq

_COLOURS = dict(zip(CATEGORIES, (BLUE, VERMILLION, GREEN, ORANGE, PURPLE), strict=True))
_LEAST_WRITTEN = 0.06
"""Shares below this have no room for their number."""


class System(NamedTuple):
    """One system, or one user, as a point: UVQ against a score of the texts."""

    name: str
    """Beside the point; empty: none."""
    uvq: float
    score: float


def draw_categories(results: Mapping[str, Uvq], path: Path) -> None:
    """The share of each category among valid differences, a bar a system (the paper's category figure).

    Args:
        results: By system; the first is drawn on top.
        path: ``.svg`` or ``.png``.

    Raises:
        InputError: There is no system.
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    if not results:
        raise InputError("there is no system to draw", hint="give at least one result")
    counts = np.array([[result.distribution[name] for name in CATEGORIES] for result in results.values()], dtype=float)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    starts = np.cumsum(shares, axis=1) - shares
    with drawing(path, width=6.2, height=1.1 + 0.42 * len(results)) as figure:
        axes = figure.subplots()
        places = np.arange(len(results))
        for k, name in enumerate(CATEGORIES):
            axes.barh(places, shares[:, k], left=starts[:, k], height=0.66, color=_COLOURS[name], label=name)
            for place in map(int, np.flatnonzero(shares[:, k] >= _LEAST_WRITTEN)):
                share = float(shares[place, k])
                middle = float(starts[place, k]) + share / 2
                axes.text(middle, place, f"{share:.0%}", ha="center", va="center", color="white", size=8)
        names = [f"{name}  (n = {int(total)})" for name, total in zip(results, totals, strict=True)]
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of valid differences")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(frameon=False, ncols=len(CATEGORIES), loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)


def draw_scatter(points: Sequence[System], found: Interval, path: Path, *, metric: str = "BLEU") -> None:
    """UVQ against a score of the texts, with their correlation and its interval (the paper's Figure 2).

    Args:
        points: Systems or users, at least two.
        found: Of ``uvq_report.correlation`` over the same points.
        path: ``.svg`` or ``.png``.
        metric: What the score is called.

    Raises:
        InputError: There are fewer than two points.
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    if len(points) < 2:
        raise InputError(f"{len(points)} points show no relation", hint="give at least two systems or users")
    x, y = np.array([[point.uvq, point.score] for point in points]).T
    with drawing(path, width=4.2, height=3.4) as figure:
        axes = figure.subplots()
        if np.ptp(x) > 0:
            slope, start = np.polyfit(x, y, 1)
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, start + slope * ends, color=GREY, linewidth=1.2, linestyle="--", zorder=1)
        axes.scatter(x, y, s=24, color=BLUE, alpha=0.8, linewidths=0, zorder=2)
        for point in points:
            axes.annotate(point.name, (point.uvq, point.score), xytext=(5, 4), textcoords="offset points", size=8)
        axes.grid(color="#E6E6E6", linewidth=0.7)
        axes.set_xlabel("UVQ (distinct valid differences a user)")
        axes.set_ylabel(metric)
        axes.set_title(f"r = {found.value:.2f}  [{found.low:.2f}, {found.high:.2f}]", loc="left")
