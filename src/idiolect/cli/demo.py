"""``idiolect demo``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.cli.options import Json, Quiet, Set, overrides, say, show
from idiolect.config import load
from idiolect.errors import require

if TYPE_CHECKING:
    from idiolect.experiments.demo import DemoReport
    from idiolect.experiments.study.recorded import RecordedStudy


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
    from idiolect.experiments.demo import DemoConfig, run_demo
    from idiolect.experiments.study.recorded import recorded_study

    chosen = load(DemoConfig, config, overrides(set), base=DemoConfig().model_dump())
    report = run_demo(out, chosen, say=lambda line: None if quiet else say(line), progress=not quiet)
    study = recorded_study()
    figures = study.draw_if_possible(out) if study else []
    lines = [*_live(report), *_recorded(study), *_places(report, out, figures)]
    show(_record(report, study, out), "\n".join(lines), as_json=json)


def _live(report: DemoReport) -> Iterator[str]:
    """What was fitted just now, the tables, and texts side by side."""
    yield ""
    for name, fitted in report.fits.items():
        seconds = ", ".join(f"{s:.0f}" for s in fitted.seconds_per_epoch)
        yield f"{name}: {fitted.trainable_share:.1%} of all parameters trained, {seconds} s per epoch"
    yield f"\nWhat {report.users} users would write ({report.reviews} reviews in the world):\n"
    yield f"{report.evaluation.text}\n"
    for sample in report.side_by_side():
        yield f"--- {sample['user']}"
        yield from (f"{name:>16}: {text}" for name, text in sample.items() if name != "user")


def _recorded(study: RecordedStudy | None) -> Iterator[str]:
    if study:
        yield f"\nBeside it, the recorded study ({study.title}):\n"
        yield study.to_text()


def _places(report: DemoReport, out: Path, figures: list[Path]) -> Iterator[str]:
    yield f"\n5/5  done in {report.seconds:.0f} s"
    yield f"report   {report.evaluation.folder / 'report.md'}"
    yield f"samples  {report.evaluation.folder / 'samples'}"
    yield f"store    {out / 'reviews.db'}"
    yield from (f"figure   {path}" for path in [*sorted(report.evaluation.folder.glob("*.svg")), *figures])
    yield "next     idiolect --help, or README.md: the same on your own reviews"


def _record(report: DemoReport, study: RecordedStudy | None, out: Path) -> dict[str, Any]:
    from idiolect.evaluation.render import to_dict
    from idiolect.experiments.variety import report as variety_report

    found = report.evaluation
    return {
        "folder": str(out),
        "seconds": round(report.seconds, 1),
        "users": report.users,
        "methods": to_dict(found.methods),
        "controls": {name: to_dict(table) for name, table in found.controls.items()},
        "verdicts": [verdict.to_dict() for verdict in found.verdicts],
        "variety": variety_report.to_dict(found.variety),
        "study": study and dict(study.record),
    }
