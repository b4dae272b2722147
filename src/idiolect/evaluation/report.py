"""A table of methods by metrics with intervals and tests, and the notes below it; ``render`` formats it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from idiolect.errors import ConfigError
from idiolect.evaluation.significance import (
    FEW,
    SIGNIFICANT,
    Comparison,
    Interval,
    Resamples,
    Score,
    check_finite,
    compare,
    holm,
    interval,
)
from idiolect.metrics.base import Aggregate
from idiolect.registry import suggest
from idiolect.types import ConditionId

Stats = Mapping[str, np.ndarray]
"""By metric, float (n, n_stats) or (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric."""

    name: str
    greater_is_better: bool
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A method's score on one metric."""

    score: Interval
    versus: Comparison | None = None
    """Against the baseline; None in the baseline's own row, without one, and of a single sample or user."""
    p_holm: float | None = None
    """``versus.p`` corrected for all comparisons of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method or control; a cell is None where it has no such score."""

    condition: ConditionId
    cells: tuple[Cell | None, ...]

    @property
    def name(self) -> str:
        """Of the condition, for display."""
        return str(self.condition)

    @property
    def method(self) -> str:
        """Of the condition."""
        return self.condition.method

    @property
    def control(self) -> str | None:
        """Of the condition."""
        return self.condition.control


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Methods by metrics."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    segments: int
    resamples: int
    clustered: bool
    """Whether users were resampled rather than samples."""
    units: int
    """How many users, or samples, that are; of one there are no intervals and no tests."""
    min_p: float
    """The smallest p that a comparison can have, before correction."""
    baseline: ConditionId | None = None

    @property
    def by_column(self) -> list[list[Cell | None]]:
        """The cells of every column, row after row."""
        return [[row.cells[place] for row in self.rows] for place in range(len(self.columns))]

    @property
    def comparisons(self) -> int:
        """How many p values are corrected together."""
        return sum(cell.versus is not None for row in self.rows for cell in row.cells if cell)


def score_table(
    metrics: Sequence[Aggregate],
    stats: Mapping[ConditionId, Stats] | Mapping[str, Stats],
    resamples: Resamples,
    *,
    baseline: ConditionId | str | None = None,
) -> ScoreTable:
    """Score every method and test it against the baseline.

    Args:
        metrics: The columns.
        stats: Condition to metric name to float (n, n_stats) or (n,), rows aligned over conditions; a metric may be
            missing. A string names a method.
        resamples: Draws over the n segments, the same for every cell.
        baseline: The condition others are tested against; None: no tests.

    Raises:
        ConfigError: The baseline is not among the methods, or two metrics have one name.
        InputError: A method has another number of segments than the resamples, or scores that are not finite.
    """
    check_names(metrics)
    runs = {_condition(key): own for key, own in stats.items()}
    against = None if baseline is None else _condition(baseline)
    if against is not None and against not in runs:
        raise ConfigError(f"unknown baseline {str(against)!r}", hint=suggest(str(against), map(str, runs)))
    scores = {
        (condition, metric.name): _score(metric, own[metric.name], resamples)
        for condition, own in runs.items()
        for metric in metrics
        if metric.name in own
    }
    columns = tuple(
        Column(name=m.name, greater_is_better=m.greater_is_better, signature=str(m.signature())) for m in metrics
    )
    rows = tuple(
        Row(condition=condition, cells=tuple(_cell(scores, condition, column.name, against) for column in columns))
        for condition in runs
    )
    return ScoreTable(
        columns=columns,
        rows=_corrected(rows),
        segments=resamples.n,
        resamples=len(resamples),
        clustered=resamples.clustered,
        units=resamples.units,
        min_p=resamples.min_p,
        baseline=against,
    )


def _condition(key: ConditionId | str) -> ConditionId:
    return ConditionId(key) if isinstance(key, str) else key


def check_names(metrics: Sequence[Aggregate]) -> None:
    """Refuse columns that would take each other's place.

    Raises:
        ConfigError: Two metrics have one name.
    """
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two metrics are called {twice[0]!r}", hint="name it once, or give your own another name")


def _score(metric: Aggregate, stats: np.ndarray, resamples: Resamples) -> Score:
    score = resamples.score(metric, stats)
    check_finite(metric, np.append(score.resampled, score.value))
    return score


def _cell(
    scores: Mapping[tuple[ConditionId, str], Score], condition: ConditionId, metric: str, baseline: ConditionId | None
) -> Cell | None:
    own = scores.get((condition, metric))
    if own is None:
        return None
    reference = None if baseline is None or baseline == condition else scores.get((baseline, metric))
    if own.resamples.units < 2:
        reference = None
    return Cell(score=interval(own), versus=compare(own, reference) if reference else None)


def _corrected(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows with Holm's correction over every comparison they hold."""
    raw = [cell.versus.p for row in rows for cell in row.cells if cell and cell.versus]
    corrected = iter(holm(raw))
    return tuple(replace(row, cells=tuple(_with_p(cell, corrected) for cell in row.cells)) for row in rows)


def _with_p(cell: Cell | None, corrected: Iterator[float]) -> Cell | None:
    return replace(cell, p_holm=next(corrected)) if cell and cell.versus else cell


def table_notes(table: ScoreTable) -> list[str]:
    """Samples, intervals and tests of a table, and what they cannot tell."""
    units = _units(table)
    if table.units < 2:
        of = f"{table.segments} sample{'s' if table.segments > 1 else ''}" + (" of one user" if table.clustered else "")
        return [f"{of}; intervals and tests resample {units}, and need at least two."]
    of = f"{table.segments} samples" + (f" of {table.units} users" if table.clustered else "")
    notes = [f"{of}; 95 % intervals from {table.resamples} bootstrap resamples of {units}."]
    if table.units < FEW:
        notes.append(f"Intervals of fewer than {FEW} {units} are too narrow to be trusted.")
    if table.baseline is not None:
        notes += [mark_note(str(table.baseline), "the table"), *unmarkable([table])]
    return notes


def mark_note(baseline: str, family: str) -> str:
    """What a dagger says.

    Args:
        baseline: What a marked score differs from.
        family: Over which comparisons p is corrected.
    """
    test = "paired randomisation test"
    return f"† differs from {baseline}, p < {SIGNIFICANT} after Holm's correction over {family} ({test})."


def unmarkable(tables: Sequence[ScoreTable]) -> Iterator[str]:
    """Why no difference can be marked in the largest of some tables, if that is so, and from where on one could."""
    table = max(tables, key=lambda table: table.comparisons)
    least = min(table.min_p * table.comparisons, 1.0)
    if least < SIGNIFICANT:
        return
    exchanges = round(table.comparisons / SIGNIFICANT)  # so many at least, and one; n units have 2^(n - 1)
    yield (
        f"No difference can be marked here: the smallest possible p, {table.min_p:.2g}, times {table.comparisons} "
        f"comparisons is {least:.2g}. It takes {math.floor(math.log2(exchanges)) + 2} {_units(table)} or more, and "
        f"{exchanges} resamples."
    )


def _units(table: ScoreTable) -> str:
    return "users" if table.clustered else "samples"
