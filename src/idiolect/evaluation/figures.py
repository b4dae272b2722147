"""Figures whose bytes depend on nothing but what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from idiolect.data.output_files import atomic_write
from idiolect.errors import ConfigError, require
from idiolect.evaluation.significance import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7"
"""Okabe and Ito's colours, which colour-blind readers can distinguish."""
GREY = "#7A7A7A"

_FORMATS: Mapping[str, Mapping[str, None]] = {".svg": {"Date": None, "Creator": None}, ".png": {"Software": None}}
"""By ending: what would make the bytes depend on when and by which version they were written."""
_STYLE = {
    "svg.hashsalt": "idiolect",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "savefig.bbox": "tight",
}


@contextmanager
def plotting(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure of a size in inches, written where drawing it raised nothing; matplotlib's settings stay as they were.

    Raises:
        ConfigError: ``path`` ends neither in .svg nor in .png.
        MissingDependencyError: matplotlib is not installed.
    """
    if path.suffix not in _FORMATS:
        raise ConfigError(f"cannot draw {path.name!r}", hint="a name that ends in .svg or .png")
    matplotlib = require("matplotlib", extra="plots")
    make = require("matplotlib.figure", extra="plots").Figure
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = make(figsize=(width, height))
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        kind, metadata = path.suffix[1:], dict(_FORMATS[path.suffix])
        atomic_write(path, lambda part: figure.savefig(part, format=kind, metadata=metadata, dpi=160))


class IntervalRow(NamedTuple):
    """A row of ``draw_intervals``."""

    label: str
    found: Interval
    colour: str


def draw_intervals(axes: Axes, rows: Sequence[IntervalRow], *, xlabel: str) -> None:
    """Values with their intervals, a row each in their order from the top, and a line at 0."""
    n = len(rows)
    for place, row in enumerate(reversed(rows)):
        axes.plot([row.found.low, row.found.high], [place, place], color=row.colour, linewidth=1.6)
        axes.plot(row.found.value, place, "o", color=row.colour, markersize=5)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(n), [row.label for row in reversed(rows)])
    axes.set_ylim(-0.7, n - 0.3)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
