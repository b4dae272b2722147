"""The figures of a study of real reviews: gains over all seeds, what controls leave of them, and verdicts.

Likelihoods of the users for whom texts are written, and of further test users, are put together: a trained control and
the user's own history depend on no other user, and another user's history or vectors are of one of the same evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.attribution import Verdict, judge, sentences, settled_by
from idiolect.evaluation.compare import read_evaluation
from idiolect.evaluation.figures import BLUE, VERMILLION, IntervalRow, draw_intervals, plotting
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.methods.controls import CONSTANT, OTHER_VECTORS, WRONG_USER
from idiolect.metrics.base import Mean
from idiolect.types import ConditionId

PASSES = ("without text", "with text")
"""Prompts of the method with an adapter: soft prompts alone; soft prompts and the text of past reviews."""

_PLAIN, _BASELINE, _METHOD = map(ConditionId, (UNPERSONALIZED, BASELINE, ADAPTER_METHOD))
_CONSTANT = replace(_METHOD, control=CONSTANT)
_OTHERS = replace(_METHOD, control=OTHER_VECTORS)
_STRANGER = replace(_BASELINE, control=WRONG_USER)


class Output(NamedTuple):
    """Where the results of one adapter, or of the baseline, are."""

    texts: Path
    """Evaluation of the users for whom texts are written."""
    others: Path | None
    """Likelihoods of further test users; None if there are none."""

    @property
    def parts(self) -> tuple[Path, ...]:
        """Folders of all users."""
        return (self.texts,) if self.others is None else (self.texts, self.others)


class Choice(NamedTuple):
    """How many past reviews a prompt shows as text, and why."""

    shown: int
    """The number chosen."""
    validation: Mapping[int, float]
    """By number: nats per validation target of the method with an adapter, first seed; empty if there was no choice."""
    baseline: Mapping[int, Output]
    """By each other number: the baseline's likelihoods of the test targets."""

    @property
    def most(self) -> int:
        """The largest candidate; other methods show this many reviews in the evaluation of the pass without text."""
        return max(self.validation, default=self.shown)


class Seeds:
    """Likelihoods of one pass, of every seed.

    Args:
        folders: Of the evaluations, one per seed, or for each seed one per group of users; on the same samples.

    Raises:
        InputError: One of them is not finished, or has other samples.
    """

    def __init__(self, folders: Sequence[Sequence[Path]]) -> None:
        recorded = [[read_evaluation(folder) for folder in parts] for parts in folders]
        self._nats = [
            {
                one: np.array([row["nll"] for part in parts for row in part.runs[one]], dtype=np.float64)
                for one in parts[0].runs
                if all(one in part.runs for part in parts)
            }
            for parts in recorded
        ]
        self._samples = [sample for part in recorded[0] for sample in part.samples]
        users = [user for user, *_ in self._samples]
        self.n_users = len(set(users))
        rng = np.random.default_rng([recorded[0][0].settings.get("seed", 0), 11])  # the draws of the first evaluation
        self._draws = Resamples(len(users), rng, clusters=users)
        for parts in recorded:
            self._check([sample for part in parts for sample in part.samples])

    def have(self, *conditions: ConditionId) -> bool:
        """Whether every seed has these conditions."""
        return all(one in nats for nats in self._nats for one in conditions)

    def difference(self, worse: ConditionId, better: ConditionId) -> tuple[Interval, list[float]]:
        """Mean difference in nats per review, over seeds and of each.

        A user's differences are averaged over seeds first, so the interval is over users.
        """
        return self._interval([nats[worse] - nats[better] for nats in self._nats])

    def mean(self, condition: ConditionId) -> float:
        """Nats per review, over seeds."""
        return float(np.mean([nats[condition] for nats in self._nats]))

    def difference_from(self, other: Seeds, worse: ConditionId, better: ConditionId) -> tuple[Interval, list[float]]:
        """The same, ``worse`` in another evaluation of the same samples, which has one seed."""
        self._check(other._samples)
        return self._interval([other._nats[0][worse] - nats[better] for nats in self._nats])

    def verdicts(self) -> list[Verdict]:
        """Whether the gains of the method with an adapter are personal, of the first seed."""
        nats = self._nats[0]
        return [judge(claim, nats, self._draws) for claim in settled_by(nats) if claim.method == _METHOD]

    def _check(self, samples: Sequence[Any]) -> None:
        if samples != self._samples:
            raise InputError("the evaluations of one study have other samples", hint="run it in a new folder")

    def _interval(self, each: Sequence[np.ndarray]) -> tuple[Interval, list[float]]:
        mean = np.mean(each, axis=0)
        return interval(self._draws.score(Mean("nats", greater_is_better=True), mean)), [float(d.mean()) for d in each]


class _Line(NamedTuple):
    """A line of the summary: what is compared, in which pass."""

    text: str
    short: str
    """In the figure, where it stands alone."""
    where: str
    worse: ConditionId
    better: ConditionId


def _lines() -> list[_Line]:
    plain, rag, dep = (requirements(name).title for name in (UNPERSONALIZED, BASELINE, ADAPTER_METHOD))
    without, with_text = PASSES
    lines = [
        _Line(f"{rag} gains over {plain}", f"{rag} over {plain}", with_text, _PLAIN, _BASELINE),
        _Line(
            f"{rag} loses with another user's history",
            f"{rag}: another user's history worse by",
            with_text,
            _STRANGER,
            _BASELINE,
        ),
    ]
    for where, baseline, title in ((without, _PLAIN, plain), (with_text, _BASELINE, rag)):
        name = f"{dep} {where}"
        lines += [
            _Line(f"{name} gains over {title}", f"{name} over {title}", where, baseline, _METHOD),
            _Line(
                "a trained constant in its place is worse by",
                f"{name}: trained constant worse by",
                where,
                _CONSTANT,
                _METHOD,
            ),
            _Line(
                "another user's vectors are worse by",
                f"{name}: another user's vectors worse by",
                where,
                _OTHERS,
                _METHOD,
            ),
        ]
    return lines


class HistoryGain(NamedTuple):
    """What the text of past reviews gains, in nats per review."""

    gain: Interval
    """Of the baseline with past reviews, over no personalization."""
    others: Interval
    """By which another user's history is worse."""


class VectorGain(NamedTuple):
    """What vectors gain in one pass, in nats per review."""

    gain: Interval
    """Over the same prompt without soft prompts."""
    constant: Interval
    """By which a trained constant in their place is worse."""
    others: Interval
    """By which another user's vectors are worse."""


class _Found(NamedTuple):
    """A row of the summary."""

    line: _Line
    mean: Interval
    each: list[float]
    """By seed."""


class Summary:
    """Gains and losses of a study: of all users, of those for whom texts are written, and of the others.

    Args:
        outputs: Of all seeds, by pass.
        choice: How many past reviews are shown.

    Raises:
        InputError: An evaluation is not finished, or they have other samples.
    """

    def __init__(self, outputs: Mapping[str, Sequence[Output]], choice: Choice) -> None:
        self.outputs, self.choice = outputs, choice
        self.several = len(outputs[PASSES[0]]) > 1
        self._whole = {name: Seeds([one.parts for one in outs]) for name, outs in outputs.items()}
        self._other_numbers = {number: Seeds([one.parts]) for number, one in choice.baseline.items()}
        self.groups: dict[str, Mapping[str, Seeds]] = {}
        """The two groups of users, by their names; empty if likelihoods are of users with texts only."""
        if all(one.others is not None for outs in outputs.values() for one in outs):
            parts = [{name: [one.parts[k : k + 1] for one in outs] for name, outs in outputs.items()} for k in (0, 1)]
            with_texts, others = ({name: Seeds(folders) for name, folders in part.items()} for part in parts)
            self.groups = {_named(with_texts, "with texts"): with_texts, _named(others, "others"): others}

    @property
    def n_users(self) -> int:
        """All of whom there are likelihoods."""
        return self._whole[PASSES[0]].n_users

    def history_gain(self) -> HistoryGain | None:
        """What past reviews as text gain; None without likelihoods."""
        found = self._differences(PASSES[1], (_PLAIN, _BASELINE), (_STRANGER, _BASELINE))
        return HistoryGain(*found) if found else None

    def vector_gain(self, name: str) -> VectorGain | None:
        """What vectors gain in a pass; None without likelihoods, or without these controls."""
        baseline = _PLAIN if name == PASSES[0] else _BASELINE
        found = self._differences(name, *((worse, _METHOD) for worse in (baseline, _CONSTANT, _OTHERS)))
        return VectorGain(*found) if found else None

    def _differences(self, name: str, *pairs: tuple[ConditionId, ConditionId]) -> list[Interval]:
        seeds = self._whole[name]
        if not all(seeds.have(*pair) for pair in pairs):
            return []
        return [seeds.difference(*pair)[0] for pair in pairs]

    def mean_of_baseline(self, number: int) -> float | None:
        """Its nats per review if prompts show so many past reviews; None without likelihoods."""
        seeds = self._whole[PASSES[1]] if number == self.choice.shown else self._other_numbers[number]
        return seeds.mean(_BASELINE) if seeds.have(_BASELINE) else None

    def to_markdown(self) -> str:
        """The gains, and what is left of them in the controls, of all users and by group."""
        found = self._rows(self._whole, self._other_numbers)
        if not found:
            return ""
        of = f", {self.n_users} test users" if self.groups else ""
        averaged = "Each user's likelihoods are averaged over seeds first. " if self.several else ""
        return "\n".join(
            [
                *_table({f"nats per review{of}": found}, "mean and 95 % interval", several=self.several),
                "",
                f"{averaged}Intervals are over users. A gain is personal as far as the same soft prompts trained as a "
                "constant, and those of another user, do not have it.",
                *self._by_group(),
            ]
        )

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows of ``to_markdown`` of all users as plain data, each with its pass."""
        return [
            {
                "text": one.line.text,
                "label": one.line.short,
                "pass": one.line.where,
                "control": _is_control(one.line),
                **one.mean._asdict(),
                "seeds": one.each,
            }
            for one in self._rows(self._whole, self._other_numbers)
        ]

    def draw(self, path: Path) -> bool:
        """The gains of all users and what controls lose of them; False if there are none.

        Raises:
            ConfigError: ``path`` ends neither in .svg nor in .png.
            MissingDependencyError: matplotlib is not installed.
        """
        rows = [
            IntervalRow(one.line.short, one.mean, VERMILLION if _is_control(one.line) else BLUE)
            for one in self._rows(self._whole, {})
        ]
        if not rows:
            return False
        with plotting(path, width=7.2, height=0.9 + 0.27 * len(rows)) as figure:
            draw_intervals(figure.subplots(), rows, xlabel="nats per review, 95 % interval over users")
            figure.tight_layout()
        return True

    def _by_group(self) -> Iterator[str]:
        if not self.groups:
            return
        with_texts, others = self.groups
        found = {name: self._rows(seeds, {}) for name, seeds in self.groups.items()}
        yield from (
            "",
            f"The same of the {with_texts} and of the {others}, for whom likelihoods alone are computed:",
            "",
        )
        yield from _table(found, "", several=self.several)
        yield from ("", f"Scores, controls and style below are of the {with_texts}.")

    def _rows(self, seeds: Mapping[str, Seeds], other_numbers: Mapping[int, Seeds]) -> list[_Found]:
        found = [
            _Found(line, *seeds[line.where].difference(line.worse, line.better))
            for line in _lines()
            if seeds[line.where].have(line.worse, line.better)
        ]
        return found + self._against_best(seeds[PASSES[1]], other_numbers) if found else []

    def _against_best(self, seeds: Seeds, others: Mapping[int, Seeds]) -> list[_Found]:
        """The gain over the baseline that shows the number of reviews with which it is best, if that is another one.

        The test targets themselves choose the baseline's number, in its favour.
        """
        if not others or not seeds.have(_BASELINE, _METHOD):
            return []
        best = min(others, key=lambda number: others[number].mean(_BASELINE))
        if others[best].mean(_BASELINE) >= seeds.mean(_BASELINE):
            return []
        rag, dep = (requirements(name).title for name in (BASELINE, ADAPTER_METHOD))
        shown = self.choice.shown
        text = f"{dep} with text ({shown}) gains over {rag} with {best}, the best number for {rag} on these users"
        line = _Line(text, f"{dep} over {rag} with {best}", PASSES[1], _BASELINE, _METHOD)
        return [_Found(line, *seeds.difference_from(others[best], _BASELINE, _METHOD))]

    def verdicts(self, evaluations: Mapping[str, Evaluation]) -> list[str]:
        """Whether the gains of the method with an adapter are personal, by pass, in words, of the first seed.

        They rest on all users; what has controls of the users with texts only (nearest twin, item crowd) on those.

        Args:
            evaluations: Of the users with texts, first seed, by pass.
        """
        title = requirements(ADAPTER_METHOD).title
        lines: list[str] = []
        for name, found in evaluations.items():
            own = [one for one in found.verdicts if one.claim.method == _METHOD]
            if not self.groups:
                lines += [f"{title} {name}: {sentence}" for sentence in sentences(own)]
                continue
            whole = self._whole[name].verdicts()
            claims = [one.claim for one in whole]
            rest = [one for one in own if one.claim not in claims]
            lines += [f"{title} {name}: {sentence}" for sentence in sentences(whole)]
            lines += [f"{title} {name}, {next(iter(self.groups))}: {sentence}" for sentence in sentences(rest)]
        return lines


def _named(seeds: Mapping[str, Seeds], what: str) -> str:
    number = seeds[PASSES[0]].n_users
    return f"{number} {what}" if what == "others" else f"{number} users {what}"


def _table(groups: Mapping[str, Sequence[_Found]], mean: str, *, several: bool) -> Iterable[str]:
    """One column per group, named after it; of a single one ``mean`` names the column, and the group the rows."""
    each = ["each seed"] if several else []
    names = [mean] if mean else list(groups)
    head = [next(iter(groups)) if mean else "nats per review", *(cell for name in names for cell in (name, *each))]
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for rows in zip(*groups.values(), strict=True):
        cells = [rows[0].line.text]
        for _, found, seeds in rows:
            cells.append(f"{found.value:+.2f} [{found.low:.2f}, {found.high:.2f}]")
            cells += [", ".join(f"{one:+.2f}" for one in seeds)] if several else []
        yield f"| {' | '.join(cells)} |"


def _is_control(line: _Line) -> bool:
    return line.worse.control is not None
