"""The study's findings: tables, contrasts and verdicts over all seeds, as data and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from idiolect.evaluation.additive import Aggregate, Mean
from idiolect.evaluation.claims import settled_by
from idiolect.evaluation.personal import Verdict, judge
from idiolect.evaluation.render import to_dict, to_markdown, verdicts_to_markdown
from idiolect.evaluation.report import ScoreTable
from idiolect.evaluation.significance import Comparison, Resamples, compare, holm
from idiolect.evaluation.table import load_metrics
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.pool import Pool, read_pool
from idiolect.experiments.study.rows import run_names

CONTRASTS: tuple[tuple[str, str], ...] = (
    ("rag", "nonpersonalized"),
    ("rag", "rag: wrong user"),
    ("dep", "rag"),
    ("dep", "dep: trained constant"),
    ("dep", "dep: another user's vectors"),
    ("dep", "dep: wrong user"),
    ("dep without text", "nonpersonalized"),
    ("dep without text", "dep without text: no adapter"),
    ("dep without text", "dep without text: trained constant"),
    ("dep without text", "dep without text: another user's vectors"),
    ("dep without text", "dep without text: shuffled peers"),
    ("dep without text", "dep without text: his twice"),
    ("dep without text", "his without text"),
    ("diff without text", "his without text"),
)
"""Which run is compared with which; all of one set of seeds are corrected together."""


class Contrast(NamedTuple):
    """How much better the first run is than the second."""

    better: str
    than: str
    gain: Comparison
    """Nats a review."""
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
            {"better": c.better, "than": c.than, **c.gain._asdict(), "p_holm": c.p_holm} for c in self.contrasts
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
    config: StudyConfig, folders: Mapping[int, Path], further: Mapping[int, Mapping[str, np.ndarray]] | None = None
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
    further: Mapping[int, Mapping[str, np.ndarray]],
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
    pool: Pool, further: Sequence[Mapping[str, np.ndarray]]
) -> tuple[dict[str, dict[str, np.ndarray]], list[Aggregate]]:
    """Trait fidelity of the runs that wrote texts on every seed."""
    names = [name for name in pool.runs if all(name in scores for scores in further)] if further else []
    if not names:
        return {}, []
    column = Mean("fidelity", greater_is_better=True)
    return {name: {column.name: np.concatenate([scores[name] for scores in further])} for name in names}, [column]


def _contrasts(nats: Mapping[str, np.ndarray], draws: Resamples) -> tuple[Contrast, ...]:
    gained = Mean("nats", greater_is_better=True)
    known = [(a, b) for a, b in CONTRASTS if a in nats and b in nats]
    scored = {name: draws.score(gained, -nats[name]) for pair in known for name in pair}
    gains = [compare(scored[a], scored[b]) for a, b in known]
    corrected = holm([gain.p for gain in gains])
    return tuple(Contrast(a, b, gain, p) for (a, b), gain, p in zip(known, gains, corrected, strict=True))
