"""Figures whose bytes depend on nothing but what is drawn: no date, no random ids, text as outlines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from idiolect.corpus.atomic import write_whole
from idiolect.errors import ConfigError, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7"
"""Okabe and Ito's colours, told apart by the colour-blind."""
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
def drawing(path: Path, *, width: float, height: float) -> Iterator[Figure]:
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
        write_whole(path, lambda part: figure.savefig(part, format=kind, metadata=metadata, dpi=160))
