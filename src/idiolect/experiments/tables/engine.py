"""Runs what a table lacks, and scores it: data, adapters and outputs are kept in one folder that all tables share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from idiolect.config import merge, read_json
from idiolect.data.split import Split, make_split
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ConfigError, InputError, require, without_passwords
from idiolect.evaluation.columns import NLL, columns
from idiolect.evaluation.conditions import Condition, with_controls
from idiolect.evaluation.judge import found_by, judge_found
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.runner import run_condition
from idiolect.evaluation.scoring import categories_of, halves, uniqueness
from idiolect.evaluation.significance import Resamples
from idiolect.evaluation.usage import usage_report
from idiolect.evaluation.uvq import uvq
from idiolect.experiments.tables.spec import Profile, Row, TableSpec, published, rows_of
from idiolect.llm.base import LLM
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.registry import load_llm
from idiolect.methods.base import Contexts, requirements
from idiolect.metrics.base import Aggregate, Mean, Metric
from idiolect.metrics.registry import load_metrics
from idiolect.pipeline import results
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import Settings
from idiolect.planning import estimate
from idiolect.sandbox.world import World
from idiolect.store.embedding import embed_missing
from idiolect.store.outputs import check_own
from idiolect.store.sql import SqlStore
from idiolect.types import ConditionId, Sample
from idiolect.version import __version__

if TYPE_CHECKING:
    from idiolect.training.fit import FitReport

Say = Callable[[str], None]
UVQ = Mean("uvq", greater_is_better=True, unit="differences/user")
CLAIM = "tables.json"

_SHARED = ("encoder", "peers", "backbone", "context", "vectors", "prompt", "seed")
_OF_OUTPUTS = (*_SHARED, "differences", "targets", "sampling")
"""Settings that what a method writes may depend on, besides its adapter."""
_OF_ADAPTERS = (*_SHARED, "adapter_method", "adapter_preset", "adapter", "fit")
"""Settings that an adapter depends on, besides targets and, if it is chosen by METEOR, sampling."""
_FREE_OF_BACKBONE = {"device", "dtype", "batch_size"}


class Run(NamedTuple):
    """A row under one seed, as it was run."""

    row: Row
    seed: int
    settings: Settings
    rows: Sequence[Mapping[str, Any]]
    """Outputs, sample by sample."""
    controls: Mapping[str, Sequence[Mapping[str, Any]]]
    """Outputs of the row's negative controls, where they were asked for."""
    cost: Mapping[str, Any]
    """Wall and processor seconds, calls, tokens, and of a fitted adapter its size and seconds."""
    adapter: Path | None = None
    """Folder of the row's adapter."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """A table that was run."""

    name: str
    spec: TableSpec
    profile: Profile
    scores: Mapping[str, ScoreTable]
    """By data set, or by data set and group of users."""
    deviations: Mapping[tuple[str, str, str], float]
    """Standard deviation over seeds by data set, row and metric; empty for one seed."""
    source: str
    """Where the published figures are from."""
    published: Mapping[str, Mapping[str, Mapping[str, float]]]
    runs: Sequence[Run]
    samples: Sequence[Sample]
    """Those that every row wrote."""
    notes: tuple[str, ...]
    seconds: float
    """Of this call."""


class Bench:
    """The folder that tables share: a store with its split, adapters and outputs by what they depend on.

    Args:
        folder: Created if absent; an interrupted run is resumed there.
        profile: Which data, and how large.
        controls: Also run the rows' negative controls.
        say: Called with one line per step.
        progress: Show bars.

    Raises:
        ConfigError: The folder holds other files, or another profile's data.
    """

    def __init__(
        self, folder: Path, profile: Profile, *, controls: bool = False, say: Say, progress: bool = False
    ) -> None:
        self.folder, self.profile, self.controls, self.progress = folder, profile, controls, progress
        self._say = say
        self._open = ExitStack()
        self._llm: tuple[str, ExitStack, LLM] | None = None
        self._encoders: dict[str, Encoder] = {}
        check_own(folder, "tables")
        _claim(folder, profile)

    def __enter__(self) -> Self:
        self.store = self._open.enter_context(SqlStore(str(self.folder / "reviews.db")))
        return self

    def __exit__(self, *_: object) -> None:
        if self._llm is not None:
            self._llm[1].close()
        self._open.close()

    def prepare(self) -> Split:
        """Fill the store, and split it; what an earlier call did is not done again."""
        place = self.folder / "split"
        if not self.store.counts().reviews or not (self.folder / "data.json").is_file():
            self._fill()
            results.write_json(self.folder / "data.json", {"fingerprint": self.store.fingerprint()})
        if not (place / "split.json").is_file():
            self.store.record_output(place, "split")
            self._split().save(place, fingerprint=self.store.fingerprint())
        return Split.load(place, fingerprint=self.store.fingerprint())

    def _fill(self) -> None:
        if not self.profile.worlds:
            from idiolect.store.ingestion import ingest_files

            self._say(without_passwords(f"reading {self.profile.source}"))
            ingest_files(
                self.profile.source,
                store=str(self.folder / "reviews.db"),
                items=self.profile.items or None,
                rejects=self.folder / "rejects.jsonl",
                progress=self.progress,
            )
        for name, config in self.profile.worlds.items():
            self._say(f"making up a world for {name}")
            world = World(config)
            items = [replace(item, category=name) for item in world.items()]
            self.store.add(items, world.reviews())

    def _split(self) -> Split:
        reviews = self.store.review_frame()
        if self.profile.worlds or self.profile.corpus:
            return make_split(reviews, self.store.item_frame(), SplitConfig.preset("small", **dict(self.profile.split)))
        from idiolect.data.published import published_roles
        from idiolect.data.split import split_as_published

        source = self.profile.source
        return split_as_published(reviews, published_roles(source), SplitConfig(source=source))

    def data(self, settings: Settings) -> Data:
        """What a row reads, with the vectors that it needs."""
        for name in settings.encoders:
            embed_missing(self.store, self._encoder(name), progress=self.progress)
        return Data(self.store, self.folder / "split", settings, encoder=self._encoder(settings.encoder))

    def run(self, row: Row, seed: int, settings: Settings) -> Run:
        """A row's outputs; read back if they are there."""
        started = time.monotonic(), time.process_time()
        data, method = self.data(settings), str(row.method)
        adapter, report = self._adapter(data, settings) if requirements(method).adapter else (None, None)
        depends = _depends(_OF_OUTPUTS, data, settings) | {"method": method, "adapter": adapter and adapter.name}
        place = self.folder / "runs" / _key(depends)
        self._remember(place, "evaluation", depends)
        samples, controls = data.samples(data.evaluated), dict[str, Sequence[Mapping[str, Any]]]()
        name = method.rpartition(":")[2]
        path = results.output_file(place, "samples", name)
        if path.is_file() and not self.controls:  # no model is loaded to read back
            rows: Sequence[Mapping[str, Any]] = results.read_outputs(path)
        else:
            if line := estimate(data, "evaluate"):
                self._say(f"  {line}")
            llm = self.model(settings)
            with Models(llm, settings.sampling, cache=self.cache(settings)) as models:
                builder = MethodBuilder(settings, models, data.snapshot(data.evaluated), data.text_encoder)
                twins = data.twins(data.evaluated)
                found = list(with_controls(data, builder, method, adapter, twins)) if self.controls else []
                mine = next((one for one in found if one.control is None), None) or Condition(
                    method=builder.build(method, _contexts(data, method), adapter=adapter)
                )
                name = mine.id.plain_name
                rows = run_condition(mine, llm, samples, place, texts=True)
                if "likelihood" in llm.supports:
                    wrong = [one for one in found if one.control is not None]
                    controls = {str(one.id): run_condition(one, llm, samples, place, texts=False) for one in wrong}
        if [(r["user"], r["item"], r["target"]) for r in rows] != [(s.user, s.item, s.target) for s in samples]:
            raise InputError(f"the outputs in {str(place)!r} are of other samples", hint="remove that folder")
        took = time.monotonic() - started[0], time.process_time() - started[1]
        cost = self._cost(place, name, rows, report, took)
        return Run(row, seed, settings, rows, controls, cost, adapter)

    def _cost(
        self,
        place: Path,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        report: FitReport | None,
        took: tuple[float, float],
    ) -> dict[str, Any]:
        path = place / "cost.json"
        known = read_json(path) if path.is_file() else {}
        if not known:
            known = {"seconds": round(took[0], 1), "processor_seconds": round(took[1], 1)}
            results.write_json(path, known)
        condition = ConditionId(name)
        used = usage_report({condition: rows}).get(condition, {})
        known["calls"] = sum(usage.calls for usage in used.values())
        known["prompt_tokens"] = sum(usage.prompt_tokens for usage in used.values())
        known["completion_tokens"] = sum(usage.completion_tokens for usage in used.values())
        if report is not None:
            known |= {"trained": report.trainable_parameters, "trained_share": report.trainable_share}
            known |= {"steps": report.steps, "seconds_per_epoch": list(report.seconds_per_epoch)}
        return known

    def _adapter(self, data: Data, settings: Settings) -> tuple[Path, FitReport]:
        """The folder of the row's adapter, fitted where it is not, with its report."""
        require("torch", extra="train")
        from idiolect.training.fit import FitReport

        initial = None
        if (first := self.profile.first_stage) is not None:
            before = Settings.model_validate(merge(settings.model_dump(), first))
            if settings.prompt.with_text:
                initial, _ = self._adapter(self.data(before), before)
            else:  # there is but the one stage
                data, settings = self.data(before), before
        depends = _depends(_OF_ADAPTERS, data, settings) | {"initial": initial and initial.name}
        place = self.folder / "adapters" / _key(depends)
        if not (place / "settings.json").is_file():
            from idiolect.llm.transformers import TransformersLLM
            from idiolect.pipeline.fit import fit

            llm = self.model(settings)
            llm = llm.llm if isinstance(llm, CachedLLM) else llm
            if not isinstance(llm, TransformersLLM):
                raise ConfigError(f"no adapter can be fitted to {llm.name}", hint="backbone.backend: transformers")
            self._say(f"  fitting an adapter{'' if initial is None else ', second stage'}")
            if line := estimate(data, "fit"):
                self._say(f"  {line}")
            self._remember(place, "fit", depends)
            fit(data, llm, folder=place, initial=initial, progress=self.progress)
        return place, FitReport.read(place)

    def _remember(self, place: Path, kind: str, depends: Mapping[str, Any]) -> None:
        """Record an output, so that an erasure finds it, and what it depends on, for people."""
        self.store.record_output(place, kind)
        if not (place / "depends.json").is_file():
            place.mkdir(parents=True, exist_ok=True)
            results.write_json(place / "depends.json", depends)

    def _encoder(self, name: str) -> Encoder:
        if name not in self._encoders:
            self._encoders[name] = load_encoder(name)
        return self._encoders[name]

    def cache(self, settings: Settings) -> Path | None:
        """File of the answers of models that roles have to themselves; None: there are none."""
        return None if not settings.differences.backbones else self.folder / "answers.db"

    def model(self, settings: Settings) -> LLM:
        """The row's language model; one is held at a time, because two of them may not fit."""
        key = repr(settings.backbone)
        if self._llm is None or self._llm[0] != key:
            if self._llm is not None:
                self._llm[1].close()
            stack = ExitStack()
            llm = load_llm(settings.backbone, progress=self.progress)
            if isinstance(llm, AbstractContextManager):
                stack.enter_context(llm)
            if settings.backbone.endpoint is not None:
                llm = CachedLLM(llm, stack.enter_context(Cache(self.folder / "answers.db")))
            self._llm = (key, stack, llm)
        return self._llm[2]


def run_table(bench: Bench, name: str, spec: TableSpec, recipes: Path, *, say: Say) -> Found:
    """Run what a table lacks, score and test it.

    Args:
        bench: Where it is run.
        name: Of the table.
        spec: What it is made of.
        recipes: Folder of the specification's recipes.
        say: Called with one line per step.

    Raises:
        ConfigError: Rows have different targets, or a setting is wrong.
        InputError: No row is run under this profile.
    """
    started = time.monotonic()
    wanted = list(rows_of(spec, bench.profile, recipes))  # every setting is checked before anything is run
    if not wanted:
        raise InputError(f"{name} has no row under the profile {bench.profile.name!r}", hint="try the other profile")
    if len({json.dumps(_draw_of(settings)) for _, _, settings in wanted}) > 1:
        raise ConfigError(f"the rows of {name} are evaluated on different targets", hint="set targets for all rows")
    bench.prepare()
    runs: list[Run] = []
    for number, (row, seed, settings) in enumerate(wanted, start=1):
        say(f"{name} {number}/{len(wanted)}: {row.name}, seed {seed}")
        runs.append(bench.run(row, seed, settings))
    say(f"{name}: scoring")
    data = bench.data(wanted[0][2])
    scorer = _Scorer(bench, spec, data, runs)
    source, known = ("none of these reviews", {}) if bench.profile.corpus else published(spec)
    return Found(
        name=name,
        spec=spec,
        profile=bench.profile,
        scores=scorer.tables(),
        deviations=scorer.deviations(),
        source=source,
        published=known,
        runs=runs,
        samples=data.samples(data.evaluated),
        notes=(*_notes(spec, bench.profile), *dict.fromkeys(scorer.notes)),
        seconds=time.monotonic() - started,
    )


def _notes(spec: TableSpec, profile: Profile) -> Iterator[str]:
    if profile.worlds:
        yield (
            "Made-up reviews and the shipped 3 M parameter model: only the order of rows can be held against the "
            "published figures, not their size."
        )
    if profile.corpus:
        yield f"Data: {profile.corpus}."
    if profile.name == "sandbox":
        stand_ins = [row for row in spec.rows if row.stands_for and row.sandbox is not None]
        yield from (f"{row.name}: {row.stands_for}." for row in stand_ins)
    skipped = [row.name for row in spec.rows if row.method is None]
    if skipped and not profile.corpus:
        yield f"Published figures alone: {', '.join(skipped)}."
    other = [
        row.name for row in spec.rows if row.method and (row.sandbox if profile.name == "sandbox" else row.full) is None
    ]
    if other:
        yield f"Not run under the profile {profile.name}: {', '.join(other)}."
    yield from spec.notes


class _Scorer:
    """Scores the runs of a table, data set by data set."""

    def __init__(self, bench: Bench, spec: TableSpec, data: Data, runs: Sequence[Run]) -> None:
        self._bench, self._spec, self._data, self._runs = bench, spec, data, runs
        self._samples = data.samples(data.evaluated)
        self._users = [str(sample.user) for sample in self._samples]
        wanted = dict.fromkeys((*spec.metrics, *bench.profile.metrics))
        offline = bench.profile.name == "sandbox"
        names = [name for name in wanted if name not in ("uvq", "nll") and not (offline and "bertscore" in name)]
        self._metrics: list[Metric] = load_metrics(names)
        self._columns: list[Aggregate] = [
            {"uvq": UVQ, "nll": NLL}.get(name) or next(m for m in self._metrics if m.name == name)
            for name in wanted
            if name in ("uvq", "nll", *names)
        ]
        self.notes: list[str] = []
        """What could not be scored, and why."""
        self._stats = [self._scored(run) for run in runs]

    def places(self) -> dict[str, np.ndarray]:
        """The samples of every data set, or of every group of its users."""
        categories = np.array(categories_of(self._data, self._samples))
        if corpus := self._bench.profile.corpus:
            categories = np.full(len(self._samples), corpus)
        datasets = (corpus,) if corpus else self._spec.datasets
        known = {name: np.flatnonzero(categories == name) for name in datasets}
        if self._spec.groups == "none":
            return {name: own for name, own in known.items() if len(own) > 1}
        groups = halves(uniqueness(self._data, self._samples), self._users, categories.tolist())
        return {
            f"{name}, {group}": both
            for name, own in known.items()
            for group, places in groups.items()
            if len(both := np.intersect1d(own, places)) > 1
        }

    def tables(self) -> dict[str, ScoreTable]:
        """A table a data set, seeds pooled."""
        return {name: self._table(own) for name, own in self.places().items()}

    def deviations(self) -> dict[tuple[str, str, str], float]:
        """Standard deviation over seeds of every score; none for one seed."""
        if len(self._bench.profile.seeds) < 2:
            return {}
        found: dict[tuple[str, str, str], list[float]] = {}
        for name, own in self.places().items():
            for run, stats in zip(self._runs, self._stats, strict=True):
                for column in self._columns:
                    if column.name in stats:
                        score = float(column.aggregate(stats[column.name][own].reshape(len(own), -1)))
                        found.setdefault((name, run.row.name, column.name), []).append(score)
        return {key: float(np.std(values, ddof=1)) for key, values in found.items() if len(values) > 1}

    def _table(self, own: np.ndarray) -> ScoreTable:
        seeds = len(self._bench.profile.seeds)
        pooled: dict[str, dict[str, list[np.ndarray]]] = {}
        for run, stats in zip(self._runs, self._stats, strict=True):
            into = pooled.setdefault(run.row.name, {})
            for name, values in stats.items():
                into.setdefault(name, []).append(values[own])
        joined = {
            row: {name: np.concatenate(parts) for name, parts in stats.items() if len(parts) == seeds}
            for row, stats in pooled.items()
        }
        users = [self._users[place] for place in own.tolist()] * seeds
        first = self._runs[0].settings
        draws = Resamples(
            len(users), np.random.default_rng([first.seed, 11]), clusters=users, resamples=first.resamples
        )
        shown = [column for column in self._columns if any(column.name in stats for stats in joined.values())]
        baseline = self._spec.baseline if self._spec.baseline in joined else None
        return score_table(shown, joined, draws, baseline=baseline)

    def _scored(self, run: Run) -> dict[str, np.ndarray]:
        references = [sample.reference or "" for sample in self._samples]
        found = columns(run.row.name, run.rows, self._metrics, references)
        self.notes += found.notes
        stats = dict(found.stats)
        if "uvq" in self._spec.metrics and any(row.get("compared") for row in run.rows):
            stats["uvq"] = self._uvq(run)
        wanted = {column.name for column in self._columns}
        return {name: values for name, values in stats.items() if name in wanted}

    def _uvq(self, run: Run) -> np.ndarray:
        """float64 (n,): distinct valid differences of each sample's user."""
        found = found_by(run.rows)
        if run.settings.differences.judge is not None:
            llm = self._bench.model(run.settings)
            with Models(llm, run.settings.sampling, cache=self._bench.cache(run.settings)) as models:
                judge = models.judge(run.settings.differences)
                snapshot = self._data.snapshot(self._data.evaluated)
                if judge is not None:
                    condition = ConditionId(run.row.name)
                    found = judge_found(judge, {condition: found}, snapshot)[condition]
        counts = dict(zip(map(str, found.users), uvq(found.units).per_user.tolist(), strict=True))
        return np.array([float(counts.get(user, 0)) for user in self._users])


def _contexts(data: Data, method: str) -> Contexts:
    return data.contexts(data.evaluated, past=requirements(method).past_vectors)


def _draw_of(settings: Settings) -> dict[str, Any]:
    return {"targets": settings.targets.model_dump(include={"max_test", "evaluated"})}


def _depends(names: Sequence[str], data: Data, settings: Settings) -> dict[str, Any]:
    """What an output depends on, as plain data."""
    shown = settings.model_dump(mode="json", include=set(names))
    shown["backbone"] = {key: value for key, value in shown["backbone"].items() if key not in _FREE_OF_BACKBONE}
    if "fit" in names:
        targets = settings.targets.model_dump(mode="json", include={"train_per_user", "max_validation"})
        drawn = settings.sampling.model_dump(mode="json") if settings.fit.metric == "meteor" else None
        shown |= {"targets": targets, "sampling": drawn}
    elif "differences" in shown:
        shown["differences"].pop("judge", None)
    return {**shown, "store": data.fingerprint, "split": data.members, "version": __version__}


def _key(depends: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(depends, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _claim(folder: Path, profile: Profile) -> None:
    """Make the folder the tables' own; other data is refused, other settings are other runs in it."""
    path, own = folder / CLAIM, results.plain({"profile": profile.name, "data": profile.data})
    if path.is_file() and read_json(path) != own:
        raise ConfigError(f"{str(folder)!r} holds tables of other data", hint="choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(path, own)
