"""Formats of a score table: Markdown, aligned text, JSON, CSV, data frames and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from idiolect.errors import require
from idiolect.evaluation.attribution import Verdict, sentences
from idiolect.evaluation.report import Cell, Column, ScoreTable, mark_note, table_notes, unmarkable
from idiolect.evaluation.significance import SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd


_MARKUP = re.compile(r"[\\`<>\[\]]")


def to_markdown(table: ScoreTable, *, signatures: bool = True) -> str:
    """A Markdown table: the best of each column in bold, significant differences from the baseline with a dagger."""
    grid = [[plain(name), *cells] for name, *cells in _grid(table, bold=True)]
    lines = [_line(grid[0]), _line(["---", *["---:"] * len(table.columns)]), *map(_line, grid[1:])]
    return (
        "\n".join([*lines, "", *table_notes(table), *(["", signature_list(table.columns)] if signatures else [])])
        + "\n"
    )


def signature_list(columns: Iterable[Column]) -> str:
    """Every signature once, as a Markdown list."""
    return "\n".join(f"- `{signature}`" for signature in dict.fromkeys(column.signature for column in columns))


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
        grid += [[f"{row.name} - {table.baseline}", *map(_difference, row.cells, digits)] for row in tested]
    return "\n".join(_align(grid)) + "\n"


def controls_to_text(tables: Sequence[ScoreTable]) -> str:
    """Methods and their controls as one aligned text, in those columns in which some control has a score.

    Args:
        tables: A method and its controls each, of the same columns and samples; their signatures stand elsewhere.
    """
    controls = [row for table in tables for row in table.rows if row.condition != table.baseline]
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
    """A list of the verdicts on the methods' gains, in nats per review."""
    return "\n".join(f"- {one[0].upper()}{one[1:]}." for one in sentences(verdicts)) + "\n"


def to_dict(table: ScoreTable) -> dict[str, Any]:
    """Plain lists, dicts, numbers and strings; a method has only the scores it has.

    The bounds of an interval are None for a single sample or user.
    """
    return {
        "baseline": None if table.baseline is None else str(table.baseline),
        "segments": table.segments,
        "resamples": table.resamples,
        "test": "paired randomisation",
        "clustered": table.clustered,
        "units": table.units,
        "min_p": table.min_p,
        "metrics": [
            {"name": c.name, "greater_is_better": c.greater_is_better, "signature": c.signature} for c in table.columns
        ],
        "methods": [
            {
                "name": row.name,
                "method": row.method,
                "control": row.control,
                "measured": row.condition.measured,
                "scores": {c.name: _plain(cell) for c, cell in zip(table.columns, row.cells, strict=True) if cell},
            }
            for row in table.rows
        ],
    }


def _plain(cell: Cell) -> dict[str, Any]:
    score = {name: None if math.isnan(number) else number for name, number in cell.score._asdict().items()}
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
    rows = [[row.name, *(_show(cell, *of) for cell, of in zip(row.cells, how, strict=True))] for row in table.rows]
    return [["method", *head], *rows]


def _show(cell: Cell | None, digits: int, best: float | None) -> str:
    if cell is None:
        return "-"
    value, low, high = (f"{number:.{digits}f}" for number in cell.score)
    value = f"**{value}**" if cell.score.value == best else value
    if math.isnan(cell.score.low):
        return value
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


FIELDS = (
    "method", "control", "metric", "value", "low", "high", "baseline", "difference", "difference_low",
    "difference_high", "p", "p_holm", "samples", "units", "resamples", "signature",
)  # fmt: skip
_SPECIAL = re.compile(r"[\\&%$#_{}~^]")
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""What a cell begins with that spreadsheets may compute; they know the full-width signs, too."""
_NAMED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def to_csv(tables: Iterable[ScoreTable]) -> str:
    """A line for every score of every table, under ``FIELDS``; what was not tested has empty cells."""
    return write_csv([FIELDS, *(line for table in tables for line in _scores(table))])


def to_frame(table: ScoreTable) -> pl.DataFrame:
    """One row per method and metric, with the columns ``FIELDS``; what was not tested is null."""
    rows = [[None if value == "" else value for value in line] for line in _scores(table)]
    texts = {"method", "control", "metric", "baseline", "signature"}
    counts = {"samples", "units", "resamples"}
    schema = {name: pl.String if name in texts else pl.Int64 if name in counts else pl.Float64 for name in FIELDS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def to_pandas(table: ScoreTable) -> pd.DataFrame:
    """The same as a pandas DataFrame.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    frame = to_frame(table)
    return require("pandas", extra="pandas").DataFrame(frame.to_dict(as_series=False))


def write_csv(lines: Iterable[Sequence[object]]) -> str:
    """The lines as CSV, in which no text is a formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([inert(cell) for cell in line] for line in lines)
    return text.getvalue()


def inert(cell: object) -> object:
    """A cell that no spreadsheet computes: a text that begins as a formula does gets an apostrophe before it.

    Line breaks become line feeds.

    Example:
        >>> inert("=1+1"), inert("tea"), inert(-1.5)
        ("'=1+1", 'tea', -1.5)
    """
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")  # a carriage return alone is not quoted, and ends the line
    return f"'{cell}" if _FORMULA.match(cell) else cell


def to_latex(table: ScoreTable) -> str:
    r"""A ``tabular`` with the rules of ``booktabs``; the best in bold, intervals small, notes as comments."""
    arrows = [r"$\uparrow$" if column.greater_is_better else r"$\downarrow$" for column in table.columns]
    head = ["method", *(f"{escape(c.name)} {arrow}" for c, arrow in zip(table.columns, arrows, strict=True))]
    digits, best = map(decimals, table.by_column), map(best_of, table.columns, table.by_column)
    how = list(zip(digits, best, strict=True))
    rows = [
        [escape(row.name), *(_latex(cell, *of) for cell, of in zip(row.cells, how, strict=True))] for row in table.rows
    ]
    comments = [*table_notes(table), *(column.signature for column in table.columns)]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule", _row(head), r"\midrule"]
    lines += [*map(_row, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*(f"% {_one_line(comment)}" for comment in comments), *lines]) + "\n"


def escape(text: str) -> str:
    """Text on one line in which LaTeX sees no commands."""
    return _SPECIAL.sub(lambda found: _NAMED.get(found[0], rf"\{found[0]}"), _one_line(text))


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _scores(table: ScoreTable) -> Iterator[Sequence[object]]:
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell:
                tested = ("", "", "", "", "", "")
                if cell.versus:
                    tested = (str(table.baseline), *cell.versus, cell.p_holm)
                about = (table.segments, table.units, table.resamples, column.signature)
                score = ("" if math.isnan(number) else number for number in cell.score)
                yield (str(row.condition.of), row.control or "", column.name, *score, *tested, *about)


def _latex(cell: Cell | None, digits: int, best: float | None) -> str:
    if cell is None:
        return "--"
    value, low, high = (f"{number:.{digits}f}".replace("-", "$-$") for number in cell.score)
    value = rf"\textbf{{{value}}}" if cell.score.value == best else value
    if math.isnan(cell.score.low):
        return value
    dagger = r"$^\dagger$" if is_marked(cell) else ""
    return rf"{value}{dagger} {{\scriptsize [{low}, {high}]}}"


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
