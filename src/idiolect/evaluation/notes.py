"""What stands below a score table: what its intervals and marks are of, and where they say nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from idiolect.evaluation.report import ScoreTable
from idiolect.evaluation.significance import FEW, SIGNIFICANT


def table_notes(table: ScoreTable) -> list[str]:
    """Samples, intervals and tests of a table, and what they cannot tell."""
    units = _units(table)
    of = f"{table.segments} samples" + (f" of {table.units} users" if table.clustered else "")
    notes = [f"{of}; 95 % intervals from {table.resamples} bootstrap resamples of {units}."]
    if table.units < FEW:
        notes.append(f"Intervals of fewer than {FEW} {units} are too narrow to be trusted.")
    if table.baseline is not None:
        notes += [mark_note(table.baseline, "the table"), *unmarkable([table])]
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
    least = min(table.least_p * table.comparisons, 1.0)
    if least < SIGNIFICANT:
        return
    exchanges = round(table.comparisons / SIGNIFICANT)  # so many at least, and one; n units have 2^(n - 1)
    yield (
        f"No difference can be marked here: the smallest possible p, {table.least_p:.2g}, times {table.comparisons} "
        f"comparisons is {least:.2g}. It takes {math.floor(math.log2(exchanges)) + 2} {_units(table)} or more, and "
        f"{exchanges} resamples."
    )


def _units(table: ScoreTable) -> str:
    return "users" if table.clustered else "samples"
