"""What a condition's outputs score, sample by sample: a column a metric, and what could not be scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.additive import Mean
from idiolect.evaluation.base import Metric
from idiolect.experiments import results

NLL = Mean("nll", greater_is_better=False, unit="nats/review")
"""The reference's negative log-likelihood: far less noisy than any score of one sampled text."""

Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one a sample."""
Stats = Mapping[str, np.ndarray]
"""By column, float (n, n_stats) or (n,)."""


class Columns(NamedTuple):
    """A condition's columns."""

    stats: dict[str, np.ndarray]
    """By metric; without those that were not asked for or are no numbers."""
    notes: tuple[str, ...]
    """What was left out, and why."""


def columns(name: str, rows: Rows, metrics: Sequence[Metric], references: Sequence[str]) -> Columns:
    """The likelihoods of a condition, and the metrics of its texts.

    A column with a value that is no finite number is left out and noted, and so is a metric that finds no token in a
    reference (``unscored``, which a metric need not have): a mean over the others would be of other
    samples than its baseline's.

    Args:
        name: The condition's, for the notes.
        rows: Its outputs.
        metrics: Of a text and a reference.
        references: One a row.

    Raises:
        InputError: A metric gives another number of rows than there are texts.
    """
    nats, texts = [row["nll"] for row in rows], results.texts(rows)
    asked = any(value is not None for value in nats)
    found = {NLL.name: np.array(nats, dtype=np.float64)} if asked else {}  # None becomes NaN
    if texts is not None:
        found |= {metric.name: _segments(metric, texts, references) for metric in metrics}
    blank = {metric.name: _unscored(metric, references) for metric in metrics if metric.name in found}
    broken = {
        column: int((~np.isfinite(values)).reshape(len(rows), -1).any(axis=1).sum()) for column, values in found.items()
    }
    return Columns(
        {column: values for column, values in found.items() if not broken[column] and not blank.get(column)},
        (
            *(
                f"{name}: {column} is left out, for it is no finite number for {n} of {len(rows)} samples"
                for column, n in broken.items()
                if n
            ),
            *(
                f"{name}: {column} is left out, because it finds no token in {n} of {len(rows)} references"
                for column, n in blank.items()
                if n
            ),
        ),
    )


def _unscored(metric: Metric, references: Sequence[str]) -> int:
    """How many references a metric finds no token in; a score against them would be 0 and say nothing of the text."""
    unscored: Callable[[Sequence[str]], np.ndarray] | None = getattr(metric, "unscored", None)
    return 0 if unscored is None else int(np.sum(unscored(references)))


def _segments(metric: Metric, texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
    values = np.asarray(metric.segments(texts, references), dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != len(texts):
        shape = " x ".join(map(str, values.shape)) or "no"
        raise InputError(
            f"metric {metric.name!r} gave {shape} values for {len(texts)} texts",
            hint="Metric.segments returns one row a text",
        )
    return values.reshape(len(texts), -1)
