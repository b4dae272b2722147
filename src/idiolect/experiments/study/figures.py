"""Figures of the study: contrasts in nats per review, and probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idiolect.errors import ConfigError
from idiolect.evaluation.figures import BLUE, VERMILLION, IntervalRow, draw_intervals, plotting
from idiolect.evaluation.significance import Interval
from idiolect.experiments.study.probes import Estimate, Gap, ProbeResults
from idiolect.types import ConditionId

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_gains(contrasts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A row a contrast in their order, with its interval; over controls and over other methods in two colours.

    Args:
        contrasts: Of a section of the study's record: ``better``, ``than``, ``difference``, ``low`` and ``high``.
        path: ``.svg`` or ``.png``.

    Raises:
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    rows = [
        IntervalRow(
            contrast_label(one),
            Interval(one["difference"], one["low"], one["high"]),
            VERMILLION if one["than"]["control"] else BLUE,
        )
        for one in contrasts
    ]
    with plotting(path, width=7.2, height=0.9 + 0.27 * len(rows)) as figure:
        draw_intervals(figure.subplots(), rows, xlabel="gain in nats a review, 95 % interval over users")
        figure.tight_layout()


def contrast_label(contrast: Mapping[str, Any]) -> str:
    """``dep over control "wrong user"`` for a method's own control, else both names."""
    better, than = ConditionId(**contrast["better"]), ConditionId(**contrast["than"])
    own = than.control and better == than.of
    return f'{better} over control "{than.control}"' if own else f"{better} over {than}"


class Look(NamedTuple):
    """How an input is drawn: by colour (Okabe and Ito's, for colour-blind readers), marker and dash."""

    label: str
    colour: str
    marker: str
    dash: str = "-"


LOOKS = MappingProxyType(
    {
        "e_his": Look("history", "#0072B2", "o"),
        "e_diff": Look("difference", "#D55E00", "s"),
        "both": Look("both", "#009E73", "^"),
        "shuffled": Look("wrong peers", "#7A7A7A", "X", "--"),
        "z_his": Look("code of history", "#56B4E9", "v", "-."),
        "z_diff": Look("code of difference", "#B8860B", "D", "-."),
    }
)
"""By input of the probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve with its intervals."""

    look: Look
    points: tuple[Estimate | Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One set of axes."""

    title: str
    xlabel: str
    ylabel: str
    ticks: tuple[str, ...]
    """Labels of the settings, evenly spaced."""
    lines: tuple[Line, ...]


_TITLES = {
    "anchors": ("More reviews a user", "reviews averaged for a user"),
    "peers": ("More peers a review", "peers of a review"),
    "confounding": ("Stronger item effects", "factor of genre and item effects"),
    "noise": ("Noisier reviews", "noise of a review (SD, logits)"),
}
_GAP = "e_diff - e_his"


def draw_curves(results: ProbeResults, path: Path) -> None:
    """All curves: above, how well each input recovers the users; below, what difference adds to history, paired.

    Args:
        results: Of the probes.
        path: ``.svg`` or ``.png``.

    Raises:
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    panels = probe_panels(results)
    draw_panels(panels, path, columns=len(panels) // 2)


def probe_panels(results: ProbeResults) -> list[Panel]:
    """The panels of ``draw_curves``, row by row."""
    shown = [(name, *_TITLES[name]) for name, points in results.curves.items() if points]
    scores = [
        Panel(
            title=title,
            xlabel="",
            ylabel="R² on held-out users",
            ticks=_ticks(results, name),
            lines=tuple(_score_line(results, name, key) for key in LOOKS if key in results.curves[name][0].scores),
        )
        for name, title, _ in shown
    ]
    gaps = [
        Panel(
            title="",
            xlabel=xlabel,
            ylabel="gain of difference over history",
            ticks=_ticks(results, name),
            lines=(_gap_line(results, name),),
        )
        for name, _, xlabel in shown
    ]
    return [*scores, *gaps]


def draw_panels(panels: Sequence[Panel], path: Path, *, columns: int) -> None:
    """Panels in a grid; those of one row share their vertical axis.

    Raises:
        ConfigError: ``path`` ends neither in .svg nor in .png.
        MissingDependencyError: matplotlib is not installed.
    """
    n_rows = -(-len(panels) // columns)
    with plotting(path, width=3.3 * columns, height=2.9 * n_rows) as figure:
        grid = figure.subplots(n_rows, columns, sharey="row", squeeze=False)
        for place, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            _draw(axes, panel, named=place % columns == 0)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _label_ends(axes, panel)
        figure.tight_layout()


def draw_traits(results: ProbeResults, path: Path, *, anchors: int | None = None) -> None:
    """R2 of each trait from history and from difference, the best recovered on top.

    Args:
        results: Of the probes.
        path: ``.svg`` or ``.png``.
        anchors: Which point of the curve over anchors; None: its last.

    Raises:
        ConfigError: Another ending, or no such point.
        MissingDependencyError: matplotlib is not installed.
    """
    points = {point.anchors: point for point in results.curves["anchors"]}
    anchors = max(points) if anchors is None else anchors
    if anchors not in points:
        raise ConfigError(f"no probes at {anchors} anchors", hint=f"one of {sorted(points)}")
    traits = points[anchors].traits
    names = sorted(traits["e_diff"], key=lambda name: traits["e_diff"][name].value)
    with plotting(path, width=5.2, height=0.9 + 0.22 * len(names)) as figure:
        axes = figure.subplots()
        for key, shift in (("e_his", -0.14), ("e_diff", 0.14)):
            _draw_dots(axes, [traits[key][name] for name in names], LOOKS[key], shift)
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.set_xlabel(f"R² on held-out users, {anchors} reviews a user")
        axes.legend(frameon=False, loc="lower right")
        axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
        figure.tight_layout()


def _ticks(results: ProbeResults, curve: str) -> tuple[str, ...]:
    return tuple("all" if value is None else f"{value:g}" for value in results.settings[curve])


def _score_line(results: ProbeResults, curve: str, key: str) -> Line:
    return Line(look=LOOKS[key], points=tuple(point.scores[key] for point in results.curves[curve]))


def _gap_line(results: ProbeResults, curve: str) -> Line:
    look = LOOKS["e_diff"]._replace(label="")
    return Line(look=look, points=tuple(point.gaps[_GAP] for point in results.curves[curve]))


def _draw(axes: Axes, panel: Panel, *, named: bool) -> None:
    x = np.arange(len(panel.ticks))
    for line in panel.lines:
        look = line.look
        low, high = ([getattr(point, end) for point in line.points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
        axes.plot(
            x, [p.value for p in line.points], look.dash, color=look.colour, marker=look.marker, markersize=4.5, lw=1.5
        )
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.7)
    axes.set_xticks(x, panel.ticks)
    axes.set_title(panel.title, loc="left")
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel(panel.ylabel if named else "")


def _label_ends(axes: Axes, panel: Panel) -> None:
    """Each line's name next to its last point, moved apart if they would overlap."""
    named = [line for line in panel.lines if line.look.label]
    low, high = axes.get_ylim()
    wanted = np.array([line.points[-1].value for line in named])
    for line, y in zip(named, spread(wanted, least=0.075 * (high - low)), strict=True):
        axes.annotate(
            line.look.label,
            (len(panel.ticks) - 1, y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=line.look.colour,
            annotation_clip=False,
        )


def spread(wanted: np.ndarray, *, least: float) -> np.ndarray:
    """Places at least ``least`` apart, in the order of the wanted ones and as near to them as that allows.

    Args:
        wanted: float (n,).
        least: Smallest distance of two places.

    Returns:
        float64 (n,): the least-squares solution, by pooling neighbours that meet (isotonic regression).
    """
    order = np.argsort(wanted, kind="stable")
    steps = least * np.arange(len(wanted))
    groups: list[list[float]] = []
    for value in np.asarray(wanted, dtype=np.float64)[order] - steps:
        groups.append([value])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = np.empty(len(wanted))
    placed[order] = [np.mean(group) for group in groups for _ in group] + steps
    return placed


def _draw_dots(axes: Axes, points: Sequence[Estimate], look: Look, shift: float) -> None:
    places = np.arange(len(points)) + shift
    values = [point.value for point in points]
    axes.hlines(places, [p.low for p in points], [p.high for p in points], color=look.colour, alpha=0.45, linewidth=1.8)
    axes.plot(values, places, look.marker, color=look.colour, markersize=4, label=look.label)
