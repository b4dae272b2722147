"""A score table for other programs: CSV with a line a score, LaTeX for a paper."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from idiolect.errors import require
from idiolect.evaluation.notes import table_notes
from idiolect.evaluation.render import best_of, decimals, is_marked
from idiolect.evaluation.report import Cell, ScoreTable

if TYPE_CHECKING:
    import pandas as pd

FIELDS = (
    "method", "metric", "value", "low", "high", "baseline", "difference", "difference_low", "difference_high", "p",
    "p_holm", "samples", "units", "resamples", "signature",
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
    texts = {"method", "metric", "baseline", "signature"}
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
        [escape(row.method), *(_latex(cell, *of) for cell, of in zip(row.cells, how, strict=True))]
        for row in table.rows
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
                    tested = (table.baseline, *cell.versus, cell.p_holm)
                about = (table.segments, table.units, table.resamples, column.signature)
                yield (row.method, column.name, *cell.score, *tested, *about)


def _latex(cell: Cell | None, digits: int, best: float | None) -> str:
    if cell is None:
        return "--"
    value, low, high = (f"{number:.{digits}f}".replace("-", "$-$") for number in cell.score)
    value = rf"\textbf{{{value}}}" if cell.score.value == best else value
    dagger = r"$^\dagger$" if is_marked(cell) else ""
    return rf"{value}{dagger} {{\scriptsize [{low}, {high}]}}"


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
