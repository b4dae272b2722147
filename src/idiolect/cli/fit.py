"""``idiolect fit``."""

from __future__ import annotations

from pathlib import Path

from idiolect.cli.options import Json, Quiet, Set, StorePath, overrides, progress, show
from idiolect.experiments.commands import run_fit


def fit(
    *,
    split: Path,
    out: Path,
    store: StorePath = "idiolect.db",
    backbone: str | None = None,
    encoder: str | None = None,
    config: Path | None = None,
    set: Set = (),
    restart: bool = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a soft-prompt adapter to a split's train targets; the backbone stays frozen.

    Args:
        split: Folder of the split.
        out: Folder of the adapter; an interrupted fit goes on from its last checkpoint.
        store: SQLite file or database URL.
        backbone: Folder or hub name of a causal language model; the shipped sandbox model where not given.
        encoder: Whose vectors are used; minilm where not given.
        config: YAML file of settings.
        set: A setting as name=value (fit.epochs=3, context.k=4); may be repeated.
        restart: Begin anew instead of going on.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    changes = overrides(set)
    reports = run_fit(
        store, split, out, config=config, changes=changes, backbone=backbone, encoder=encoder,
        resume=not restart, progress=progress(quiet),
    )  # fmt: skip
    lines = []
    for name, report in reports.items():
        epochs = ", ".join(f"{seconds:.1f}" for seconds in report.seconds_per_epoch) or "none in this run"
        lines += [
            f"{name}: {report.trainable_parameters:,} trainable parameters, {report.trainable_share:.2%} of all",
            f"{name}: {report.steps} steps; seconds per epoch: {epochs}",
            f"{name}: best validation metric {report.best_metric} at step {report.best_step}",
        ]
    record = {
        name: {
            "folder": str(out if name == "dep" else out / name),
            "steps": report.steps,
            "trainable_parameters": report.trainable_parameters,
            "trainable_share": report.trainable_share,
            "seconds_per_epoch": report.seconds_per_epoch,
            "best_metric": report.best_metric,
            "losses": dict(report.losses),
        }
        for name, report in reports.items()
    }
    show(record, "\n".join([*lines, f"adapter in {out}"]), as_json=json)
