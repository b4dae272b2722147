"""The figure of docs/real.md: gains and controls of several studies of real reviews, side by side.

    python tools/draw_real.py beers=beers/real.json albums=albums/real.json --out docs/real-gains.svg

Each argument is a title and the record that ``idiolect study real`` leaves in its folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idiolect.evaluation.figures import BLUE, VERMILLION, IntervalRow, draw_intervals, plotting
from idiolect.evaluation.significance import Interval

ROWS = 8
"""Of every study; a further row is a comparison that some studies lack."""


def rows(record: dict[str, Any]) -> list[IntervalRow]:
    """The rows of a record."""
    return [
        IntervalRow(
            row["label"],
            Interval(row["value"], row["low"], row["high"]),
            VERMILLION if row["control"] else BLUE,
        )
        for row in record["gains"][:ROWS]
    ]


def draw(records: dict[str, dict[str, Any]], out: Path) -> None:
    """A panel per study, each with a scale of its own; rows are labelled once."""
    with plotting(out, width=3.6 + 2.1 * len(records), height=0.9 + 0.27 * ROWS) as figure:
        panels = figure.subplots(1, len(records), sharey=True, squeeze=False)[0]
        for axes, (title, record) in zip(panels, records.items(), strict=True):
            draw_intervals(axes, rows(record), xlabel="")
            axes.set_title(f"{title}, {record['chosen']['users']} users", loc="left")
        panels[0].set_xlabel("nats per review, 95 % interval over users", loc="left")
        figure.tight_layout()


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", metavar="TITLE=FILE")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    named = (one.split("=", 1) for one in asked.records)
    draw({title: json.loads(Path(path).read_text(encoding="utf-8")) for title, path in named}, asked.out)


if __name__ == "__main__":
    main()
