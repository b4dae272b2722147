"""``idiolect demo``."""

from __future__ import annotations

import sys
from pathlib import Path

from idiolect.cli.options import Json, Quiet, Set, overrides, show
from idiolect.config import load
from idiolect.errors import require


def demo(
    *,
    out: Path = Path("idiolect-demo"),
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole thing on a small made-up world: no network, no GPU, a few minutes.

    Args:
        out: Where store, adapter, samples and report go.
        config: YAML file of settings, under world, split and settings.
        set: A setting as name=value (world.n_users=400, settings.fit.epochs=3); may be repeated.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    require("torch", extra="all")
    from idiolect.evaluation.render import to_dict
    from idiolect.experiments.demo import DemoConfig, run_demo

    chosen = load(DemoConfig, config, overrides(set), base=DemoConfig().model_dump())
    report = run_demo(out, chosen, say=lambda line: None if quiet else print(line, file=sys.stderr), progress=not quiet)
    found = report.evaluation
    lines = [""]
    for name, fitted in report.fits.items():
        seconds = ", ".join(f"{s:.0f}" for s in fitted.seconds_per_epoch)
        lines.append(f"{name}: {fitted.trainable_share:.1%} of all parameters trained, {seconds} s per epoch")
    lines += ["", f"What {report.users} users would write ({report.reviews} reviews in the world):", ""]
    lines += [found.text, ""]
    for sample in report.side_by_side():
        lines += [f"--- {sample['user']}"]
        lines += [f"{name:>16}: {text}" for name, text in sample.items() if name != "user"]
    lines += [
        "",
        f"5/5  done in {report.seconds:.0f} s",
        f"report   {found.folder / 'report.md'}",
        f"samples  {found.folder / 'samples'}",
        f"store    {out / 'reviews.db'}",
        "next     idiolect --help, or README.md: the same on your own reviews",
    ]
    record = {
        "folder": str(out),
        "seconds": round(report.seconds, 1),
        "users": report.users,
        "methods": to_dict(found.methods),
        "controls": {name: to_dict(table) for name, table in found.controls.items()},
        "verdicts": [verdict.to_dict() for verdict in found.verdicts],
    }
    show(record, "\n".join(lines), as_json=json)
