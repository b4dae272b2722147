"""Figures of the papers from what a table found, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.errors import MissingDependencyError
from idiolect.evaluation.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, plotting
from idiolect.experiments.tables.render import title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, GREY)
Record = Mapping[str, Any]
"""What ``render.to_dict`` returns."""


def draw(record: Record, stem: Path) -> list[Path]:
    """The figure of a table as ``stem.svg`` and ``stem.png``; nothing for a mere table or without matplotlib."""
    draws = {"lines": _lines, "bars": _bars, "scatter": _scatter}.get(record["kind"])
    if draws is None or not record["blocks"]:
        return []
    paths = [stem.with_name(f"{stem.name}{ending}") for ending in (".svg", ".png")]
    try:
        for path in paths:
            draws(record, path)
    except MissingDependencyError:
        return []
    return paths


def _metrics(record: Record) -> list[str]:
    return list(dict.fromkeys(name for block in record["blocks"] for name in block["columns"]))


def _entries(block: Record, metric: str) -> dict[str, Record]:
    if metric not in block["columns"]:
        return {}
    place = block["columns"].index(metric)
    return {row: entries[place] for row, entries in block["rows"]}


def _lines(record: Record, path: Path) -> None:
    metrics = _metrics(record)
    with plotting(path, width=3.5 * len(metrics), height=3.2) as figure:
        for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            _line_panel(axes, record, metric)
        figure.tight_layout()


def _line_panel(axes: Axes, record: Record, metric: str) -> None:
    rows, colour = record["rows"], 0
    for block in record["blocks"]:
        entries = _entries(block, metric)
        for series in dict.fromkeys(own["series"] for own in rows.values()):
            of = [
                (own["x"], entries[name]) for name, own in rows.items() if own["series"] == series and name in entries
            ]
            label = f"{block['title']}{f', {series}' if series else ''}"
            ours = [(x, one["value"]) for x, one in of if x is not None and one["value"] is not None]
            theirs = [(x, one["published"]) for x, one in of if x is not None and one["published"] is not None]
            own_colour = _COLOURS[colour % len(_COLOURS)]
            if ours:
                axes.plot(*zip(*ours, strict=True), "o-", color=own_colour, label=label, markersize=4)
            if theirs:
                more = {"color": own_colour, "alpha": 0.55, "markersize": 4}
                axes.plot(*zip(*theirs, strict=True), "s--", label=f"{label} (published)", **more)
            colour += 1
    axes.set_title(title_of(metric), loc="left")
    axes.set_xlabel(record["x_title"])
    axes.grid(color="#E6E6E6", linewidth=0.7)
    axes.legend(frameon=False, fontsize=6)


def _bars(record: Record, path: Path) -> None:
    metrics, blocks = _metrics(record), record["blocks"]
    with plotting(path, width=1.2 + 3.2 * len(metrics), height=3.2) as figure:
        for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            shown = [name for name in record["rows"] if _values(blocks, metric, name)]
            width = 0.8 / max(1, len(shown))
            for k, name in enumerate(shown):
                values = [_entries(block, metric).get(name, {}) for block in blocks]
                places = [place + width * k for place, one in enumerate(values) if one.get("value") is not None]
                known = [one for one in values if one.get("value") is not None]
                heights = [one["value"] for one in known]
                spans = [
                    [one["value"] - one["low"] for one in known],
                    [one["high"] - one["value"] for one in known],
                ]
                axes.bar(places, heights, width=width * 0.92, color=_COLOURS[k % len(_COLOURS)], label=name)
                axes.errorbar(places, heights, yerr=spans, fmt="none", ecolor="#444444", elinewidth=0.9, capsize=2)
            axes.set_xticks(
                [n + width * (len(shown) - 1) / 2 for n in range(len(blocks))], [b["title"] for b in blocks]
            )
            axes.tick_params(axis="x", labelsize=7)
            axes.set_title(title_of(metric), loc="left")
            axes.legend(frameon=False, fontsize=7)
        figure.tight_layout()


def _values(blocks: Sequence[Record], metric: str, name: str) -> list[float]:
    found = (_entries(block, metric).get(name, {}).get("value") for block in blocks)
    return [value for value in found if value is not None]


def _scatter(record: Record, path: Path) -> None:
    with plotting(path, width=3.6 * len(record["blocks"]), height=3.3) as figure:
        panels = figure.subplots(1, len(record["blocks"]), squeeze=False)[0]
        for axes, block in zip(panels, record["blocks"], strict=True):
            uvq, bleu = _entries(block, "uvq"), _entries(block, "bleu")
            for name, own in record["rows"].items():
                x, y = (values.get(name, {}).get("value") for values in (uvq, bleu))
                if x is not None and y is not None:
                    series = list(dict.fromkeys(other["series"] for other in record["rows"].values()))
                    colour = _COLOURS[series.index(own["series"]) % len(_COLOURS)]
                    axes.scatter([x], [y], s=26, color=colour)
                    axes.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", size=6)
            axes.set_xlabel("UVQ (distinct valid differences a user)")
            axes.set_ylabel("BLEU")
            axes.set_title(block["title"], loc="left")
            axes.grid(color="#E6E6E6", linewidth=0.7)
        figure.tight_layout()
