"""Outputs of conditions to tables, intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from idiolect.evaluation.additive import Aggregate
from idiolect.evaluation.claims import is_control, settled_by
from idiolect.evaluation.fidelity import FIDELITY, StyleTargets
from idiolect.evaluation.personal import Verdict, judge
from idiolect.evaluation.report import ScoreTable, check_names, score_table
from idiolect.evaluation.scripts import WITH_TOKENS, note_of
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.evaluation.table import load_metrics
from idiolect.experiments import results
from idiolect.experiments.answers import answered
from idiolect.experiments.columns import NLL, Rows, Stats, columns
from idiolect.experiments.curves import curves
from idiolect.experiments.data import Data
from idiolect.experiments.fidelity import style_targets
from idiolect.experiments.findings import Evaluation
from idiolect.experiments.rungs import count_rungs
from idiolect.experiments.spending import spending, with_stage
from idiolect.experiments.variety.count import Variety, judging, user_scores, variety
from idiolect.experiments.variety.found import Found
from idiolect.types import Sample


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Some of the samples, and resamples of their users."""

    places: np.ndarray
    resamples: Resamples


class Scorer:
    """Scores one evaluation's conditions, all on the same samples.

    Args:
        data: Store, split and settings.
        samples: Of the test phase.

    Raises:
        ConfigError: Two metrics have one name.
        MissingDependencyError: A metric's package is not installed.
    """

    def __init__(self, data: Data, samples: Sequence[Sample]) -> None:
        self._data, self._samples = data, samples
        self._references = [sample.reference or "" for sample in samples]
        self._metrics = load_metrics(data.settings.text_metrics)
        self._faithful = FIDELITY.name in data.settings.metrics
        self._columns: list[Aggregate] = [NLL, *self._metrics, *([FIDELITY] if self._faithful else [])]
        self._places = np.arange(len(samples))
        check_names(self._columns)

    def score(
        self,
        runs: Mapping[str, Rows],
        folder: Path,
        notes: Sequence[str] = (),
        differing: Mapping[str, Found] | None = None,
    ) -> Evaluation:
        """What the conditions' outputs say.

        Args:
            runs: By condition; methods, RAG among them, and controls named ``method: control``.
            folder: Where the evaluation is written.
            notes: What else there is to say.
            differing: What the methods found to differ; None: nothing.
        """
        self._places = answered(runs)
        scored = {name: columns(name, rows, self._metrics, self._references) for name, rows in runs.items()}
        stats = {name: {**own.stats, **self._fidelity(runs[name])} for name, own in scored.items()}
        methods = {name: own for name, own in stats.items() if not is_control(name)}
        varied = self._variety(differing or {}, stats)
        return Evaluation(
            methods=self._table(methods, "rag", self._answered),
            controls=self._controls(stats),
            verdicts=self._verdicts(stats),
            categories=self._by_category(methods),
            own_fidelity=self._own_fidelity(),
            variety=varied,
            spending=with_stage(spending(runs), "judge", judging(varied)),
            curves=curves(runs),
            rungs=count_rungs(runs),
            notes=(*notes, *self._scripts(), *(note for own in scored.values() for note in own.notes)),
            folder=folder,
        )

    def _scripts(self) -> list[str]:
        """What there is to say of references that are not in Latin script."""
        tokens = any(metric.name in WITH_TOKENS for metric in self._metrics)
        return [note] if tokens and (note := note_of(self._references)) else []

    def _variety(self, differing: Mapping[str, Found], stats: Mapping[str, Stats]) -> dict[str, Variety]:
        settings, users = self._data.settings, [sample.user for sample in self._samples]
        draws = Resamples(len(set(users)), np.random.default_rng([settings.seed, 19]), resamples=settings.resamples)
        scores = {name: user_scores(self._metrics, stats[name], users, self._places) for name in differing}
        return {name: variety(one, scores[name], draws) for name, one in differing.items()}

    def _fidelity(self, rows: Rows) -> dict[str, np.ndarray]:
        texts = results.texts(rows) if self._faithful else None
        return {} if texts is None else {FIDELITY.name: self._targets.score(texts).cosine}

    @cached_property
    def _targets(self) -> StyleTargets:
        return style_targets(self._data, self._samples)

    @cached_property
    def _all(self) -> _Draws:
        return self._draws(np.arange(len(self._samples)))

    @property
    def _answered(self) -> _Draws:
        """Of the samples that every condition has a text of."""
        return self._all if len(self._places) == len(self._samples) else self._draws(self._places)

    def _draws(self, places: np.ndarray) -> _Draws:
        """Users are resampled, not reviews: samples of one user are alike."""
        settings = self._data.settings
        users = [self._samples[place].user for place in places.tolist()]
        rng = np.random.default_rng([settings.seed, 11])
        return _Draws(places, Resamples(len(users), rng, clusters=users, resamples=settings.resamples))

    def _table(self, stats: Mapping[str, Stats], baseline: str, draws: _Draws) -> ScoreTable:
        shown = [column for column in self._columns if any(column.name in own for own in stats.values())]
        chosen = {run: {name: values[draws.places] for name, values in own.items()} for run, own in stats.items()}
        return score_table(shown, chosen, draws.resamples, baseline=baseline)

    def _controls(self, stats: Mapping[str, Stats]) -> dict[str, ScoreTable]:
        tables: dict[str, ScoreTable] = {}
        for method in stats:
            own = {name: values for name, values in stats.items() if name == method or name.startswith(f"{method}: ")}
            if len(own) > 1:
                tables[method] = self._table(own, method, self._answered)
        return tables

    def _verdicts(self, stats: Mapping[str, Stats]) -> tuple[Verdict, ...]:
        nats = {name: own[NLL.name] for name, own in stats.items() if NLL.name in own}
        return tuple(judge(claim, nats, self._all.resamples) for claim in settled_by(nats))

    def _own_fidelity(self) -> Interval | None:
        if not self._faithful:
            return None
        own, draws = self._targets.score(self._references).cosine, self._answered
        return interval(draws.resamples.score(FIDELITY, own[draws.places]))

    def _by_category(self, methods: Mapping[str, Stats]) -> dict[str, ScoreTable]:
        items = self._data.store.items(sorted({sample.item for sample in self._samples}))
        category = np.array([items[s.item].category if s.item in items else "" for s in self._samples])
        names = sorted(set(category.tolist()))
        places = {name: self._places[category[self._places] == name] for name in names} if len(names) > 1 else {}
        return {
            name: self._table(methods, "rag", self._draws(own))
            for name, own in places.items()
            if len({self._samples[place].user for place in own.tolist()}) > 1
        }
