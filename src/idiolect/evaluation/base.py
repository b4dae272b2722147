"""The seam of metrics: per-segment statistics apart from aggregation, so that bootstrap and paired tests come free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything a number depends on, as ``key:value|key:value`` (after sacrebleu)."""

    fields: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "|".join(f"{key}:{value}" for key, value in self.fields)


class Metric(Protocol):
    """A score of texts against one reference each."""

    @property
    def name(self) -> str:
        """What tables and results call it."""
        ...

    @property
    def greater_is_better(self) -> bool:
        """Whether a higher score is the better one."""
        ...

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, n_stats): sufficient statistics of every pair; an empty prediction is a valid one."""
        ...

    def aggregate(self, stats: np.ndarray) -> float:
        """The corpus score of rows of ``segments`` (any subset or resample of them)."""
        ...

    def signature(self) -> Signature:
        """Everything the score depends on."""
        ...
