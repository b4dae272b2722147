"""The table of measures for the documents, made from the measures themselves."""

from __future__ import annotations

from idiolect.difference.stylometry.base import Measure
from idiolect.difference.stylometry.table import MEASURES

HEAD = "| measure | category | unit | more: this user ... | less: this user ... | UVQ's attribute |"


def table() -> str:
    """Every measure as a row of a Markdown table."""
    return "\n".join((HEAD, "|---|---|---|---|---|---|", *map(_row, MEASURES)))


def _row(of: Measure) -> str:
    cells = (f"`{of.name}`", of.category, of.unit, of.more, of.less, f"`{of.attribute}`" if of.attribute else "")
    return f"| {' | '.join(cells)} |"
