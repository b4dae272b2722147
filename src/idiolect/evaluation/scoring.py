"""Scoring: from the outputs of conditions to tables, intervals and attribution, as a result file, report and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from idiolect.data.split import MEMBER_SCHEMA
from idiolect.errors import InputError
from idiolect.evaluation import curves as curve_report
from idiolect.evaluation import token_classes, uvq_report
from idiolect.evaluation import usage as usage_tables
from idiolect.evaluation.attribution import Verdict, judge, settled_by
from idiolect.evaluation.calibration import Calibration, calibrate
from idiolect.evaluation.curves import Curves, curves
from idiolect.evaluation.judge import Found
from idiolect.evaluation.overpersonalization import HabitReport, habit_report
from idiolect.evaluation.render import (
    controls_to_text,
    plain,
    signature_list,
    to_dict,
    to_frame,
    to_markdown,
    to_pandas,
    to_text,
    verdicts_to_markdown,
)
from idiolect.evaluation.report import ScoreTable, Stats, check_names, score_table
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.evaluation.text_judge import TextJudge
from idiolect.evaluation.token_classes import TokenTables
from idiolect.evaluation.usage import (
    PeerScopes,
    UsageReport,
    answered,
    count_peer_scopes,
    sentences,
    usage_report,
    with_stage,
)
from idiolect.evaluation.uvq_report import MethodUvq, UvqByMethod, judging, method_uvq, user_scores
from idiolect.metrics.base import Aggregate, Mean, Metric
from idiolect.metrics.fidelity import FIDELITY, StyleTargets
from idiolect.metrics.registry import load_metrics
from idiolect.metrics.scripts import WITH_TOKENS, note_of
from idiolect.metrics.verification import Verifier, load_verifier
from idiolect.pipeline import results
from idiolect.pipeline.data import Data
from idiolect.store.base import is_history, is_peer
from idiolect.types import ConditionId, Sample

if TYPE_CHECKING:
    import pandas as pd


USERS_OWN = "users' own texts"
"""Row name of the users' own texts, whose score is the upper reference."""


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
        name: Name of the condition, for the notes.
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation:
    """What ``evaluate`` found."""

    methods: ScoreTable
    """Methods, tested against the baseline."""
    controls: Mapping[ConditionId, ScoreTable]
    """By method with controls: the controls, tested against it."""
    verdicts: tuple[Verdict, ...]
    """Attribution: whether the methods' gains are personal, according to the controls that were run."""
    categories: Mapping[str, ScoreTable]
    """The methods' table per category, if there are several, and of users by uniqueness, if requested."""
    calibration: Calibration | None
    """Style between floor and ceiling; None without texts, or without real texts to compare with."""
    habits: HabitReport | None
    """Over-personalization: habits shown where the user shows them, and where not; None where it cannot be measured."""
    token_classes: TokenTables | None
    """Likelihood by class of token, if the settings ask for it."""
    own_fidelity: Interval | None
    """Trait fidelity of the users' own texts, as the upper reference; None if it is not a metric of the run."""
    uvq: UvqByMethod
    """The unique valid quantity of differences by method; only methods that compare users."""
    usage: UsageReport
    """Calls, tokens, latency and cost, by condition and stage."""
    curves: Curves
    """Differences found per call of the extractor, by condition; only with adaptive extraction."""
    peer_scopes: PeerScopes
    """Peer scopes of past reviews, by condition."""
    notes: tuple[str, ...]
    """Notes for readers of the tables: what could not be computed, and the reason."""
    folder: Path
    """Holds ``results.json``, ``report.md`` and ``samples/<condition>.jsonl``."""

    def __repr__(self) -> str:
        return self.table()

    def _repr_markdown_(self) -> str:
        return to_markdown(self.methods)

    def table(self) -> str:
        """The methods' table as aligned text; the report has the others."""
        return to_text(self.methods)

    def to_polars(self) -> pl.DataFrame:
        """One row per method and metric: value, low, high, and the difference from RAG with its p values."""
        return to_frame(self.methods)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return to_pandas(self.methods)

    @property
    def report(self) -> Path:
        """The Markdown report."""
        return self.folder / "report.md"

    @property
    def tables(self) -> dict[str, ScoreTable]:
        """Every table by its title, except those of the categories."""
        return {"methods": self.methods} | {f"controls of {name}": table for name, table in self.controls.items()}

    @property
    def text(self) -> str:
        """Tables, verdicts and notes for a terminal; the report has every table in full."""
        parts = [f"methods\n\n{to_text(self.methods)}"]
        parts += [f"controls\n\n{controls_to_text(list(self.controls.values()))}"] if self.controls else []
        parts += [f"whether it is personal\n\n{verdicts_to_markdown(self.verdicts)}"] if self.verdicts else []
        if self.uvq:
            parts.append(f"what was found to differ\n\n{uvq_report.to_text(self.uvq)}")
        if usage_tables.worth_showing(self.usage):
            parts.append(f"what it took\n\n{usage_tables.to_text(self.usage)}")
        return "\n".join([*parts, *self.remarks]).rstrip("\n")

    @property
    def remarks(self) -> tuple[str, ...]:
        """The lines below the tables: the users' own score, peer scopes, warnings and notes."""
        below = (*sentences(self.peer_scopes), *uvq_report.warnings(self.uvq), *self.notes)
        if self.own_fidelity is None:
            return below
        value, low, high = self.own_fidelity
        return (f"users' own texts: trait-fidelity {value:.4f} [{low:.4f}, {high:.4f}]", *below)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write ``results.json``, ``report.md`` and, if matplotlib is installed, figures to the folder.

        Args:
            record: Everything that the scores depend on.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        results.write_json(self.folder / "results.json", {"status": "complete", **record, **self._found()})
        figures = uvq_report.draw_if_possible(self.uvq, self.folder)
        (self.folder / "report.md").write_text(self._report(record, figures), encoding="utf-8")

    def _found(self) -> dict[str, Any]:
        own = {} if self.own_fidelity is None else {"users_own_fidelity": self.own_fidelity._asdict()}
        tables = {name: to_dict(table) for name, table in self._titled().items()}
        verdicts = [verdict.to_dict() for verdict in self.verdicts]
        return {
            "tables": tables,
            "verdicts": verdicts,
            **own,
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "habits": None if self.habits is None else self.habits.to_dict(),
            "token_classes": None if self.token_classes is None else self.token_classes.to_dict(),
            "uvq": uvq_report.to_dict(self.uvq),
            "usage": usage_tables.to_dict(self.usage),
            "curves": curve_report.to_dict(self.curves),
            "peer_scopes": {one.plain_name: counts for one, counts in self.peer_scopes.items()},
            "notes": list(self.notes),
        }

    def _report(self, record: Mapping[str, Any], figures: Sequence[Path]) -> str:
        sections = [
            f"## {plain(name[0].upper() + name[1:])}\n\n{to_markdown(table, signatures=False)}"
            for name, table in self._titled().items()
        ]
        if self.verdicts:
            sections.append(f"## Whether it is personal\n\n{verdicts_to_markdown(self.verdicts)}")
        if self.calibration:
            sections.append(f"## Style between others' texts and the users' own\n\n{self.calibration.to_markdown()}")
        if self.habits:
            sections.append(f"## Habits where the user shows them, and where not\n\n{self.habits.to_markdown()}")
        if self.token_classes:
            sections.append(f"## Likelihood by class of token\n\n{self.token_classes.to_markdown()}")
        if self.uvq:
            shown = uvq_report.to_markdown(self.uvq, figures)
            sections.append(f"## What was found to differ\n\n{shown}")
        if self.usage:
            sections.append(f"## What it took\n\n{usage_tables.to_markdown(self.usage)}")
        if self.curves:
            sections.append(f"## What further calls found\n\n{curve_report.to_markdown(self.curves)}")
        if self.remarks:
            remarks = "".join(f"- {remark}\n" for remark in self.remarks)
            sections.append(f"## Notes\n\n{remarks}")
        columns = (column for table in self._titled().values() for column in table.columns)
        sections.append(f"## Metrics\n\n{signature_list(columns)}\n")
        return "\n".join(["# Evaluation\n", *(f"{line}\n" for line in _head(record)), *sections])

    def _titled(self) -> dict[str, ScoreTable]:
        return self.tables | {f"methods, {name}": table for name, table in self.categories.items()}


def _head(record: Mapping[str, Any]) -> Iterator[str]:
    """The first lines of the report: warnings about toy models; then backbone, encoder and split."""
    models = (record.get("backbone"), *(record.get("roles") or {}).values())
    if "fake" in models:
        yield "**The model `fake` copies its prompt: no score below says anything about a language model.**"
    if (record.get("settings") or {}).get("backbone", {}).get("model") == "sandbox":
        yield "**The shipped sandbox model was trained on made-up reviews only: scores on real reviews mean nothing.**"
    names = [f"{name} {plain(str(record[name]))}" for name in ("backbone", "encoder") if name in record]
    counts = [f"{record[name]} {name}" for name in ("users", "samples") if name in record]
    split = [f"split {', '.join(f'{k}={v}' for k, v in record['split'].items())}"] if "split" in record else []
    if names:
        yield "; ".join([*names, *(plain(one) for one in split), ", ".join(counts)]) + "."


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
