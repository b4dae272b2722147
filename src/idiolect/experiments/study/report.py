"""Results of the study: tables, contrasts and attribution over all seeds, as data and as Markdown.

Seeds are pooled: users of different worlds are different users. ``RecordedStudy`` reads what the study wrote, and the
record that ships with the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idiolect.data.output_files import atomic_write
from idiolect.errors import ArtifactError, MissingDependencyError
from idiolect.evaluation.attribution import Verdict, judge, settled_by
from idiolect.evaluation.render import to_dict, to_markdown, verdicts_to_markdown
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.result import USERS_OWN
from idiolect.evaluation.scoring import style_targets
from idiolect.evaluation.significance import Comparison, Resamples, compare, holm
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.probes import ProbeResults
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED
from idiolect.methods.controls import CONSTANT, HISTORY_TWICE, NO_ADAPTER, OTHER_VECTORS, SHUFFLED_PEERS, WRONG_USER
from idiolect.metrics.base import Aggregate, Mean, Metric
from idiolect.metrics.registry import load_metrics
from idiolect.pipeline import results
from idiolect.types import ConditionId

if TYPE_CHECKING:
    from idiolect.experiments.study.arms import SeedWorld

NLL = Mean("nll", greater_is_better=False, unit="nats/review")

Stats = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Outputs of the conditions that all of some seeds have."""

    users: tuple[str, ...]
    """Of each sample."""
    runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]]
    """Condition to its outputs, sample by sample, seed after seed."""

    @property
    def nats(self) -> dict[ConditionId, np.ndarray]:
        """Condition to float64 (n,): negative log-likelihood of each reference."""
        return {name: np.array([row["nll"] for row in rows]) for name, rows in self.runs.items()}

    def texts(self, run: ConditionId) -> list[str] | None:
        """Texts of a condition; None if there are only likelihoods."""
        return results.texts(self.runs[run])

    def draws(self, *, seed: int, resamples: int) -> Resamples:
        """Resamples of users."""
        return Resamples(len(self.users), np.random.default_rng([seed, 11]), clusters=self.users, resamples=resamples)

    def table(
        self,
        metrics: Sequence[Metric],
        extra: Mapping[ConditionId, Stats],
        columns: Sequence[Aggregate],
        draws: Resamples,
    ) -> ScoreTable:
        """Likelihood, text metrics and further per-sample scores of every condition, tested against RAG.

        Args:
            metrics: Of the texts against the references.
            extra: Condition to further columns' values, float (n,).
            columns: What aggregates them.
            draws: From ``draws``.
        """
        references = [row["reference"] for row in next(iter(self.runs.values()))]
        stats: dict[ConditionId, dict[str, np.ndarray]] = {}
        for name, nats in self.nats.items():
            texts = self.texts(name)
            own = {} if texts is None else {m.name: m.segments(texts, references) for m in metrics}
            stats[name] = {NLL.name: nats, **own, **extra.get(name, {})}
        return score_table([NLL, *metrics, *columns], stats, draws, baseline=BASELINE)


def run_names(config: StudyConfig) -> list[ConditionId]:
    """Every condition that some seed has, in the order of the table."""
    found = [ConditionId(UNPERSONALIZED), ConditionId(BASELINE), ConditionId(BASELINE, WRONG_USER)]
    for arm in config.arms:
        controls = (OTHER_VECTORS, WRONG_USER, NO_ADAPTER) if arm.controls else ()
        constant = (CONSTANT,) if arm.constant else ()
        found += [arm.id, *(ConditionId(arm.name, control) for control in (*constant, *controls))]
    return found


def read_pool(folders: Sequence[Path], conditions: Sequence[ConditionId]) -> Pool:
    """Outputs of ``conditions`` in the seeds' folders, without those that some seed lacks."""
    files = {one: [results.output_file(folder, "samples", one.plain_name) for folder in folders] for one in conditions}
    whole = {name: paths for name, paths in files.items() if all(path.is_file() for path in paths)}
    runs = {name: [row for path in paths for row in results.read_lines(path)] for name, paths in whole.items()}
    users = tuple(row["user"] for row in next(iter(runs.values())))
    return Pool(users, runs)


def seed_fidelity(world: SeedWorld, config: StudyConfig) -> dict[ConditionId, np.ndarray]:
    """Condition to float64 (n,): trait fidelity of every sample's text, and of the users' own texts.

    Args:
        world: The seed.
        config: The study.
    """
    data = world.data(config.settings)
    samples = data.samples("test")
    targets = style_targets(data, samples)
    pool = read_pool([world.folder], run_names(config))
    written = {name: texts for name in pool.runs if (texts := pool.texts(name)) is not None}
    written[ConditionId(USERS_OWN)] = [sample.reference or "" for sample in samples]
    return {name: targets.score(texts) for name, texts in written.items()}


FILE, RECORDED = "study.json", "recorded-study.txt"
"""In ``idiolect.sandbox``: what ``idiolect study sandbox`` wrote; and its text in a folder."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedStudy:
    """What ``study.json`` holds, read for people."""

    record: Mapping[str, Any]

    @property
    def main(self) -> Mapping[str, Any]:
        """The section over all seeds: table, contrasts, verdicts."""
        return self.record["sections"][0]

    @property
    def probes(self) -> ProbeResults:
        """How well each input predicts the true effects."""
        return ProbeResults.from_dict(self.record["probes"])

    @property
    def title(self) -> str:
        """Seeds, samples, backbone and when it was recorded, in a line."""
        table, phase = self.main["table"], self.record["config"]["phase"]
        return f"{self.main['title']}, {phase} phase, {table['segments']} samples, {self.record['backbone']}"

    @property
    def summary(self) -> str:
        """What RAG gains over no personalization and DEP over RAG, in a line."""
        gains = {tuple(ConditionId(**one[side]) for side in ("better", "than")): one for one in self.main["contrasts"]}
        rag, dep = (_gain(gains[pair]) for pair in ((_RAG, _NONE), (_DEP, _RAG)))
        return f"RAG {rag} nats a review over no personalization, DEP {dep} over RAG"

    def to_text(self) -> str:
        """Likelihood of every run, the contrasts, the verdicts and the probes, aligned."""
        lines = [*self._sanity_check(), "", *self._runs(), "", *self._contrasts(), "", *self._verdicts()]
        return "\n".join([*lines, "", *self._probed()])

    def draw(self, folder: Path) -> list[Path]:
        """Figures of the contrasts and the probes: ``study-gains.svg``, ``study-probes.svg``, ``study-traits.svg``.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        from idiolect.experiments.study.figures import draw_curves, draw_gains, draw_traits

        gains, curves, traits = (folder / f"study-{name}.svg" for name in ("gains", "probes", "traits"))
        draw_gains(self.main["contrasts"], gains)
        draw_curves(self.probes, curves)
        draw_traits(self.probes, traits)
        return [gains, curves, traits]

    def write(self, folder: Path) -> Path:
        """Leave ``to_text`` in ``folder``, and the figures if matplotlib is installed; returns the text's file."""
        path = folder / RECORDED
        text = f"{self.title}\n\n{self.to_text()}\n"
        atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))
        with suppress(MissingDependencyError):
            self.draw(folder)
        return path

    def _sanity_check(self) -> Iterator[str]:
        sanity_check = self.record["sanity_check"]
        for name, gain in sanity_check["gains"].items():
            yield f"{name}: {_gain(gain)} nats a review over Non-Perso"

    def _runs(self) -> Iterator[str]:
        yield f"{'nats a review (lower is better)':<44}"
        for row in sorted(self.main["table"]["methods"], key=lambda row: row["scores"]["nll"]["value"]):
            score = row["scores"]["nll"]
            yield f"  {row['name']:<42} {score['value']:7.2f} [{score['low']:.2f}, {score['high']:.2f}]"

    def _contrasts(self) -> Iterator[str]:
        yield "gain in nats a review (95 % interval, p by Holm)"
        for one in self.main["contrasts"]:
            better, than = (ConditionId(**one[side]) for side in ("better", "than"))
            yield f"  {better} over {than}: {_gain(one)}, p {one['p_holm']:.3f}"

    def _verdicts(self) -> Iterator[str]:
        return (f"- {verdict['sentence']}" for verdict in self.main["verdicts"])

    def _probed(self) -> Iterator[str]:
        points = self.probes.curves["anchors"]
        yield f"true effects predicted from vectors: R2 on held-out users, {points[0].users} users"
        for point in points:
            scores = ", ".join(f"{name} {point.scores[name].value:.3f}" for name in ("e_his", "e_diff", "shuffled"))
            yield f"  {point.anchors} reviews a user: {scores}"


@cache
def recorded_study() -> RecordedStudy | None:
    """The study that ships with this version; None where it ships without.

    Raises:
        ArtifactError: The file is damaged.
    """
    source = resources.files("idiolect.sandbox") / FILE
    if not source.is_file():
        return None
    try:
        return RecordedStudy(json.loads(source.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{FILE} is damaged: {error}", hint="install idiolect again") from error


def _gain(gain: Mapping[str, Any]) -> str:
    return f"{gain['difference']:+.2f} [{gain['low']:+.2f}, {gain['high']:+.2f}]"


_NONE, _RAG, _DEP = ConditionId(UNPERSONALIZED), ConditionId(BASELINE), ConditionId(ADAPTER_METHOD)
_BARE, _HIS, _DIFF = (ConditionId(f"{name} without text") for name in ("dep", "his", "diff"))
CONTRASTS: tuple[tuple[ConditionId, ConditionId], ...] = (
    (_RAG, _NONE),
    (_RAG, replace(_RAG, control=WRONG_USER)),
    (_DEP, _RAG),
    *((_DEP, replace(_DEP, control=control)) for control in (CONSTANT, OTHER_VECTORS, WRONG_USER)),
    (_BARE, _NONE),
    *(
        (_BARE, replace(_BARE, control=control))
        for control in (NO_ADAPTER, CONSTANT, OTHER_VECTORS, SHUFFLED_PEERS, HISTORY_TWICE)
    ),
    (_BARE, _HIS),
    (_DIFF, _HIS),
)
"""Which condition is compared with which; all of one set of seeds are corrected together."""


class Contrast(NamedTuple):
    """How much better the first condition is than the second."""

    better: ConditionId
    than: ConditionId
    gain: Comparison
    """Nats per review."""
    p_holm: float


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What one set of seeds says."""

    title: str
    table: ScoreTable
    contrasts: tuple[Contrast, ...]
    verdicts: tuple[Verdict, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a result file."""
        contrasts = [
            {"better": asdict(c.better), "than": asdict(c.than), **c.gain._asdict(), "p_holm": c.p_holm}
            for c in self.contrasts
        ]
        verdicts = [verdict.to_dict() for verdict in self.verdicts]
        return {"title": self.title, "table": to_dict(self.table), "contrasts": contrasts, "verdicts": verdicts}

    def to_markdown(self) -> str:
        """For people."""
        lines = [f"## {self.title}", "", to_markdown(self.table), "### Contrasts, nats a review", ""]
        lines += ["| better by | | gain | 95 % interval | p (Holm) |", "|---|---|---:|---|---:|"]
        for c in self.contrasts:
            interval = f"[{c.gain.low:+.2f}, {c.gain.high:+.2f}]"
            lines.append(f"| {c.better} | over {c.than} | {c.gain.difference:+.2f} | {interval} | {c.p_holm:.3f} |")
        return "\n".join([*lines, "", "### Whether it is personal", "", verdicts_to_markdown(self.verdicts)])


def sections(
    config: StudyConfig,
    folders: Mapping[int, Path],
    further: Mapping[int, Mapping[ConditionId, np.ndarray]] | None = None,
) -> list[Section]:
    """All seeds together, and the first seed, which alone has every run.

    Args:
        config: The study.
        folders: Of the seeds.
        further: Seed to run to a further score of each sample, float (n,): trait fidelity.
    """
    seeds = list(folders)
    every = _section(f"All seeds ({', '.join(map(str, seeds))})", config, folders, seeds, further or {})
    if len(seeds) == 1:
        return [every]
    return [every, _section(f"Seed {seeds[0]}, with ablations", config, folders, seeds[:1], further or {})]


def _section(
    title: str,
    config: StudyConfig,
    folders: Mapping[int, Path],
    seeds: Sequence[int],
    further: Mapping[int, Mapping[ConditionId, np.ndarray]],
) -> Section:
    pool = read_pool([folders[seed] for seed in seeds], run_names(config))
    settings = config.settings
    draws = pool.draws(seed=settings.seed, resamples=settings.resamples)
    nats = pool.nats
    extra, columns = _fidelity(pool, [further.get(seed, {}) for seed in seeds])
    return Section(
        title,
        pool.table(load_metrics(settings.text_metrics), extra, columns, draws),
        _contrasts(nats, draws),
        tuple(judge(claim, nats, draws) for claim in settled_by(nats)),
    )


def _fidelity(
    pool: Pool, further: Sequence[Mapping[ConditionId, np.ndarray]]
) -> tuple[dict[ConditionId, dict[str, np.ndarray]], list[Aggregate]]:
    """Trait fidelity of the runs that wrote texts on every seed."""
    names = [name for name in pool.runs if all(name in scores for scores in further)] if further else []
    if not names:
        return {}, []
    column = Mean("fidelity", greater_is_better=True)
    return {name: {column.name: np.concatenate([scores[name] for scores in further])} for name in names}, [column]


def _contrasts(nats: Mapping[ConditionId, np.ndarray], draws: Resamples) -> tuple[Contrast, ...]:
    gained = Mean("nats", greater_is_better=True)
    known = [(a, b) for a, b in CONTRASTS if a in nats and b in nats]
    scored = {name: draws.score(gained, -nats[name]) for pair in known for name in pair}
    gains = [compare(scored[a], scored[b]) for a, b in known]
    corrected = holm([gain.p for gain in gains])
    return tuple(Contrast(a, b, gain, p) for (a, b), gain, p in zip(known, gains, corrected, strict=True))
