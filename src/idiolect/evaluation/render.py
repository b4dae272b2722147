"""A score table as Markdown, as aligned text, and as plain data for JSON; verdicts as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from idiolect.evaluation.personal import Verdict
from idiolect.evaluation.report import Cell, Column, ScoreTable

SIGNIFICANT = 0.05
"""Corrected p below which a difference from the baseline is marked."""


def to_markdown(table: ScoreTable) -> str:
    """A Markdown table: the best of each column in bold, significant differences from the baseline with a dagger."""
    grid = _grid(table, bold=True)
    lines = [_line(grid[0]), _line(["---", *["---:"] * len(table.columns)]), *map(_line, grid[1:])]
    return "\n".join([*lines, "", *_notes(table), "", *(f"- `{column.signature}`" for column in table.columns)]) + "\n"


def to_text(table: ScoreTable) -> str:
    """The same as aligned plain text."""
    return "\n".join([*_aligned(table), "", *_notes(table), *(column.signature for column in table.columns)]) + "\n"


def controls_to_text(tables: Sequence[ScoreTable]) -> str:
    """Methods and their controls as one aligned text, in those columns in which some control has a score.

    Args:
        tables: A method and its controls each, of the same columns and samples; their signatures stand elsewhere.
    """
    rows = [row for table in tables for row in table.rows]
    controls = [row for table in tables for row in table.rows if row.method != table.baseline]
    shown = [place for place in range(len(tables[0].columns)) if any(row.cells[place] for row in controls)]
    one = replace(
        tables[0],
        columns=tuple(tables[0].columns[place] for place in shown),
        rows=tuple(replace(row, cells=tuple(row.cells[place] for place in shown)) for row in rows),
    )
    note = f"† differs from its method, p < {SIGNIFICANT} after Holm's correction over the method's controls."
    return "\n".join([*_aligned(one), "", note]) + "\n"


def verdicts_to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A list of what the controls say of the methods' gains, in nats a review."""
    return "\n".join(f"- {verdict.sentence[0].upper()}{verdict.sentence[1:]}." for verdict in verdicts) + "\n"


def to_dict(table: ScoreTable) -> dict[str, Any]:
    """Plain lists, dicts, numbers and strings; a method has only the scores it has."""
    return {
        "baseline": table.baseline,
        "segments": table.segments,
        "resamples": table.resamples,
        "clustered": table.clustered,
        "metrics": [
            {"name": c.name, "greater_is_better": c.greater_is_better, "signature": c.signature} for c in table.columns
        ],
        "methods": [
            {
                "name": row.method,
                "scores": {c.name: _plain(cell) for c, cell in zip(table.columns, row.cells, strict=True) if cell},
            }
            for row in table.rows
        ],
    }


def _plain(cell: Cell) -> dict[str, Any]:
    score = cell.score._asdict()
    return score if cell.versus is None else {**score, "versus": {**cell.versus._asdict(), "p_holm": cell.p_holm}}


def _aligned(table: ScoreTable) -> list[str]:
    """The lines of a table as plain text, its second a rule."""
    grid = _grid(table, bold=False)
    widths = [max(map(len, cells)) for cells in zip(*grid, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in grid]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _grid(table: ScoreTable, *, bold: bool) -> list[list[str]]:
    """Every cell as text, header first."""
    grid = [["method", *(f"{c.name} {'↑' if c.greater_is_better else '↓'}" for c in table.columns)]]
    grid += [[row.method] for row in table.rows]
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        digits, best = _digits(cells), _best(column, cells) if bold else None
        for line, cell in zip(grid[1:], cells, strict=True):
            line.append(_show(cell, digits, best))
    return grid


def _show(cell: Cell | None, digits: int, best: float | None) -> str:
    if cell is None:
        return "-"
    value, low, high = (f"{number:.{digits}f}" for number in cell.score)
    value = f"**{value}**" if cell.score.value == best else value
    dagger = "†" if cell.p_holm is not None and cell.p_holm < SIGNIFICANT else ""
    return f"{value}{dagger} [{low}, {high}]"


def _digits(cells: Sequence[Cell | None]) -> int:
    """Decimals of a column: scores of at most 1 need more than percentages and likelihoods."""
    return 4 if all(cell is None or abs(cell.score.value) <= 1 for cell in cells) else 2


def _best(column: Column, cells: Sequence[Cell | None]) -> float | None:
    values = [cell.score.value for cell in cells if cell]
    if not values:
        return None
    return max(values) if column.greater_is_better else min(values)


def _notes(table: ScoreTable) -> list[str]:
    drawn = "users" if table.clustered else "samples"
    notes = [f"{table.segments} samples; 95 % intervals from {table.resamples} bootstrap resamples of {drawn}."]
    if table.baseline is not None:
        notes.append(f"† differs from {table.baseline}, p < {SIGNIFICANT} after Holm's correction over the table.")
    return notes


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
