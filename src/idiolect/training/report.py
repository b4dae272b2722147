"""What a fit did and what it took; kept beside the adapter, so that a finished fit is read back, not run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """Numbers of one fit."""

    steps: int
    """Optimiser steps, those before an interruption included."""
    trainable_parameters: int
    total_parameters: int
    """Of backbone and adapter together."""
    seconds_per_epoch: tuple[float, ...]
    """Of the epochs, or parts of them, since the last interruption; validation at an epoch's end not included."""
    losses: Mapping[str, float]
    """The last logged mean of the whole loss, each weighted term and each statistic."""
    best_metric: float | None
    """Of the adapter that was kept; None without validation."""
    best_step: int | None
    metric: str = ""
    """What validation measured (``FitConfig.metric``)."""

    @property
    def trainable_share(self) -> float:
        """Share of all parameters that were trained (0.4 % in the paper)."""
        return self.trainable_parameters / self.total_parameters

    def write(self, folder: Path) -> None:
        """Keep the report in ``folder``."""
        (folder / REPORT).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> FitReport:
        """The report kept in ``folder``."""
        data = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return cls(**{**data, "seconds_per_epoch": tuple(data["seconds_per_epoch"])})
