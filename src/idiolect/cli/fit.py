"""``idiolect fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from idiolect.cli.options import Json, Quiet, Set, StorePath, overrides, progress, show
from idiolect.experiments.commands import run_fit
from idiolect.training.report import FitReport


def fit(
    *,
    split: Path,
    out: Path,
    store: StorePath = "idiolect.db",
    backbone: str | None = None,
    encoder: str | None = None,
    initial: Path | None = None,
    config: Path | None = None,
    set: Set = (),
    restart: bool = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a soft-prompt adapter to a split's train targets; the backbone stays frozen.

    On several GPUs: torchrun --nproc-per-node=4 -m idiolect.cli.main fit ...

    Args:
        split: Folder of the split.
        out: Folder of the adapter; an interrupted fit goes on from its last checkpoint.
        store: SQLite file or database URL.
        backbone: Folder or hub name of a causal language model; the shipped sandbox model where not given.
        encoder: Whose vectors are used; minilm where not given.
        initial: Folder of an adapter to go on from, with its scales; from scratch where not given.
        config: YAML file of settings; flags go before it.
        set: A setting as name=value (fit.epochs=3, context.k=4); may be repeated.
        restart: Begin anew instead of going on.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    reports = run_fit(
        store, split, out, config=config, changes=overrides(set), backbone=backbone, encoder=encoder, initial=initial,
        resume=not restart, progress=progress(quiet),
    )  # fmt: skip
    text = "\n".join([*(_text(name, report) for name, report in reports.items()), f"adapter in {out}"])
    folders = {"dep": out, **{name: out / name for name in reports if name != "dep"}}
    show({name: _record(report, folders[name]) for name, report in reports.items()}, text, as_json=json)


def _text(name: str, report: FitReport) -> str:
    epochs = ", ".join(f"{seconds:.1f}" for seconds in report.seconds_per_epoch) or "none in this run"
    validation = "no validation: the last adapter is kept"
    if report.best_metric is not None:
        validation = f"best validation {report.metric} {report.best_metric:.4g}, at step {report.best_step}"
    return (
        f"{name}: {report.trainable_parameters:,} trainable parameters, {report.trainable_share:.2%} of all\n"
        f"{name}: {report.steps} steps; seconds per epoch: {epochs}\n"
        f"{name}: {validation}"
    )


def _record(report: FitReport, folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "steps": report.steps,
        "trainable_parameters": report.trainable_parameters,
        "trainable_share": report.trainable_share,
        "seconds_per_epoch": report.seconds_per_epoch,
        "metric": report.metric,
        "best_metric": report.best_metric,
        "losses": dict(report.losses),
    }
