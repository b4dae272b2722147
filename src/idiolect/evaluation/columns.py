"""The scores of one condition, metric by metric, and why some are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import InputError
from idiolect.metrics.base import Mean, Metric
from idiolect.pipeline import results

NLL = Mean("nll", greater_is_better=False, unit="nats/review")
"""The reference's negative log-likelihood, which is far less noisy than scores of a sampled text."""

Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one per sample."""


class Columns(NamedTuple):
    """A condition's columns."""

    stats: dict[str, np.ndarray]
    """Statistics by metric; without missing or non-finite ones."""
    notes: tuple[str, ...]
    """Notes on columns that are left out."""


def columns(name: str, rows: Rows, metrics: Sequence[Metric], references: Sequence[str]) -> Columns:
    """The likelihoods of a condition, and the metrics of its texts.

    A column with a value that is not finite is left out with a note, and so is a metric that finds no token in a
    reference (``unscored``, which is optional), because its mean would be over other samples than the baseline's. So
    is a metric that fails and says that it may (``optional``): the others are not lost with it.

    Args:
        name: Name of the condition, which a note begins with.
        rows: Its outputs.
        metrics: Metrics of a text and a reference.
        references: One per row.

    Raises:
        InputError: A metric returns another number of rows than there are texts.
    """
    nats, texts = [row["nll"] for row in rows], results.texts(rows)
    asked = any(value is not None for value in nats)
    found = {NLL.name: np.array(nats, dtype=np.float64)} if asked else {}  # None becomes NaN
    failed: dict[str, str] = {}
    for metric in metrics if texts is not None else ():
        try:
            found[metric.name] = _segments(metric, texts or [], references)
        except Exception as error:
            if not getattr(metric, "optional", False):
                raise
            failed[metric.name] = next(iter(str(error).strip().splitlines()), type(error).__name__)
    blank = {metric.name: _unscored(metric, references) for metric in metrics if metric.name in found}
    broken = {
        column: int((~np.isfinite(values)).reshape(len(rows), -1).any(axis=1).sum()) for column, values in found.items()
    }
    return Columns(
        {column: values for column, values in found.items() if not broken[column] and not blank.get(column)},
        (
            *(f"{name}: {column} is left out: {reason}; score again for it" for column, reason in failed.items()),
            *(
                f"{name}: {column} is left out: {n} of {len(rows)} samples have no finite value"
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
    """The number of references without a token for a metric; a score against them would always be 0."""
    unscored: Callable[[Sequence[str]], np.ndarray] | None = getattr(metric, "unscored", None)
    return 0 if unscored is None else int(np.sum(unscored(references)))


def _segments(metric: Metric, texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
    values = np.asarray(metric.segments(texts, references), dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != len(texts):
        shape = " x ".join(map(str, values.shape)) or "no"
        raise InputError(
            f"metric {metric.name!r} gave {shape} values for {len(texts)} texts",
            hint="Metric.segments returns one row per text",
        )
    return values.reshape(len(texts), -1)
