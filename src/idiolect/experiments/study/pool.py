"""Seeds put together: one row a test sample, users of different worlds being different users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.evaluation.additive import Aggregate, Mean
from idiolect.evaluation.base import Metric
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.significance import Resamples
from idiolect.experiments import results

NLL = Mean("nll", greater_is_better=False, unit="nats/review")

Stats = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The outputs of the runs that every one of some seeds has."""

    users: tuple[str, ...]
    """Of each sample."""
    runs: Mapping[str, Sequence[Mapping[str, Any]]]
    """Run to its outputs, sample by sample, seed after seed."""

    @property
    def nats(self) -> dict[str, np.ndarray]:
        """Run to float64 (n,): negative log-likelihood of each reference."""
        return {name: np.array([row["nll"] for row in rows]) for name, rows in self.runs.items()}

    def texts(self, run: str) -> list[str] | None:
        """What a run wrote; None where only likelihoods were asked for."""
        return results.texts(self.runs[run])

    def draws(self, *, seed: int, resamples: int) -> Resamples:
        """Resamples of users."""
        return Resamples(len(self.users), np.random.default_rng([seed, 11]), clusters=self.users, resamples=resamples)

    def table(
        self, metrics: Sequence[Metric], extra: Mapping[str, Stats], columns: Sequence[Aggregate], draws: Resamples
    ) -> ScoreTable:
        """Likelihood, text metrics and further per-sample scores of every run, tested against RAG.

        Args:
            metrics: Of the texts against the references.
            extra: Run to further columns' values, float (n,).
            columns: What aggregates them.
            draws: From ``draws``.
        """
        references = [row["reference"] for row in next(iter(self.runs.values()))]
        stats: dict[str, dict[str, np.ndarray]] = {}
        for name, nats in self.nats.items():
            texts = self.texts(name)
            own = {} if texts is None else {m.name: m.segments(texts, references) for m in metrics}
            stats[name] = {NLL.name: nats, **own, **extra.get(name, {})}
        return score_table([NLL, *metrics, *columns], stats, draws, baseline="rag")


def read_pool(folders: Sequence[Path], names: Sequence[str]) -> Pool:
    """The outputs of ``names`` in the seeds' folders; runs that some seed lacks are left out."""
    files = {name: [results.output_file(folder, "samples", name) for folder in folders] for name in names}
    whole = {name: paths for name, paths in files.items() if all(path.is_file() for path in paths)}
    runs = {name: [row for path in paths for row in results.read_lines(path)] for name, paths in whole.items()}
    users = tuple(row["user"] for row in next(iter(runs.values())))
    return Pool(users, runs)
