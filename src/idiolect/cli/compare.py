"""``idiolect compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, show
from idiolect.experiments.compare.run import check_files, compare_evaluations

_Folder = Annotated[str, Parameter(allow_leading_hyphen=False)]
_Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", allow_leading_hyphen=False)]


def compare(
    folder: _Folder,
    /,
    *folders: _Folder,
    baseline: str | None = None,
    pool: Annotated[bool, Parameter(negative="")] = False,
    conditions: _Names = (),
    metrics: _Names = (),
    resamples: int | None = None,
    csv: Path | None = None,
    latex: Path | None = None,
    scores: Path | None = None,
    json: Json = False,
) -> None:
    """Compare evaluations of the same samples, or any two conditions of one, with intervals and tests.

    Without --baseline one evaluation's methods are held against RAG, and of several evaluations each condition against
    itself in the first that has it.

    Args:
        folder: Folder of an evaluation, or LABEL=FOLDER; FOLDER,FOLDER pools several that differ in their seed.
        folders: Further ones.
        baseline: A condition (drp, "rag: wrong user"), as LABEL:CONDITION where several evaluations have it.
        pool: Pool all folders.
        conditions: Which conditions; all but controls where none is named.
        metrics: Which metrics of texts; the first evaluation's where none is named.
        resamples: How many, if not as many as the first evaluation has.
        csv: File to write every score, difference and p value to.
        latex: File to write the tables to.
        scores: CSV file to write what each text scores on its own to; it holds users' ids.
        json: Print one JSON object.
    """
    check_files(csv=csv, latex=latex, scores=scores)  # before the work
    found = compare_evaluations(
        (folder, *folders),
        pool=pool,
        baseline=baseline,
        conditions=conditions,
        metrics=metrics,
        resamples=resamples,
    )
    found.write(csv=csv, latex=latex, scores=scores)
    show(found.record(), found.text, as_json=json)
