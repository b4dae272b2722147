"""What an evaluation found, as a result file, a report and plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.evaluation.export import to_frame, to_pandas
from idiolect.evaluation.personal import Verdict
from idiolect.evaluation.render import controls_to_text, plain, to_dict, to_markdown, to_text, verdicts_to_markdown
from idiolect.evaluation.report import ScoreTable
from idiolect.evaluation.significance import Interval
from idiolect.experiments import curves, results, spending
from idiolect.experiments.curves import Curves
from idiolect.experiments.rungs import Rungs, sentences
from idiolect.experiments.spending import Spending
from idiolect.experiments.variety import report as variety_report
from idiolect.experiments.variety.report import Varieties

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation:
    """What ``evaluate`` found."""

    methods: ScoreTable
    """Methods, tested against RAG."""
    controls: Mapping[str, ScoreTable]
    """By method: it and its controls, tested against it; without methods that have none."""
    verdicts: tuple[Verdict, ...]
    """Whether what the methods gain is personal, as far as the controls that were run can tell."""
    categories: Mapping[str, ScoreTable]
    """The methods' table of every category, where there are several."""
    own_fidelity: Interval | None
    """Trait fidelity of the users' own texts, which is what can be hoped for; None where it is no metric."""
    variety: Varieties
    """How many different things the methods found of the users, by method; without those that compare nobody."""
    spending: Spending
    """Calls, tokens, latency and money, by condition and stage."""
    curves: Curves
    """What further calls of the extractor brought, by condition; without those whose extraction was not adaptive."""
    rungs: Rungs
    """Whom the past reviews were compared with, by condition."""
    notes: tuple[str, ...]
    """What a reader of the tables has to know: what could not be computed, and why."""
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
        """Every table by its title, but for those of the categories."""
        return {"methods": self.methods} | {f"controls of {name}": table for name, table in self.controls.items()}

    @property
    def text(self) -> str:
        """Tables, verdicts and notes for a terminal; the report has every table in full."""
        parts = [f"methods\n\n{to_text(self.methods)}"]
        parts += [f"controls\n\n{controls_to_text(list(self.controls.values()))}"] if self.controls else []
        parts += [f"whether it is personal\n\n{verdicts_to_markdown(self.verdicts)}"] if self.verdicts else []
        if self.variety:
            parts.append(f"what was found to differ\n\n{variety_report.to_text(self.variety)}")
        if spending.worth_showing(self.spending):
            parts.append(f"what it took\n\n{spending.to_text(self.spending)}")
        return "\n".join([*parts, *self.remarks]).rstrip("\n")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What stands below the tables: the users' own score, whom they were compared with, warnings and notes."""
        below = (*sentences(self.rungs), *variety_report.warnings(self.variety), *self.notes)
        if self.own_fidelity is None:
            return below
        value, low, high = self.own_fidelity
        return (f"users' own texts: trait-fidelity {value:.4f} [{low:.4f}, {high:.4f}]", *below)

    def write(self, record: Mapping[str, Any]) -> None:
        """Leave ``results.json``, ``report.md`` and, where matplotlib is installed, figures in the folder.

        Args:
            record: Everything that the numbers depend on.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        results.write_json(self.folder / "results.json", {"status": "complete", **record, **self._found()})
        figures = variety_report.draw_if_possible(self.variety, self.folder)
        (self.folder / "report.md").write_text(self._report(figures), encoding="utf-8")

    def _found(self) -> dict[str, Any]:
        own = {} if self.own_fidelity is None else {"users_own_fidelity": self.own_fidelity._asdict()}
        tables = {name: to_dict(table) for name, table in self._titled().items()}
        verdicts = [verdict.to_dict() for verdict in self.verdicts]
        spent = spending.to_dict(self.spending)
        return {
            "tables": tables,
            "verdicts": verdicts,
            **own,
            "variety": variety_report.to_dict(self.variety),
            "usage": spent,
            "curves": curves.to_dict(self.curves),
            "rungs": self.rungs,
            "notes": list(self.notes),
        }

    def _report(self, figures: Sequence[Path]) -> str:
        sections = [
            f"## {plain(name[0].upper() + name[1:])}\n\n{to_markdown(table)}" for name, table in self._titled().items()
        ]
        if self.verdicts:
            sections.append(f"## Whether it is personal\n\n{verdicts_to_markdown(self.verdicts)}")
        if self.variety:
            shown = variety_report.to_markdown(self.variety, figures)
            sections.append(f"## What was found to differ\n\n{shown}")
        if self.spending:
            sections.append(f"## What it took\n\n{spending.to_markdown(self.spending)}")
        if self.curves:
            sections.append(f"## What further calls found\n\n{curves.to_markdown(self.curves)}")
        if self.remarks:
            remarks = "".join(f"- {remark}\n" for remark in self.remarks)
            sections.append(f"## Notes\n\n{remarks}")
        return "# Evaluation\n\n" + "\n".join(sections)

    def _titled(self) -> dict[str, ScoreTable]:
        return self.tables | {f"methods, {name}": table for name, table in self.categories.items()}
