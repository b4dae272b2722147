"""Comparison of finished evaluations: any condition of any of them as the baseline, optionally with pooled seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from idiolect.config import read_json
from idiolect.data.output_files import atomic_write, check_output
from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.columns import NLL, Columns, Rows, columns
from idiolect.evaluation.render import (
    FIELDS,
    differences_to_text,
    evaluations_to_text,
    to_csv,
    to_dict,
    to_latex,
    to_text,
    write_csv,
)
from idiolect.evaluation.report import ScoreTable, check_names, score_table
from idiolect.evaluation.significance import RESAMPLES, Resamples, check_draws
from idiolect.methods.base import BASELINE
from idiolect.metrics.base import Aggregate, Metric, score_each
from idiolect.metrics.fidelity import FIDELITY
from idiolect.metrics.registry import DEFAULT_METRICS, METRICS, VARIANTS, load_metrics
from idiolect.pipeline import results
from idiolect.pipeline.results import lacks_text
from idiolect.registry import suggest
from idiolect.types import ConditionId

MAX_BYTES = 2**28
"""Of a record of results."""
_KEY = ("user", "item", "target", "reference")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A finished evaluation."""

    folder: Path
    settings: Mapping[str, Any]
    """Settings as recorded."""
    runs: Mapping[ConditionId, Rows]
    """Outputs by condition, in the order of its tables."""

    @property
    def samples(self) -> list[tuple[str, ...]]:
        """User, item, target and reference of each sample."""
        return [tuple(row[key] for key in _KEY) for row in next(iter(self.runs.values()))]


class Group(NamedTuple):
    """Evaluations that are pooled; they differ in the seed only."""

    label: str
    members: tuple[Recorded, ...]


def read_evaluation(folder: Path) -> Recorded:
    """A finished evaluation's outputs.

    Raises:
        InputError: The folder holds none, or one of its files is incomplete.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError(f"{str(folder)!r} holds no finished evaluation", hint="name a folder of idiolect evaluate")
    try:
        record = read_json(path, max_bytes=MAX_BYTES)
        conditions = _conditions(record)
        _check_record(record["settings"])
        files = {one: results.output_file(folder, "samples", one.plain_name) for one in conditions}
        found = Recorded(folder, record["settings"], {one: results.read_outputs(path) for one, path in files.items()})
        if any([row["target"] for row in rows] != [s[2] for s in found.samples] for rows in found.runs.values()):
            raise ValueError("its conditions have different samples")
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError, OSError) as error:
        raise InputError(f"the evaluation in {str(folder)!r} cannot be read: {error}", hint="evaluate again") from error
    return found


def _conditions(record: Mapping[str, Any]) -> list[ConditionId]:
    """The conditions of a result file, in the order of its tables; the file is not trusted."""
    if "conditions" not in record:
        raise ValueError("an earlier version wrote it, which did not record which conditions are controls")
    found = [ConditionId(one["method"], one["control"], bool(one["measured"])) for one in record["conditions"]]
    for one in found:
        if not _is_plain(one.method) or not (one.control is None or _is_plain(one.control)):
            raise ValueError("a condition has no plain name")
    return found


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()


def _check_record(settings: Any) -> None:
    """Check the record of an evaluation; the file is not trusted."""
    metrics = settings.get("metrics", [])
    if not isinstance(metrics, list) or not all(isinstance(name, str) for name in metrics):
        raise ValueError("its metrics are no names")
    draws = {name: settings.get(name, 1) for name in ("resamples", "seed")}
    if not all(isinstance(value, int) for value in draws.values()):
        raise ValueError("its resamples or seed is no number")
    try:
        check_draws(**draws)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def read_groups(given: Sequence[str], *, pool: bool = False) -> list[Group]:
    """The named evaluations, as groups with the same samples.

    Args:
        given: Folders, ``LABEL=FOLDER``, or several separated by commas, which are pooled.
        pool: Pool all of them.

    Raises:
        ConfigError: Two groups have one label.
        InputError: A folder holds no evaluation, or one of other samples than the first.
    """
    groups = [_group(text) for text in ([",".join(given)] if pool else given)]
    labels = [group.label for group in groups]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"two evaluations are called {label!r}", hint="name them: one=FOLDER other=FOLDER")
    first, *others = (member for group in groups for member in group.members)
    for other in others:
        _check_same(first, other)
    return groups


def _group(text: str) -> Group:
    label, _, folders = ("", "", text) if Path(text).is_dir() else text.rpartition("=")
    paths = [Path(text)] if Path(text).is_dir() else [Path(part) for part in folders.split(",")]
    return Group(label or ",".join(path.resolve().name for path in paths), tuple(map(read_evaluation, paths)))


def _check_same(first: Recorded, other: Recorded) -> None:
    ours, theirs = first.samples, other.samples
    if ours != theirs:
        same = len(set(ours) & set(theirs))
        raise InputError(
            f"{str(other.folder)!r} has other samples than {str(first.folder)!r}: {same} of {len(theirs)} and "
            f"{len(ours)} are shared",
            hint="evaluate both on one split, with the same targets.max_test",
        )


class Run(NamedTuple):
    """A condition of a group."""

    id: ConditionId
    """Name in tables, with the group's label if there are several."""
    group: Group
    condition: ConditionId

    @property
    def name(self) -> str:
        """For display."""
        return str(self.id)

    @property
    def names(self) -> set[str]:
        """Accepted names: with or without label and ``(measured)``."""
        label = f"{self.group.label}:"
        return {prefix + name for prefix in ("", label) for name in (str(self.condition), self.condition.plain_name)}

    def parts(self, metrics: Sequence[Metric]) -> tuple[Columns, ...]:
        """Its outputs, one member of the group after the other."""
        return tuple(
            columns(f"{member.folder.name}:{self.condition}", member.runs[self.condition], metrics, references)
            for member in self.group.members
            for references in [[reference for *_, reference in member.samples]]
        )


def runs_of(groups: Sequence[Group]) -> list[Run]:
    """Every condition that all members of a group have."""
    shared = ((group, condition) for group in groups for condition in group.members[0].runs)
    return [
        Run(
            condition if len(groups) == 1 else replace(condition, method=f"{group.label}:{condition.method}"),
            group,
            condition,
        )
        for group, condition in shared
        if all(condition in member.runs for member in group.members)
    ]


def named(runs: Sequence[Run], name: str) -> list[Run]:
    """The runs named ``CONDITION`` or ``LABEL:CONDITION``; the label may be a folder.

    Raises:
        ConfigError: There is none.
    """
    folder, _, condition = name.partition(":")
    meant = {name, f"{folder.rstrip('/').rpartition('/')[2]}:{condition}"}
    found = [run for run in runs if run.names & meant]
    if not found:
        raise ConfigError(f"no evaluation has {name!r}", hint=suggest(name, {run.name for run in runs}))
    return found


def the_one(runs: Sequence[Run], name: str) -> Run:
    """The run of that name.

    Raises:
        ConfigError: There is none, or more than one.
    """
    found = named(runs, name)
    if len(found) > 1:
        raise ConfigError(f"{name!r} is in several evaluations", hint=f"one of: {', '.join(run.name for run in found)}")
    return found[0]


def chosen(runs: Sequence[Run], names: Sequence[str], baseline: str | None) -> list[Run]:
    """The named runs, or all except controls; and the baseline.

    Raises:
        ConfigError: There is no run of a name, or several for the baseline.
    """
    wanted = {run.name for name in names for run in named(runs, name)}
    wanted = wanted or {run.name for run in runs if run.condition.control is None}
    wanted |= {the_one(runs, baseline).name} if baseline else set()
    return [run for run in runs if run.name in wanted]


def pooled(run: Run, parts: Sequence[Columns], n_members: int) -> dict[str, np.ndarray]:
    """A run's columns, with the samples of its members concatenated.

    A single evaluation is repeated to be compared with several seeds: every seed has the same weight, and users are
    drawn with all their texts.

    Args:
        run: The run.
        parts: From its ``parts``.
        n_members: Size of the largest group.

    Raises:
        InputError: The group has another number of members, and more than one.
    """
    if len(parts) not in (1, n_members):
        raise InputError(
            f"{run.group.label!r} pools {len(parts)} evaluations, another {n_members}", hint="pool as many, or one"
        )
    every = [part.stats for part in parts] * (n_members // len(parts))
    return {
        name: np.concatenate([stats[name] for stats in every]) for name in every[0] if all(name in s for s in every)
    }


def lines(run: Run, parts: Sequence[Columns], metrics: Sequence[Aggregate]) -> Iterator[list[object]]:
    """One line per sample of each member: label, folder, condition, user, item, target, and its own scores."""
    for member, part in zip(run.group.members, parts, strict=True):
        scores = [
            score_each(metric, part.stats[metric.name].reshape(len(member.samples), -1)).tolist()
            if metric.name in part.stats
            else [""] * len(member.samples)
            for metric in metrics
        ]
        for (*ids, _), *own in zip(member.samples, *scores, strict=True):
            condition = (str(run.condition.of), run.condition.control or "")
            yield [run.group.label, str(member.folder), *condition, *ids, *own]


_HEAD = ("evaluation", "folder", "method", "control", "user", "item", "target")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Compared:
    """What ``compare_evaluations`` found."""

    tables: Mapping[str, ScoreTable]
    """Tables by title; each has its own baseline."""
    scores: Sequence[Sequence[object]]
    """Scores of single texts: a header, then one line per sample, evaluation and condition."""
    notes: tuple[str, ...]
    """Notes for readers of the tables."""

    @property
    def text(self) -> str:
        """Tables, differences and notes for a terminal."""
        tables = list(self.tables.values())
        shown = to_text(tables[0]) if len(tables) == 1 else evaluations_to_text(tables)
        differences = [differences_to_text(tables)] if any(table.comparisons for table in tables) else []
        return "\n".join([shown, *differences, *self.notes]).rstrip("\n")

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {"tables": {title: to_dict(table) for title, table in self.tables.items()}, "notes": list(self.notes)}

    def write(self, *, csv: Path | None = None, latex: Path | None = None, scores: Path | None = None) -> None:
        """Write the tables, or the scores of single texts, to files.

        Raises:
            OutputError: One of them exists with other contents (see ``check_files``).
        """
        places = check_files(csv=csv, latex=latex, scores=scores)
        if csv:
            write_text(places["csv"], to_csv(self.tables.values()))
        if latex:
            write_text(places["latex"], "\n".join(map(to_latex, self.tables.values())))
        if scores:
            write_text(places["scores"], write_csv(self.scores))


def check_files(*read: Path, **files: Path | None) -> dict[str, Path]:
    """The resolved paths of ``csv``, ``latex`` and ``scores``.

    Args:
        *read: Files that the command reads.
        **files: By option.

    Raises:
        OutputError: A file exists with other contents, is read, or two of them are the same.
    """
    given = {name: path for name, path in files.items() if path is not None}
    return {
        name: check_output(
            path,
            ours=_BEGINNINGS[name],
            what=f"a file of --{name}",
            apart=[*read, *(other for another, other in given.items() if another != name)],
        )
        for name, path in given.items()
    }


def _begins(*starts: str) -> Callable[[Path], bool]:
    def ours(path: Path) -> bool:
        with path.open(encoding="utf-8") as file:
            head = file.read(_HEAD_CHARS)
        return head.startswith(starts)

    return ours


def _is_latex(path: Path) -> bool:
    """Comments, then a ``tabular``."""
    with path.open(encoding="utf-8") as file:
        first = next((line for line in file if not line.startswith("%")), "")
    return first.startswith(r"\begin{tabular}")


_HEAD_CHARS = 1000
_BEGINNINGS = {"csv": _begins(",".join(FIELDS)), "latex": _is_latex, "scores": _begins(",".join(_HEAD))}
"""By which a file of an earlier comparison is recognized."""


def compare_evaluations(
    evaluations: Sequence[str],
    *,
    pool: bool = False,
    baseline: str | None = None,
    conditions: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int | None = None,
) -> Compared:
    """Score and test the texts of evaluations with the same samples.

    Metrics are recomputed by this version. Resamples are drawn as ``evaluate`` draws them, so that one evaluation
    compared with RAG gives its own table.

    Args:
        evaluations: Folders, see ``read_groups``.
        pool: Pool all of them, as runs with several seeds.
        baseline: A condition, as ``LABEL:CONDITION`` if several evaluations have it. None: RAG; for several
            evaluations, the same condition in the first evaluation that has it.
        conditions: Compared conditions; none: all except controls.
        metrics: Text metrics; none: the first evaluation's.
        resamples: Number of resamples; None: as in the first evaluation.

    Raises:
        ConfigError: A baseline, condition or metric does not exist, or exists more than once; or no resamples can be
            drawn.
        InputError: A folder holds no evaluation, or one of other samples than the first.
        MissingDependencyError: A metric's package is not installed.
    """
    if resamples is not None:
        check_draws(resamples=resamples)
    groups = read_groups(evaluations, pool=pool)
    first, runs = groups[0].members[0], runs_of(groups)
    names = tuple(metrics) or recorded_metrics(first)
    texts = load_metrics(names)
    shown: list[Aggregate] = [NLL, *texts]
    check_names(shown)
    parts = {run: run.parts(texts) for run in chosen(runs, conditions, baseline)}
    most = max(len(group.members) for group in groups)
    stats = {run: pooled(run, own, most) for run, own in parts.items()}
    scored = [column for column in shown if any(column.name in own for own in stats.values())]
    draws = _draws(first, most, resamples)
    tables = {
        title: score_table(scored, {run.id: stats[run] for run in rows}, draws, baseline=against)
        for title, rows, against in _layout(list(parts), baseline, several=len(groups) > 1)
    }
    left_out = (note for own in parts.values() for part in own for note in part.notes)
    return Compared(
        tables=tables,
        scores=[(*_HEAD, *(m.name for m in shown)), *(line for run in parts for line in lines(run, parts[run], shown))],
        notes=(*_notes(groups, most, named=bool(metrics)), *left_out, *_missing(parts)),
    )


def _missing(runs: Iterable[Run]) -> Iterator[str]:
    """A note on missing texts, which count as empty here, so that all evaluations keep their samples."""
    for run in runs:
        for member in run.group.members:
            rows = member.runs[run.condition]
            if missing := sum(map(lacks_text, rows)):
                yield (
                    f"{member.folder.name}:{run.condition}: {missing} of {len(rows)} texts are missing and count as "
                    "empty here; evaluate again to ask for them"
                )


def recorded_metrics(first: Recorded) -> tuple[str, ...]:
    """The metrics that need only a text and its reference, and that are not named by a path in the folder."""
    recorded = first.settings.get("metrics", DEFAULT_METRICS)
    return tuple(name for name in recorded if name in METRICS)


def _draws(first: Recorded, n_members: int, resamples: int | None) -> Resamples:
    users = [user for user, *_ in first.samples] * n_members
    many = resamples or first.settings.get("resamples", RESAMPLES)
    rng = np.random.default_rng([first.settings.get("seed", 0), 11])
    return Resamples(len(users), rng, clusters=users, resamples=many)


def _layout(
    runs: Sequence[Run], baseline: str | None, *, several: bool
) -> Iterator[tuple[str, Sequence[Run], ConditionId | None]]:
    """Title, rows and baseline of every table."""
    if baseline or not several:
        usual = (run for run in runs if run.condition == ConditionId(BASELINE))
        against = the_one(runs, baseline) if baseline else next(usual, None)
        yield (f"against {against.name}" if against else "scores"), runs, against and against.id
        return
    for name in dict.fromkeys(run.condition.plain_name for run in runs):  # measured or not, the method is the same
        rows = [run for run in runs if run.condition.plain_name == name]
        yield name, rows, rows[0].id if len(rows) > 1 else None


def write_text(path: Path, text: str) -> None:
    """Write one text file atomically."""
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))


def _notes(groups: Sequence[Group], most: int, *, named: bool) -> Iterator[str]:
    for group in groups:
        folders = ", ".join(str(member.folder) for member in group.members)
        if len(group.members) > 1:
            yield f"{group.label}: {len(group.members)} evaluations pooled, a user drawn with all of theirs: {folders}"
        elif most > 1:
            yield f"{group.label}: one evaluation, held against each of {most}: {folders}"
    recorded = {name for group in groups for member in group.members for name in member.settings.get("metrics", ())}
    known = {*METRICS, *VARIANTS, FIDELITY.name}
    if (own := sorted(recorded - known)) and not named:
        yield f"{', '.join(own)[:200]} left out: an evaluation does not choose code; name yours with metrics="
    if FIDELITY.name in recorded and not named:
        yield f"{FIDELITY.name} is left out: it needs the store, see each evaluation's own report"
