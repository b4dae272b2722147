"""``idiolect score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idiolect.api.evaluation import score as score_texts
from idiolect.cli.options import Json, Set, columns, show
from idiolect.evaluation.significance import RESAMPLES
from idiolect.evaluation.table import DEFAULT_METRICS
from idiolect.experiments.compare.run import write_text

_Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def score(
    predictions: str,
    /,
    *,
    columns_: Annotated[Set, Parameter(name="--column")] = (),
    baseline: str | None = None,
    metrics: _Names = DEFAULT_METRICS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    csv: Path | None = None,
    latex: Path | None = None,
    json: Json = False,
) -> None:
    """Score texts that were made elsewhere against the users' own, with intervals, paired tests and signatures.

    Example: idiolect score predictions.jsonl --baseline rag

    Args:
        predictions: JSON lines, CSV or Parquet with a row per text: prediction, reference, and if there are any user
            (users are resampled), method (compared) and id (aligns methods).
        columns_: The column of one of these fields, as field=column; may be repeated.
        baseline: The method that the others are tested against.
        metrics: rouge1, rougeL, meteor, bleu, bertscore.
        resamples: Bootstrap resamples, and permutations of a test.
        seed: Of the resamples.
        csv: File to write every score, difference and p value to.
        latex: File to write the table to.
        json: Print one JSON object.
    """
    found = score_texts(
        predictions, baseline=baseline, metrics=metrics, resamples=resamples, seed=seed, columns=columns(columns_)
    )
    if csv is not None:
        write_text(csv, found.to_csv())
    if latex is not None:
        write_text(latex, found.to_latex())
    show(found.to_dict(), found.table(), as_json=json)
