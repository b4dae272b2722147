"""What an evaluation found: as text, data frames, a result file and a report in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from idiolect.data.output_files import atomic_write
from idiolect.evaluation import curves as curve_report
from idiolect.evaluation import usage as usage_tables
from idiolect.evaluation import uvq_report
from idiolect.evaluation.attribution import Verdict
from idiolect.evaluation.calibration import Calibration
from idiolect.evaluation.curves import Curves
from idiolect.evaluation.overpersonalization import HabitReport
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
from idiolect.evaluation.report import ScoreTable
from idiolect.evaluation.significance import Interval
from idiolect.evaluation.token_classes import TokenTables
from idiolect.evaluation.usage import PeerScopes, UsageReport, sentences
from idiolect.evaluation.uvq_report import UvqByMethod
from idiolect.pipeline import results
from idiolect.types import ConditionId

if TYPE_CHECKING:
    import pandas as pd

USERS_OWN = "users' own texts"
"""Row name of the users' own texts, whose score is the upper reference."""


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
        return (f"{USERS_OWN}: trait-fidelity {value:.4f} [{low:.4f}, {high:.4f}]", *below)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write ``results.json``, ``report.md`` and, if matplotlib is installed, figures to the folder.

        Args:
            record: Everything that the scores depend on.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        figures = uvq_report.draw_if_possible(self.uvq, self.folder)
        report = self._report(record, figures)
        atomic_write(self.folder / "report.md", lambda part: part.write_text(report, encoding="utf-8"))
        # Last, because it says that the evaluation is complete.
        results.write_json(self.folder / "results.json", {"status": "complete", **record, **self._found()})

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
