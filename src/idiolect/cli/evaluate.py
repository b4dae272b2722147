"""``idiolect evaluate``."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from idiolect.cli.options import Json, Quiet, Set, StorePath, overrides, progress, show
from idiolect.experiments.commands import run_evaluate


def evaluate(
    *,
    split: Path,
    out: Path,
    store: StorePath = "idiolect.db",
    adapter: Path | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    config: Path | None = None,
    set: Set = (),
    generate_controls: bool = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare methods and controls on a split's test targets, with intervals, tests and whether gains are personal.

    An OpenAI-compatible endpoint is named by --set backbone.endpoint.model=NAME and backbone.endpoint.base_url=URL; its
    answers are recorded in idiolect-cache.db beside the store, so that none is asked for twice. So are those of models
    that play a role in PAG, DPL or DRP (--set differences.extractor.backbone.endpoint.model=NAME); --set methods=[drp]
    chooses among these. What they find is counted (UVQ); --set differences.judge.backbone.endpoint.model=NAME has it
    judged.

    Args:
        split: Folder of the split.
        out: Folder of the results; an interrupted evaluation goes on.
        store: SQLite file or database URL.
        adapter: Folder of a fitted adapter; its settings are used, and DEP and its controls join the table.
        backbone: Folder or hub name, where there is no adapter.
        encoder: Whose vectors are used, where there is no adapter.
        config: YAML file of settings, where there is no adapter.
        set: A setting as name=value (sampling.temperature=0, targets.max_test=200); may be repeated.
        generate_controls: Let the controls write texts too; their likelihood is always computed.
        json: Print the result file.
        quiet: Show no progress.
    """
    found = run_evaluate(
        store, split, out, adapter=adapter, config=config, changes=overrides(set), backbone=backbone, encoder=encoder,
        generate_controls=generate_controls, progress=progress(quiet),
    )  # fmt: skip
    record = json_module.loads((out / "results.json").read_text(encoding="utf-8"))
    show(record, f"{found.text}\n\nreport, results, figures and samples in {out}", as_json=json)
