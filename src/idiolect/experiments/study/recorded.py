"""The study as it was recorded for this version: what the demo shows beside its own small run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from idiolect.errors import ArtifactError, MissingDependencyError
from idiolect.experiments.study.probe_results import ProbeResults

FILE = "study.json"
"""In ``idiolect.sandbox``: what ``idiolect study sandbox`` wrote."""


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
        """How well each input tells the planted effects."""
        return ProbeResults.from_dict(self.record["probes"])

    @property
    def title(self) -> str:
        """Seeds, samples, backbone and when it was recorded, in a line."""
        table, phase = self.main["table"], self.record["config"]["phase"]
        return f"{self.main['title']}, {phase} phase, {table['segments']} samples, {self.record['backbone']}"

    def to_text(self) -> str:
        """Likelihood of every run, the contrasts, the verdicts and the probes, aligned."""
        lines = [*self._gate(), "", *self._runs(), "", *self._contrasts(), "", *self._verdicts()]
        return "\n".join([*lines, "", *self._probed()])

    def draw(self, folder: Path) -> list[Path]:
        """Figures of the contrasts and the probes: ``study-gains.svg``, ``study-probes.svg``, ``study-traits.svg``.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        from idiolect.experiments.study.figures import draw_curves, draw_traits
        from idiolect.experiments.study.gains import draw_gains

        gains, curves, traits = (folder / f"study-{name}.svg" for name in ("gains", "probes", "traits"))
        draw_gains(self.main["contrasts"], gains)
        draw_curves(self.probes, curves)
        draw_traits(self.probes, traits)
        return [gains, curves, traits]

    def draw_if_possible(self, folder: Path) -> list[Path]:
        """``draw``; nothing where matplotlib is not installed."""
        try:
            return self.draw(folder)
        except MissingDependencyError:
            return []

    def _gate(self) -> Iterator[str]:
        gate = self.record["gate"]
        for name, gain in gate["gains"].items():
            yield f"{name}: {_gain(gain)} nats a review over Non-Perso"

    def _runs(self) -> Iterator[str]:
        yield f"{'nats a review (lower is better)':<44}"
        for row in sorted(self.main["table"]["methods"], key=lambda row: row["scores"]["nll"]["value"]):
            score = row["scores"]["nll"]
            yield f"  {row['name']:<42} {score['value']:7.2f} [{score['low']:.2f}, {score['high']:.2f}]"

    def _contrasts(self) -> Iterator[str]:
        yield "gain in nats a review (95 % interval, p by Holm)"
        for one in self.main["contrasts"]:
            yield f"  {one['better']} over {one['than']}: {_gain(one)}, p {one['p_holm']:.3f}"

    def _verdicts(self) -> Iterator[str]:
        return (f"- {verdict['sentence']}" for verdict in self.main["verdicts"])

    def _probed(self) -> Iterator[str]:
        points = self.probes.curves["anchors"]
        yield f"planted effects read from vectors: R2 on held-out users, {points[0].users} users"
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
