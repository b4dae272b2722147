"""Evaluations against one another: any condition of any of them as the baseline, seeds pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.corpus.atomic import check_output, write_whole
from idiolect.evaluation.additive import Aggregate
from idiolect.evaluation.export import FIELDS, to_csv, to_latex, write_csv
from idiolect.evaluation.fidelity import FIDELITY
from idiolect.evaluation.render import differences_to_text, evaluations_to_text, to_dict, to_text
from idiolect.evaluation.report import ScoreTable, check_names, score_table
from idiolect.evaluation.significance import RESAMPLES, Resamples
from idiolect.evaluation.table import DEFAULT_METRICS, METRICS, load_metrics
from idiolect.experiments.columns import NLL
from idiolect.experiments.compare.evaluations import Group, Recorded, read_groups
from idiolect.experiments.compare.pooled import Run, chosen, lines, pooled, runs_of, the_one
from idiolect.experiments.results import lacks_text

_HEAD = ("evaluation", "folder", "condition", "user", "item", "target")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Compared:
    """What ``compare_evaluations`` found."""

    tables: Mapping[str, ScoreTable]
    """By title; each has a baseline of its own."""
    scores: Sequence[Sequence[object]]
    """What every text scores on its own: a header, then a line a sample of every evaluation and condition."""
    notes: tuple[str, ...]
    """What a reader of the tables has to know."""

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
        """Leave the tables, or what every text scores on its own, in files.

        Raises:
            OutputError: One of them is there already and holds something else (see ``check_files``).
        """
        places = check_files(csv=csv, latex=latex, scores=scores)
        if csv:
            write_text(places["csv"], to_csv(self.tables.values()))
        if latex:
            write_text(places["latex"], "\n".join(map(to_latex, self.tables.values())))
        if scores:
            write_text(places["scores"], write_csv(self.scores))


def check_files(**files: Path | None) -> dict[str, Path]:
    """Where ``csv``, ``latex`` and ``scores`` go, links followed.

    Raises:
        OutputError: A file is there already and holds something else, or two of them are the same.
    """
    given = {name: path for name, path in files.items() if path is not None}
    return {
        name: check_output(
            path,
            ours=_BEGINNINGS[name],
            what=f"a file of --{name}",
            apart=[other for another, other in given.items() if another != name],
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
"""What tells a file that an earlier comparison wrote."""


def compare_evaluations(
    evaluations: Sequence[str],
    *,
    pool: bool = False,
    baseline: str | None = None,
    conditions: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int | None = None,
) -> Compared:
    """Score and test what evaluations of the same samples wrote.

    Metrics are computed anew, by this version. Resamples are drawn as ``evaluate`` draws them, so that one evaluation
    compared with RAG gives its own table.

    Args:
        evaluations: Folders, see ``read_groups``.
        pool: Take all of them for one, run with several seeds.
        baseline: A condition, as ``LABEL:CONDITION`` where several evaluations have it. None: RAG; of several
            evaluations each condition in the first that has it.
        conditions: Which; none: all but controls.
        metrics: Of texts; none: the first evaluation's.
        resamples: How many; None: as many as the first has.

    Raises:
        ConfigError: A baseline, condition or metric is not there, or is there more than once.
        InputError: A folder holds no evaluation, or one of other samples than the first.
        MissingDependencyError: A metric's package is not installed.
    """
    groups = read_groups(evaluations, pool=pool)
    first, runs = groups[0].members[0], runs_of(groups)
    names = tuple(metrics) or _recorded_metrics(first)
    texts = load_metrics(names)
    shown: list[Aggregate] = [NLL, *texts]
    check_names(shown)
    parts = {run: run.parts(texts) for run in chosen(runs, conditions, baseline)}
    most = max(len(group.members) for group in groups)
    stats = {run: pooled(run, own, most) for run, own in parts.items()}
    scored = [column for column in shown if any(column.name in own for own in stats.values())]
    draws = _draws(first, most, resamples)
    tables = {
        title: score_table(scored, {run.name: stats[run] for run in rows}, draws, baseline=against)
        for title, rows, against in _layout(list(parts), baseline, several=len(groups) > 1)
    }
    left_out = (note for own in parts.values() for part in own for note in part.notes)
    return Compared(
        tables=tables,
        scores=[(*_HEAD, *(m.name for m in shown)), *(line for run in parts for line in lines(run, parts[run], shown))],
        notes=(*_notes(groups, most, named=bool(metrics)), *left_out, *_missing(parts)),
    )


def _missing(runs: Iterable[Run]) -> Iterator[str]:
    """Texts that a model did not give, which are compared as empty ones: evaluations keep their samples here."""
    for run in runs:
        for member in run.group.members:
            rows = member.runs[run.condition]
            if missing := sum(map(lacks_text, rows)):
                yield (
                    f"{member.folder.name}:{run.condition}: {missing} of {len(rows)} texts are missing and count as "
                    "empty here; evaluate again to ask for them"
                )


def _recorded_metrics(first: Recorded) -> tuple[str, ...]:
    """Those that need only a text and its reference, and whose code the folder does not choose."""
    recorded = first.settings.get("metrics", DEFAULT_METRICS)
    return tuple(name for name in recorded if name in METRICS)


def _draws(first: Recorded, n_members: int, resamples: int | None) -> Resamples:
    users = [user for user, *_ in first.samples] * n_members
    many = resamples or first.settings.get("resamples", RESAMPLES)
    rng = np.random.default_rng([first.settings.get("seed", 0), 11])
    return Resamples(len(users), rng, clusters=users, resamples=many)


def _layout(
    runs: Sequence[Run], baseline: str | None, *, several: bool
) -> Iterator[tuple[str, Sequence[Run], str | None]]:
    """Title, rows and baseline of every table."""
    if baseline or not several:
        against = the_one(runs, baseline).name if baseline else next((r.name for r in runs if r.name == "rag"), None)
        yield (f"against {against}" if against else "scores"), runs, against
        return
    for condition in dict.fromkeys(run.condition for run in runs):
        rows = [run for run in runs if run.condition == condition]
        yield condition, rows, rows[0].name if len(rows) > 1 else None


def write_text(path: Path, text: str) -> None:
    """Write one text file, whole or not at all."""
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def _notes(groups: Sequence[Group], most: int, *, named: bool) -> Iterator[str]:
    for group in groups:
        folders = ", ".join(str(member.folder) for member in group.members)
        if len(group.members) > 1:
            yield f"{group.label}: {len(group.members)} evaluations pooled, a user drawn with all of theirs: {folders}"
        elif most > 1:
            yield f"{group.label}: one evaluation, held against each of {most}: {folders}"
    recorded = {name for group in groups for member in group.members for name in member.settings.get("metrics", ())}
    if (own := sorted(name for name in recorded if name not in METRICS and name != FIDELITY.name)) and not named:
        yield f"{', '.join(own)[:200]} left out: an evaluation does not choose code; name yours with --metrics"
    if FIDELITY.name in recorded and not named:
        yield f"{FIDELITY.name} is left out: it needs the store, see each evaluation's own report"
