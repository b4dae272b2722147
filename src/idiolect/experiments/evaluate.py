"""From a split and an adapter to a table: every condition's texts and likelihoods, scored and tested."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.encoders.digest import folder_digest
from idiolect.errors import ConfigError
from idiolect.evaluation.additive import Aggregate, Mean
from idiolect.evaluation.base import Metric
from idiolect.evaluation.render import to_dict, to_markdown
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.significance import Resamples
from idiolect.evaluation.table import load_metrics
from idiolect.experiments import results
from idiolect.experiments.conditions import Condition, conditions
from idiolect.experiments.data import Data
from idiolect.llm.transformers import TransformersLLM
from idiolect.types import Sample

NLL = Mean("nll", greater_is_better=False, unit="nats/review")
"""The reference's negative log-likelihood: far less noisy than any score of one sampled text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What ``evaluate`` found."""

    methods: ScoreTable
    """Methods, tested against RAG."""
    controls: ScoreTable | None
    """DEP and its controls, tested against DEP; None without an adapter."""
    categories: Mapping[str, ScoreTable]
    """The methods' table of every category, where there are several."""
    folder: Path
    """Holds ``results.json``, ``report.md`` and ``samples/<condition>.jsonl``."""


def evaluate(
    data: Data,
    llm: TransformersLLM,
    *,
    folder: Path,
    adapter: Path | None = None,
    generate_controls: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Run every condition on the test samples, score, test and record.

    A condition whose outputs are already in ``folder`` is not run again, so that an interrupted evaluation goes on.

    Args:
        data: Store, split and settings.
        llm: The backbone.
        folder: Where everything goes.
        adapter: An adapter's folder; None: only methods that need none.
        generate_controls: Also let the controls write texts; their likelihood is always computed.
        provenance: Recorded with the result (command, corpus).

    Raises:
        ConfigError: ``folder`` holds the outputs of another evaluation.
        ArtifactError: The adapter does not fit encoder, backbone or split.
    """
    metrics = load_metrics(data.settings.metrics)
    samples = data.samples("test")
    started = time.time()
    record = _record(data, llm, adapter, provenance)
    wanted = conditions(data, llm, adapter)
    _claim(folder, _depends(data, record, adapter, generate_controls))
    runs = {
        condition.name: _run(condition, llm, samples, folder, texts=generate_controls or not condition.control)
        for condition in wanted
    }
    controls = [name for name in runs if name.startswith("dep: ")]
    stats = {name: _stats(rows, samples, metrics) for name, rows in runs.items()}
    columns: list[Aggregate] = [NLL, *metrics]
    evaluation = Evaluation(
        methods=_table(columns, {k: v for k, v in stats.items() if k not in controls}, samples, data, "rag"),
        controls=_table(columns, {k: stats[k] for k in ["dep", *controls]}, samples, data, "dep") if controls else None,
        categories=_by_category(columns, {k: v for k, v in stats.items() if k not in controls}, samples, data),
        folder=folder,
    )
    _write(evaluation, {**record, "samples": len(samples), "seconds": round(time.time() - started, 1)})
    return evaluation


def _run(
    condition: Condition, llm: TransformersLLM, samples: Sequence[Sample], folder: Path, *, texts: bool
) -> list[dict[str, Any]]:
    """A condition's outputs, sample by sample; read back where they are complete."""
    path = folder / "samples" / f"{re.sub('[^a-z]+', '-', condition.name)}.jsonl"
    if path.is_file():
        return results.read_lines(path)
    references = [sample.reference or "" for sample in samples]
    nats = llm.negative_log_likelihood(condition.method.prompts(samples), references)
    written = condition.method.generate(samples) if texts else [None] * len(samples)
    rows = [
        results.sample_row(
            prediction, float(loss), user=sample.user, item=sample.item, target=sample.target, reference=reference
        )
        for sample, reference, prediction, loss in zip(samples, references, written, nats, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write_lines(path, rows)
    return rows


def _stats(
    rows: Sequence[Mapping[str, Any]], samples: Sequence[Sample], metrics: Sequence[Metric]
) -> dict[str, np.ndarray]:
    stats: dict[str, np.ndarray] = {NLL.name: np.array([row["nll"] for row in rows])}
    written = results.texts(rows)
    if written is not None:
        references = [sample.reference or "" for sample in samples]
        stats |= {metric.name: metric.segments(written, references) for metric in metrics}
    return stats


def _table(
    columns: Sequence[Aggregate],
    stats: Mapping[str, Mapping[str, np.ndarray]],
    samples: Sequence[Sample],
    data: Data,
    baseline: str,
) -> ScoreTable:
    """Users are resampled, not reviews: samples of one user are alike."""
    rng = np.random.default_rng([data.settings.seed, 11])
    users = [sample.user for sample in samples]
    draws = Resamples(len(samples), rng, clusters=users, resamples=data.settings.resamples)
    shown = [column for column in columns if any(column.name in own for own in stats.values())]
    return score_table(shown, stats, draws, baseline=baseline)


def _by_category(
    columns: Sequence[Aggregate],
    stats: Mapping[str, Mapping[str, np.ndarray]],
    samples: Sequence[Sample],
    data: Data,
) -> dict[str, ScoreTable]:
    items = data.store.items(sorted({sample.item for sample in samples}))
    category = np.array([items[sample.item].category if sample.item in items else "" for sample in samples])
    names = sorted(set(category.tolist()))
    tables: dict[str, ScoreTable] = {}
    for name in names if len(names) > 1 else []:
        rows = np.flatnonzero(category == name).tolist()
        own = [samples[i] for i in rows]
        if len({sample.user for sample in own}) > 1:
            chosen = {method: {k: v[rows] for k, v in values.items()} for method, values in stats.items()}
            tables[name] = _table(columns, chosen, own, data, "rag")
    return tables


def _record(
    data: Data, llm: TransformersLLM, adapter: Path | None, provenance: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "settings": data.settings.model_dump(mode="json"),
        "backbone": llm.name,
        "encoder": data.encoder,
        "store": data.fingerprint,
        "split": data.split.config.model_dump(mode="json"),
        "users": len(data.split.users),
        "adapter": None if adapter is None else str(adapter),
        "provenance": dict(provenance or {}),
        "device": results.device(),
        "versions": results.versions(),
    }


def _depends(data: Data, record: Mapping[str, Any], adapter: Path | None, generate_controls: bool) -> dict[str, Any]:
    """Everything that a condition's outputs depend on; metrics and resamples are computed anew each time."""
    free = ("metrics", "resamples", "fit")
    pool = data.snapshot("test").meta
    return {
        **{key: record[key] for key in ("backbone", "encoder", "store", "split")},
        "settings": {key: value for key, value in record["settings"].items() if key not in free},
        "adapter": None if adapter is None else folder_digest(adapter),
        "peers": [pool.pool, pool.pool_without_vector],
        "generate_controls": generate_controls,
    }


def _claim(folder: Path, depends: Mapping[str, Any]) -> None:
    """Make the folder this evaluation's own, or refuse another's outputs."""
    path = folder / "claim.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    changed = sorted(key for key, value in depends.items() if json.loads(json.dumps(value)) != known.get(key))
    if changed and any((folder / "samples").glob("*.jsonl")):
        raise ConfigError(
            f"{str(folder)!r} holds an evaluation with another {', '.join(changed)}", hint="choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(path, depends)


def _write(evaluation: Evaluation, record: Mapping[str, Any]) -> None:
    tables = {"methods": evaluation.methods, **({"controls": evaluation.controls} if evaluation.controls else {})}
    by_category = {f"methods, {name}": table for name, table in evaluation.categories.items()}
    dicts = {name: to_dict(table) for name, table in {**tables, **by_category}.items()}
    results.write_json(evaluation.folder / "results.json", {"status": "complete", **record, "tables": dicts})
    sections = [f"## {name.capitalize()}\n\n{to_markdown(table)}" for name, table in {**tables, **by_category}.items()]
    report = "# Evaluation\n\n" + "\n".join(sections)
    (evaluation.folder / "report.md").write_text(report, encoding="utf-8")
