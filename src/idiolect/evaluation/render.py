"""A score table as Markdown, as aligned text, and as plain data for JSON; verdicts as sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from idiolect.evaluation.notes import mark_note, table_notes, unmarkable
from idiolect.evaluation.personal import Verdict
from idiolect.evaluation.report import Cell, Column, ScoreTable
from idiolect.evaluation.significance import SIGNIFICANT

_MARKUP = re.compile(r"[\\`<>\[\]]")


def to_markdown(table: ScoreTable) -> str:
    """A Markdown table: the best of each column in bold, significant differences from the baseline with a dagger."""
    grid = [[plain(name), *cells] for name, *cells in _grid(table, bold=True)]
    lines = [_line(grid[0]), _line(["---", *["---:"] * len(table.columns)]), *map(_line, grid[1:])]
    return (
        "\n".join([*lines, "", *table_notes(table), "", *(f"- `{column.signature}`" for column in table.columns)])
        + "\n"
    )


def plain(text: str) -> str:
    """A name or a category for Markdown: one line, and no links, code or HTML."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def to_text(table: ScoreTable) -> str:
    """The same as aligned plain text."""
    return (
        "\n".join([*_aligned(table), "", *table_notes(table), *(column.signature for column in table.columns)]) + "\n"
    )


def differences_to_text(tables: Sequence[ScoreTable]) -> str:
    """Every difference from a table's baseline, with its interval and corrected p, as aligned plain text.

    Args:
        tables: Of the same columns.
    """
    grid = [["difference", *(column.name for column in tables[0].columns)]]
    for table in tables:
        digits = [decimals(cells) for cells in table.by_column]
        tested = [row for row in table.rows if any(cell and cell.versus for cell in row.cells)]
        grid += [[f"{row.method} - {table.baseline}", *map(_difference, row.cells, digits)] for row in tested]
    return "\n".join(_align(grid)) + "\n"


def controls_to_text(tables: Sequence[ScoreTable]) -> str:
    """Methods and their controls as one aligned text, in those columns in which some control has a score.

    Args:
        tables: A method and its controls each, of the same columns and samples; their signatures stand elsewhere.
    """
    controls = [row for table in tables for row in table.rows if row.method != table.baseline]
    shown = [place for place in range(len(tables[0].columns)) if any(row.cells[place] for row in controls)]
    one = joined(tables)
    one = replace(
        one,
        columns=tuple(one.columns[place] for place in shown),
        rows=tuple(replace(row, cells=tuple(row.cells[place] for place in shown)) for row in one.rows),
    )
    marked = mark_note("its method", "the method's controls")
    return "\n".join([*_aligned(one), "", marked, *unmarkable(tables)]) + "\n"


def evaluations_to_text(tables: Sequence[ScoreTable]) -> str:
    """A condition in several evaluations each, as one aligned text.

    Args:
        tables: Of the same columns and samples, the baseline of each its first row.
    """
    one = joined(tables)
    marked = mark_note("the first of its condition", "the condition's scores")
    notes = [*table_notes(replace(one, baseline=None)), marked, *unmarkable(tables)]
    return "\n".join([*_aligned(one), "", *notes, *(column.signature for column in one.columns)]) + "\n"


def joined(tables: Sequence[ScoreTable]) -> ScoreTable:
    """The rows of tables of the same columns and samples, one table's after another's."""
    return replace(tables[0], rows=tuple(row for table in tables for row in table.rows))


def verdicts_to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A list of what the controls say of the methods' gains, in nats a review."""
    return "\n".join(f"- {verdict.sentence[0].upper()}{verdict.sentence[1:]}." for verdict in verdicts) + "\n"


def to_dict(table: ScoreTable) -> dict[str, Any]:
    """Plain lists, dicts, numbers and strings; a method has only the scores it has."""
    return {
        "baseline": table.baseline,
        "segments": table.segments,
        "resamples": table.resamples,
        "test": "paired randomisation",
        "clustered": table.clustered,
        "units": table.units,
        "least_p": table.least_p,
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
    return _align(_grid(table, bold=False))


def _align(grid: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a grid as plain text, its second a rule."""
    widths = [max(map(len, cells)) for cells in zip(*grid, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in grid]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _grid(table: ScoreTable, *, bold: bool) -> list[list[str]]:
    """Every cell as text, header first."""
    digits, best = map(decimals, table.by_column), map(best_of, table.columns, table.by_column)
    how = [(places, top if bold else None) for places, top in zip(digits, best, strict=True)]
    head = [f"{c.name} {'↑' if c.greater_is_better else '↓'}" for c in table.columns]
    rows = [[row.method, *(_show(cell, *of) for cell, of in zip(row.cells, how, strict=True))] for row in table.rows]
    return [["method", *head], *rows]


def _show(cell: Cell | None, digits: int, best: float | None) -> str:
    if cell is None:
        return "-"
    value, low, high = (f"{number:.{digits}f}" for number in cell.score)
    value = f"**{value}**" if cell.score.value == best else value
    return f"{value}{'†' if is_marked(cell) else ''} [{low}, {high}]"


def _difference(cell: Cell | None, digits: int) -> str:
    if cell is None or cell.versus is None:
        return "-"
    value, low, high = (f"{number:+.{digits}f}" for number in cell.versus[:3])
    return f"{value} [{low}, {high}] p {cell.p_holm:.3f}"


def is_marked(cell: Cell) -> bool:
    """Whether the score differs from the baseline's after correction."""
    return cell.p_holm is not None and cell.p_holm < SIGNIFICANT


def decimals(cells: Sequence[Cell | None]) -> int:
    """Decimals of a column: scores of at most 1 need more than percentages and likelihoods."""
    return 4 if all(cell is None or abs(cell.score.value) <= 1 for cell in cells) else 2


def best_of(column: Column, cells: Sequence[Cell | None]) -> float | None:
    """The best score of a column; None where it has none."""
    values = [cell.score.value for cell in cells if cell]
    if not values:
        return None
    return max(values) if column.greater_is_better else min(values)


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
