"""A condition of one evaluation, or of several that are taken for one, scored sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.additive import Aggregate, score_each
from idiolect.evaluation.base import Metric
from idiolect.evaluation.claims import is_control
from idiolect.experiments.columns import Columns, columns
from idiolect.experiments.compare.evaluations import Group
from idiolect.registry import suggest


class Run(NamedTuple):
    """A condition of a group."""

    name: str
    """In tables: with the group's label where there are several."""
    group: Group
    condition: str

    def parts(self, metrics: Sequence[Metric]) -> tuple[Columns, ...]:
        """What it scores, a member of the group after the other."""
        return tuple(
            columns(f"{member.folder.name}:{self.condition}", member.runs[self.condition], metrics, references)
            for member in self.group.members
            for references in [[reference for *_, reference in member.samples]]
        )


def runs_of(groups: Sequence[Group]) -> list[Run]:
    """Every condition that all members of a group have."""
    shared = ((group, condition) for group in groups for condition in group.members[0].runs)
    return [
        Run(condition if len(groups) == 1 else f"{group.label}:{condition}", group, condition)
        for group, condition in shared
        if all(condition in member.runs for member in group.members)
    ]


def named(runs: Sequence[Run], name: str) -> list[Run]:
    """The runs that a user means by ``CONDITION`` or ``LABEL:CONDITION``, the label perhaps a folder.

    Raises:
        ConfigError: There is none.
    """
    folder, _, condition = name.partition(":")
    meant = {name, f"{folder.rstrip('/').rpartition('/')[2]}:{condition}"}
    found = [run for run in runs if run.condition == name or run.name in meant]
    if not found:
        raise ConfigError(f"no evaluation has {name!r}", hint=suggest(name, {run.name for run in runs}))
    return found


def the_one(runs: Sequence[Run], name: str) -> Run:
    """The run that a user means.

    Raises:
        ConfigError: There is none, or more than one.
    """
    found = named(runs, name)
    if len(found) > 1:
        raise ConfigError(f"{name!r} is in several evaluations", hint=f"one of: {', '.join(run.name for run in found)}")
    return found[0]


def chosen(runs: Sequence[Run], names: Sequence[str], baseline: str | None) -> list[Run]:
    """The runs that are named, or all but controls; and the baseline.

    Raises:
        ConfigError: A name is no run's, or the baseline's is several runs'.
    """
    wanted = {run.name for name in names for run in named(runs, name)}
    wanted = wanted or {run.name for run in runs if not is_control(run.condition)}
    wanted |= {the_one(runs, baseline).name} if baseline else set()
    return [run for run in runs if run.name in wanted]


def pooled(run: Run, parts: Sequence[Columns], n_members: int) -> dict[str, np.ndarray]:
    """A run's columns, the samples of one member after those of another.

    A single evaluation is held against several seeds by being repeated: every seed weighs the same, and users are drawn
    with all that was written for them.

    Args:
        run: What is scored.
        parts: From its ``parts``.
        n_members: Of the largest group.

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
    """A line for each sample of each member: label, folder, condition, user, item, target, and what it scores alone."""
    for member, part in zip(run.group.members, parts, strict=True):
        scores = [
            score_each(metric, part.stats[metric.name].reshape(len(member.samples), -1)).tolist()
            if metric.name in part.stats
            else [""] * len(member.samples)
            for metric in metrics
        ]
        for (*ids, _), *own in zip(member.samples, *scores, strict=True):
            yield [run.group.label, str(member.folder), run.condition, *ids, *own]
