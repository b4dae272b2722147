"""A table of a paper as one call: run what is missing, and leave every format and the report in the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.data.output_files import atomic_write
from idiolect.evaluation.columns import NLL
from idiolect.evaluation.significance import Resamples, compare, holm
from idiolect.experiments.tables.engine import Bench, Found, Run, Say, run_table
from idiolect.experiments.tables.figures import draw
from idiolect.experiments.tables.html import page
from idiolect.experiments.tables.render import to_csv, to_dict, to_latex, to_markdown, to_text
from idiolect.experiments.tables.spec import load_table, profile, rows_of
from idiolect.explain.latent import LatentConfig
from idiolect.explain.units import chosen_units, look_at, make_report
from idiolect.pipeline import results

REPORT = "report.html"
_SHOWN_SAMPLES = 4
_LATENT = LatentConfig(shown=6, top=2)
"""How the units of a table's adapter are looked at."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class TableResult:
    """A table that was run, in every format."""

    found: Found
    files: tuple[Path, ...]
    """What was written: the formats, the figures and the report."""
    units: Mapping[str, Any] | None = None
    """What the units of the last adapter with an autoencoder mean; None: no row has one."""

    def __repr__(self) -> str:
        return self.table()

    def _repr_markdown_(self) -> str:
        return to_markdown(self.found)

    @property
    def report(self) -> Path:
        """The HTML page of all tables in the folder."""
        return self.files[-1]

    def table(self) -> str:
        """Aligned text: our figures with the published ones."""
        return to_text(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return record_of(self.found, self.units)


def reproduce(
    recipe: str,
    *,
    out: Path | None = None,
    name: str = "sandbox",
    changes: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    controls: bool = False,
    say: Say = lambda _: None,
    progress: bool = False,
) -> TableResult:
    """Run what a table or figure lacks, and write it.

    Args:
        recipe: A shipped table's name (``dep/table-1``), or a YAML file of one.
        out: Folder that tables of a profile share; None: ``idiolect-tables-<profile>``.
        name: Of the profile: ``sandbox`` (made-up reviews, the shipped model, no network), or ``full``.
        changes: Laid on the profile (``{"settings": {"targets": {"max_test": 16}}}``).
        seeds: Instead of the profile's.
        controls: Also run every row's negative controls.
        say: Called with one line per step.
        progress: Show bars.

    Raises:
        NotFoundError: There is no such table or profile.
        ConfigError: A setting is wrong, or ``out`` holds other files or tables of other data.
    """
    table, spec, folder = load_table(recipe)
    chosen = profile(name, {**(changes or {}), **({"seeds": list(seeds)} if seeds else {})})
    list(rows_of(spec, chosen, folder))  # every setting is checked before anything is made
    place = out or Path(f"idiolect-tables-{chosen.name}")
    with Bench(place, chosen, controls=controls, say=say, progress=progress) as bench:
        found = run_table(bench, table, spec, folder, say=say)
        for path in (place / "tables", place / REPORT):
            bench.store.record_output(path, "evaluation")
        units = _units(bench, found)
        return TableResult(found=found, files=write(found, place, units), units=units)


def _units(bench: Bench, found: Found) -> dict[str, Any] | None:
    """The record of ``explain --latent`` for the last row whose adapter has an autoencoder."""
    for run in reversed(found.runs):
        if run.adapter is not None and _has_units(run.adapter):
            codes, streams, units = look_at(bench.store, run.adapter, _LATENT)
            shown = chosen_units(units, _LATENT)
            report = make_report(run.row.name, codes, streams, units, _LATENT, numbers=shown)
            return report.record()
    return None


def _has_units(adapter: Path) -> bool:
    from idiolect.softprompt.artifact import read_config  # imports torch, which most tables do without
    from idiolect.softprompt.config import AdapterConfig

    config = read_config(adapter)
    return isinstance(config, AdapterConfig) and config.refine != "none"


def write(found: Found, folder: Path, units: Mapping[str, Any] | None = None) -> tuple[Path, ...]:
    """Leave a table in every format, its figure, and the report of all tables in the folder; the report comes last."""
    stem = folder / "tables" / found.name.replace("/", "-")
    stem.parent.mkdir(parents=True, exist_ok=True)
    record = record_of(found, units)
    results.write_json(stem.with_suffix(".json"), record)
    texts = {".txt": to_text, ".md": to_markdown, ".tex": to_latex, ".csv": to_csv}
    files = [stem.with_suffix(".json")]
    for ending, render in texts.items():
        path, text = stem.with_suffix(ending), render(found)
        atomic_write(path, lambda part, text=text: part.write_text(text, encoding="utf-8"))
        files.append(path)
    files += draw(json.loads(json.dumps(record)), stem)
    report = page(*_all(folder))
    atomic_write(folder / REPORT, lambda part: part.write_text(report, encoding="utf-8"))
    return (*files, folder / REPORT)


def _all(folder: Path) -> tuple[list[Mapping[str, Any]], dict[str, Path]]:
    paths = sorted((folder / "tables").glob("*.json"))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return records, {one["name"]: path.with_suffix(".svg") for one, path in zip(records, paths, strict=True)}


def record_of(found: Found, units: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The table as plain data, with samples side by side, controls, cost and an adapter's units."""
    return {
        **to_dict(found),
        "samples": _samples(found),
        "controls": _controls(found),
        "cost": [_cost(run) for run in found.runs],
        "units": units,
    }


def _samples(found: Found) -> list[dict[str, Any]]:
    first = [run for run in found.runs if run.seed == found.profile.seeds[0]]
    shown = []
    for place, sample in enumerate(found.samples[:_SHOWN_SAMPLES]):
        texts = {run.row.name: run.rows[place]["text"] or "" for run in first}
        about = {"item": str(sample.item), "title": sample.title}
        shown.append({**about, "reference": sample.reference or "", "texts": texts})
    return shown


def _controls(found: Found) -> list[dict[str, Any]]:
    """How much less likely the references are under each control than under its row."""
    lines: list[dict[str, Any]] = []
    ps: list[float] = []
    for run in found.runs:
        own = _nats(run.rows)
        for name, rows in run.controls.items():
            wrong = _nats(rows)
            if own is None or wrong is None:
                continue
            users = [str(row["user"]) for row in rows]
            draws = Resamples(len(users), np.random.default_rng([run.seed, 13]), clusters=users)
            against = compare(draws.score(NLL, wrong), draws.score(NLL, own))
            ps.append(against.p)
            gap = {
                "nats worse": f"{against.difference:+.2f}",
                "low": f"{against.low:+.2f}",
                "high": f"{against.high:+.2f}",
            }
            lines.append({"row": f"{run.row.name}, seed {run.seed}", "control": name, **gap})
    return [{**line, "p": f"{p:.3f}"} for line, p in zip(lines, holm(ps) if ps else [], strict=True)]


def _nats(rows: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    values = [row["nll"] for row in rows]
    return None if any(value is None for value in values) else np.array(values, dtype=np.float64)


def _cost(run: Run) -> dict[str, Any]:
    cost = run.cost
    line = {"row": run.row.name, "seed": run.seed, "seconds": cost["seconds"]}
    line |= {"processor seconds": cost["processor_seconds"], "calls": cost["calls"]}
    line |= {"prompt tokens": cost["prompt_tokens"], "completion tokens": cost["completion_tokens"]}
    if "trained" in cost:
        spent = ", ".join(f"{seconds:.0f}" for seconds in cost["seconds_per_epoch"])
        line |= {"trained": cost["trained"], "trained share": f"{cost['trained_share']:.2%}", "s an epoch": spent}
    return line
