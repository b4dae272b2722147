"""Scoring: from the outputs of conditions to tables, intervals and attribution, all on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from idiolect.data.split import MEMBER_SCHEMA
from idiolect.evaluation import token_classes
from idiolect.evaluation.attribution import Verdict, judge, settled_by
from idiolect.evaluation.calibration import Calibration, calibrate
from idiolect.evaluation.columns import NLL, Rows, columns
from idiolect.evaluation.curves import curves
from idiolect.evaluation.judge import Found
from idiolect.evaluation.overpersonalization import HabitReport, habit_report
from idiolect.evaluation.report import ScoreTable, Stats, check_names, score_table
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.evaluation.text_judge import TextJudge
from idiolect.evaluation.token_classes import TokenTables
from idiolect.evaluation.usage import answered, count_peer_scopes, usage_report, with_stage
from idiolect.evaluation.uvq_report import MethodUvq, judging, method_uvq, user_scores
from idiolect.metrics.base import Aggregate
from idiolect.metrics.fidelity import FIDELITY, StyleTargets
from idiolect.metrics.registry import load_metrics
from idiolect.metrics.scripts import WITH_TOKENS, note_of
from idiolect.metrics.verification import Verifier, load_verifier
from idiolect.pipeline import results
from idiolect.pipeline.data import Data
from idiolect.store.base import is_history, is_peer
from idiolect.types import ConditionId, Sample


def style_targets(data: Data, samples: Sequence[Sample]) -> StyleTargets:
    """The reference style of test samples, the same for every method; see ``visible_reviews``."""
    return StyleTargets.of(samples, visible_reviews(data, samples))


def visible_reviews(data: Data, samples: Sequence[Sample]) -> pl.DataFrame:
    """``user``, ``item`` and ``text`` of visible reviews of the samples' items, and of items that their users reviewed.

    Users who opted out of being peers are left out, and their own style is unknown.

    Args:
        data: Store, split and settings.
        samples: Of the phase that is evaluated.
    """
    columns = ("review_id", "user", "item")
    own = _visible(data, data.store.frame_of("user", list({sample.user for sample in samples}), *columns))
    items = {*(sample.item for sample in samples), *own["item"]}
    return _visible(data, data.store.frame_of("item", list(items), *columns, "text"))


def _visible(data: Data, reviews: pl.DataFrame) -> pl.DataFrame:
    """Those of the reviews that the evaluated phase may see, without those of users who opted out."""
    phase, ids = data.settings.targets.evaluated, reviews.select("review_id")
    parts = [part.join(ids, on="review_id", how="semi") for part in data.split.batches()]
    members = pl.concat([MEMBER_SCHEMA.to_frame(), *parts])
    roles = ids.join(members, on="review_id", how="left", maintain_order="left")
    seen = roles.select(is_peer(phase, data.settings.peers) | is_history(phase)).to_series()
    return reviews.filter(seen & ~reviews["user"].is_in(data.store.opted_out()))


UNIQUE, OTHERS = "unique users", "other users"


def uniqueness(data: Data, samples: Sequence[Sample]) -> np.ndarray:
    """How far each sample's user is from the others of their category (DPL paper; DEP paper, section 4.4.2).

    Args:
        data: Store, split and settings.
        samples: Of the phase that is evaluated.

    Returns:
        float64 (n,): Euclidean distance of the mean vector of the user's history to the mean over users; NaN for a
        user without history.
    """
    snapshot, means = data.snapshot(data.evaluated), dict[tuple[str, str], np.ndarray]()
    keys = list(zip(categories_of(data, samples), (sample.user for sample in samples), strict=True))
    for key, sample in zip(keys, samples, strict=True):
        history = [] if key in means else [review.id for review in snapshot.profile(sample.user, before=sample.moment)]
        if history:
            means[key] = snapshot.vectors(history, encoder=data.encoder).astype(np.float64).mean(axis=0)
    centres = {
        category: np.mean([mean for (other, _), mean in means.items() if other == category], axis=0)
        for category in {category for category, _ in means}
    }
    distances = {key: float(np.linalg.norm(mean - centres[key[0]])) for key, mean in means.items()}
    return np.array([distances.get(key, np.nan) for key in keys])


def halves(distances: np.ndarray, users: Sequence[str], categories: Sequence[str]) -> dict[str, np.ndarray]:
    """Indices of the samples of the more unique half of each category's users, and of the other half.

    Args:
        distances: From ``uniqueness``.
        users: User of each sample.
        categories: Category of each sample.
    """
    known = {
        (category, user): distance
        for category, user, distance in zip(categories, users, distances.tolist(), strict=True)
        if not np.isnan(distance)
    }
    unique: set[tuple[str, str]] = set()
    for category in {category for category, _ in known}:
        ranked = sorted((distance, user) for (other, user), distance in known.items() if other == category)
        unique |= {(category, user) for _, user in ranked[len(ranked) // 2 :]}
    keys = list(zip(categories, users, strict=True))
    return {
        UNIQUE: np.array([place for place, key in enumerate(keys) if key in unique], dtype=np.int64),
        OTHERS: np.array([place for place, key in enumerate(keys) if key in known.keys() - unique], dtype=np.int64),
    }


def categories_of(data: Data, samples: Sequence[Sample]) -> list[str]:
    """The category of each sample's item; empty if it has none."""
    items = data.store.items(sorted({sample.item for sample in samples}))
    return [items[sample.item].category if sample.item in items else "" for sample in samples]


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Some of the samples, and resamples of their users."""

    places: np.ndarray
    resamples: Resamples


def _is_known(column: str, rows: np.ndarray) -> bool:
    """Whether a score can be computed for some samples: trait fidelity is known only for English ones."""
    return column != FIDELITY.name or rows.ndim == 1 or bool(rows[:, 1].any())


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
        self._verifiers = [load_verifier(name) for name in data.settings.authorship]
        self._columns: list[Aggregate] = [NLL, *self._metrics, *([FIDELITY] if self._faithful else [])]
        self._places = np.arange(len(samples))
        check_names(self._columns)

    def score(
        self,
        runs: Mapping[ConditionId, Rows],
        folder: Path,
        notes: Sequence[str] = (),
        differing: Mapping[ConditionId, Found] | None = None,
        *,
        baseline: ConditionId,
        rater: TextJudge | None = None,
    ) -> Evaluation:
        """Score the conditions' outputs.

        Args:
            runs: Outputs by condition, including the baseline.
            folder: Folder of the evaluation.
            notes: Further notes.
            differing: Differences that the methods found; None: none.
            baseline: The method that the others are tested against.
            rater: Rates the texts, real ones included; None: nobody does.
        """
        self._places = answered(runs)
        scored = {name: columns(str(name), rows, self._metrics, self._references) for name, rows in runs.items()}
        stats = {name: {**own.stats, **self._fidelity(runs[name])} for name, own in scored.items()}
        methods = {name: own for name, own in stats.items() if name.control is None}
        varied, classes = self._method_uvq(differing or {}, stats), self._token_classes(runs, baseline)
        return Evaluation(
            methods=self._table(methods, baseline, self._answered),
            controls=self._controls(stats, self._answered),
            verdicts=self._verdicts(stats),
            categories=self._by_category(methods, baseline),
            calibration=self._calibration(runs, [*self._verifiers, *([rater] if rater else [])]),
            habits=self._habits(runs),
            token_classes=classes,
            own_fidelity=self._own_fidelity(),
            uvq=varied,
            usage=with_stage(usage_report(runs), "judge", judging(varied)),
            curves=curves(runs),
            peer_scopes=count_peer_scopes(runs),
            notes=(
                *notes,
                *self._scripts(),
                *self._without_classes(runs, classes),
                *(note for own in scored.values() for note in own.notes),
            ),
            folder=folder,
        )

    def _scripts(self) -> list[str]:
        """Notes on references that are not in Latin script, or not in English."""
        tokens = any(metric.name in WITH_TOKENS for metric in self._metrics)
        notes = [note] if tokens and (note := note_of(self._references)) else []
        if not self._faithful or (known := int(self._targets.known.sum())) == (n := len(self._samples)):
            return notes
        of = f"is of the other {known}" if known else "is left out"
        return [
            *notes,
            f"{FIDELITY.name} {of}: {n - known} of {n} samples are not in English, and only English is measured",
        ]

    def _method_uvq(
        self, differing: Mapping[ConditionId, Found], stats: Mapping[ConditionId, Stats]
    ) -> dict[ConditionId, MethodUvq]:
        settings, users = self._data.settings, [sample.user for sample in self._samples]
        draws = Resamples(len(set(users)), np.random.default_rng([settings.seed, 19]), resamples=settings.resamples)
        scores = {name: user_scores(self._metrics, stats[name], users, self._places) for name in differing}
        return {name: method_uvq(one, scores[name], draws) for name, one in differing.items()}

    def _fidelity(self, rows: Rows) -> dict[str, np.ndarray]:
        texts = results.texts(rows) if self._faithful else None
        return {} if texts is None or not self._targets.known.any() else {FIDELITY.name: self._targets.rows(texts)}

    @cached_property
    def _targets(self) -> StyleTargets:
        return style_targets(self._data, self._samples)

    @cached_property
    def _all(self) -> _Draws:
        return self._draws(np.arange(len(self._samples)))

    @property
    def _answered(self) -> _Draws:
        """Resamples of the samples that have a text in every condition."""
        return self._all if len(self._places) == len(self._samples) else self._draws(self._places)

    def _draws(self, places: np.ndarray) -> _Draws:
        """Resamples of users, not reviews, because samples of one user are correlated."""
        settings = self._data.settings
        users = [self._samples[place].user for place in places.tolist()]
        rng = np.random.default_rng([settings.seed, 11])
        return _Draws(places, Resamples(len(users), rng, clusters=users, resamples=settings.resamples))

    def _table(
        self,
        stats: Mapping[ConditionId, Stats],
        baseline: ConditionId,
        draws: _Draws,
        columns: Sequence[Aggregate] | None = None,
    ) -> ScoreTable:
        asked = self._columns if columns is None else columns
        shown = [column for column in asked if any(column.name in own for own in stats.values())]
        chosen = {
            run: {name: rows for name, values in own.items() if _is_known(name, rows := values[draws.places])}
            for run, own in stats.items()
        }
        shown = [column for column in shown if any(column.name in own for own in chosen.values())]
        return score_table(shown, chosen, draws.resamples, baseline=baseline)

    def _controls(
        self, stats: Mapping[ConditionId, Stats], draws: _Draws, columns: Sequence[Aggregate] | None = None
    ) -> dict[ConditionId, ScoreTable]:
        tables: dict[ConditionId, ScoreTable] = {}
        for method in (one for one in stats if one.control is None):
            own = {one: values for one, values in stats.items() if one.of == method}
            if len(own) > 1:
                tables[method] = self._table(own, method, draws, columns)
        return tables

    def _token_classes(self, runs: Mapping[ConditionId, Rows], baseline: ConditionId) -> TokenTables | None:
        """Of the samples in which every condition's classes are known."""
        places = token_classes.known_places(runs)
        if places is None or len({self._samples[place].user for place in places.tolist()}) < 2:
            return None
        stats = {one: token_classes.statistics(rows) for one, rows in runs.items()}
        methods = {one: own for one, own in stats.items() if one.control is None}
        tokens = token_classes.statistics(runs[baseline], of=1)
        # A class without any token, such as names of items that have no titles, is no column of zeros.
        found = [name for name, values in tokens.items() if values[places].any()]
        draws, columns = self._draws(places), token_classes.columns(found)
        return TokenTables(
            methods=self._table(methods, baseline, draws, columns),
            controls=self._controls(stats, draws, columns),
            tokens={name: float(tokens[name][places].mean()) for name in found},
            n_left_out=len(self._samples) - len(places),
        )

    def _without_classes(self, runs: Mapping[ConditionId, Rows], found: TokenTables | None) -> list[str]:
        """A note if classes of token were asked for and there is no table of them."""
        places = token_classes.known_places(runs)
        if found is not None or places is None:
            return []
        left_out = len(self._samples) - len(places)
        return [
            f"the likelihood by class of token is left out: {left_out} of {len(self._samples)} samples are not in "
            "English, or their tokens have no known place in the text"
        ]

    def _verdicts(self, stats: Mapping[ConditionId, Stats]) -> tuple[Verdict, ...]:
        nats = {name: own[NLL.name] for name, own in stats.items() if NLL.name in own}
        return tuple(judge(claim, nats, self._all.resamples) for claim in settled_by(nats))

    def _written(self, runs: Mapping[ConditionId, Rows]) -> dict[ConditionId, list[str]]:
        """The texts of every condition that wrote, if trait fidelity is a metric."""
        found = {one: results.texts(rows) for one, rows in runs.items()} if self._faithful else {}
        return {one: texts for one, texts in found.items() if texts is not None}

    def _habits(self, runs: Mapping[ConditionId, Rows]) -> HabitReport | None:
        if not (written := self._written(runs)):
            return None
        settings = self._data.settings
        options = {"seed": settings.seed, "resamples": settings.resamples, "places": self._places.tolist()}
        return habit_report(self._samples, written, self._targets, **options)

    def _calibration(self, runs: Mapping[ConditionId, Rows], verifiers: Sequence[Verifier]) -> Calibration | None:
        """Of the samples that every condition has a text of."""
        if not (written := self._written(runs)):
            return None
        settings, reviews = self._data.settings, visible_reviews(self._data, self._samples)
        options = {"seed": settings.seed, "resamples": settings.resamples, "places": self._places.tolist()}
        return calibrate(self._samples, reviews, written, self._targets, verifiers=verifiers, **options)

    def _own_fidelity(self) -> Interval | None:
        if not self._faithful:
            return None
        rows, draws = self._targets.rows(self._references), self._answered
        own = rows[draws.places]
        return interval(draws.resamples.score(FIDELITY, own)) if _is_known(FIDELITY.name, own) else None

    def _by_category(self, methods: Mapping[ConditionId, Stats], baseline: ConditionId) -> dict[str, ScoreTable]:
        categories = categories_of(self._data, self._samples)
        category, names = np.array(categories), sorted(set(categories))
        places = {name: self._places[category[self._places] == name] for name in names} if len(names) > 1 else {}
        if self._data.settings.uniqueness_groups:
            users = [sample.user for sample in self._samples]
            groups = halves(uniqueness(self._data, self._samples), users, categories)
            places |= {name: np.intersect1d(self._places, own) for name, own in groups.items()}
        return {
            name: self._table(methods, baseline, self._draws(own))
            for name, own in places.items()
            if len({self._samples[place].user for place in own.tolist()}) > 1
        }
