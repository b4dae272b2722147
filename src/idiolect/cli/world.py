"""``idiolect demo``, ``sandbox``, ``study`` and ``doctor``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from idiolect.api import studies
from idiolect.api.store import Store
from idiolect.api.tables import table as run_table
from idiolect.cli.options import Json, Quiet, Set, StorePath, columns, overrides, say, settings_for, show
from idiolect.diagnostics import doctor as run_doctor
from idiolect.errors import ArtifactError, ConfigError, without_passwords

if TYPE_CHECKING:
    from idiolect.experiments.demo import DemoReport
    from idiolect.experiments.real.run import RealReport
    from idiolect.experiments.study.report import RecordedStudy

_INSTALL = "pip install 'idiolect[all]'"


def sandbox(
    *,
    store: StorePath = "idiolect.db",
    truth: Path | None = None,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
) -> None:
    """Fill a store with a made-up world of users, items and reviews whose differences are known.

    Args:
        store: SQLite file (created if absent) or database URL.
        truth: File for the true effects (.npz).
        config: YAML file of settings.
        set: A setting as name=value (n_users=1000, seed=7, genre_sd=2); may be repeated.
        json: Print one JSON object.
    """
    report = studies.make_world(store, truth=truth, config=config, **settings_for(studies.make_world, set))
    record = {"store": store, "reviews_added": report.reviews_added, "items_added": report.items_added}
    show(
        record,
        f"{report.reviews_added} reviews and {report.items_added} items added to {without_passwords(store)}",
        as_json=json,
    )


def demo(
    *,
    out: Path = Path("idiolect-demo"),
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole thing on a small made-up world; without PyTorch, what needs no model.

    No network, no GPU, a few minutes. Without PyTorch it makes the world and shows how users differ, in seconds.
    After pip install 'idiolect[all]' the same command continues with fitting, writing and scoring.

    Args:
        out: Where store, adapter, samples and report go.
        config: YAML file of settings, under world, split and settings.
        set: A setting as name=value (world.n_users=400, settings.fit.epochs=3); may be repeated.
        json: Print one JSON object; what was not run is null and named under not_run.
        quiet: Show no progress.
    """
    report = studies.demo(
        out, config=config, say=None if quiet else say, progress=not quiet, **settings_for(studies.demo, set)
    )
    from idiolect.cli.screens import print_demo
    from idiolect.experiments.demo import gains
    from idiolect.experiments.study.report import recorded_study

    study = recorded_study()
    if not json:
        gained = gains(report.evaluation) if report.evaluation else ()
        print_demo(report.example, gained, recovery=report.recovery, store=out / "reviews.db")
    show(_record(report, study, out), "\n".join(_ending(report, out, study)), as_json=json)


def _ending(report: DemoReport, out: Path, study: RecordedStudy | None) -> Iterator[str]:
    recorded = study.write(out) if study else None
    if report.missing:
        yield from _not_run(report.missing, out, study)
    yield f"\n5/5  done in {report.seconds:.0f} s: {report.users} users, {report.reviews} reviews"
    if report.evaluation:
        yield f"report   {report.evaluation.report} (all scores, controls, tests, what was found)"
        yield f"texts    {report.evaluation.folder / 'samples'}"
    yield f"store    {out / 'reviews.db'}"
    if recorded:
        yield f"study    {recorded} (three larger worlds, recorded for this version)"
    following = ["idiolect", "explain", report.example.card.user, "--store", str(out / "reviews.db")]
    yield f"next     {shlex.join(following)}"


def _not_run(missing: str, out: Path, study: RecordedStudy | None) -> Iterator[str]:
    yield "\nNot run: fitting DEP, writing reviews in users' voices with any method, and scoring what was written."
    yield f"They need the packages of a language model and of scores ({missing})."
    if study:
        yield f"What they gave in three larger worlds, recorded for this version: {study.summary}."
    yield f"To run them:  {_INSTALL}"
    yield f"Then run the same command again: it continues in {out} (a few minutes on two cores)."


def _record(report: DemoReport, study: RecordedStudy | None, out: Path) -> dict[str, Any]:
    from idiolect.evaluation import uvq_report
    from idiolect.evaluation.render import to_dict

    found = report.evaluation
    scores = {
        "methods": found and to_dict(found.methods),
        "controls": found and {one.plain_name: to_dict(table) for one, table in found.controls.items()},
        "verdicts": found and [verdict.to_dict() for verdict in found.verdicts],
        "uvq": found and uvq_report.to_dict(found.uvq),
    }
    return {
        "folder": str(out),
        "seconds": round(report.seconds, 1),
        "users": report.users,
        "reviews": report.reviews,
        "card": report.example.card.record(),
        "truth": list(report.example.truth),
        "recovery": report.recovery and asdict(report.recovery),
        **scores,
        "not_run": [] if found else list(scores),
        "missing": report.missing,
        "install": _INSTALL if report.missing else None,
        "study": study and dict(study.record),
    }


def table(
    recipe: Annotated[str | None, Parameter(allow_leading_hyphen=False)] = None,
    /,
    *,
    profile: Literal["sandbox", "full"] = "sandbox",
    out: Path | None = None,
    seeds: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")] = (),
    controls: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a table or figure of the papers, and compare it with the published one.

    Without RECIPE the shipped ones are listed. What an earlier call finished is not done again, and rows that several
    tables share are run once. Text, Markdown, LaTeX, CSV, figures and one HTML report of all tables are left in the
    folder.

    Args:
        recipe: A shipped table's name (dep/table-1), or a YAML file of one.
        profile: sandbox runs made-up reviews through the shipped model, without network, in minutes to an hour; full
            runs the papers' data and models, which takes GPUs.
        out: Folder that tables of a profile share; idiolect-tables-PROFILE if not given.
        seeds: Of training, sampling and draws; every row is run with each.
        controls: Also run every row's negative controls.
        config: YAML file of settings of the profile.
        set: A setting of the profile as name=value (settings.targets.max_test=16); may be repeated.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    from idiolect.experiments.tables.spec import load_table, tables

    if recipe is None:
        known = {name: load_table(name)[1].title for name in tables()}
        show(known, "\n".join(f"{name.ljust(20)} {title}" for name, title in known.items()), as_json=json)
        return
    found = run_table(
        recipe, out=out, profile=profile, seeds=seeds, controls=controls, config=config,
        say=None if quiet else say, progress=not quiet, **settings_for(run_table, set),
    )  # fmt: skip
    places = "\n".join(f"written  {path}" for path in found.files)
    show(found.to_dict(), f"{found.table()}\n\n{places}", as_json=json)


def study(
    name: Annotated[Literal["sandbox", "real"], Parameter(allow_leading_hyphen=False)] = "sandbox",
    *,
    corpus: str | None = None,
    items: str | None = None,
    column: Annotated[Set, Parameter(name="--column")] = (),
    out: Path = Path("idiolect-study"),
    config: Path | None = None,
    set: Set = (),
    jobs: int = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure whether differences identify a user and whether DEP uses them: in made-up worlds, or on real reviews.

    Example: idiolect study real --corpus reviews.jsonl --out my-study

    Args:
        name: sandbox (worlds with ground truth) or real (a corpus of yours, all sizes chosen from it; hours).
        corpus: Of real: reviews, in any format that ingest reads.
        items: Of real: items, for titles and descriptions.
        column: Of real: field=name of a column that is not found by itself; may be repeated.
        out: Where everything goes; an interrupted study is resumed there.
        config: YAML file of settings.
        set: A setting as name=value (seed=1, pretrain_tokens=10000000); may be repeated.
        jobs: Of sandbox: seeds run at once, each in a process of its own.
        json: Print one JSON object.
        quiet: Say nothing until the end.
    """
    if (name == "real") != (corpus is not None):
        raise ConfigError("a study of real reviews needs a corpus", hint="idiolect study real --corpus FILE")
    how: dict[str, Any] = {"out": out, "config": config, "say": None if quiet else say}
    if corpus is not None:
        found = studies.study_real(
            corpus,
            items=items,
            columns=columns(column),
            progress=not quiet,
            **how,
            **settings_for(studies.study_real, set),
        )
        _show_real(found, as_json=json)
        return
    report = studies.study_sandbox(jobs=jobs, **how, **settings_for(studies.study_sandbox, set))
    from idiolect.experiments.study.run import REPORT, RESULT

    text = "\n\n".join(section.to_markdown() for section in report.sections)
    show(report.record, f"{text}\nreport   {out / REPORT}\nresult   {out / RESULT}", as_json=json)


def _show_real(report: RealReport, *, as_json: bool) -> None:
    from idiolect.evaluation.render import to_dict

    record = {name: to_dict(found.methods) for name, found in report.evaluations.items()}
    shown = [*report.warnings, *(one.replace("**", "") for one in report.conclusions), f"page     {report.page}"]
    show(
        {"page": str(report.page), "seconds": round(report.seconds, 1), **report.record, **record},
        "\n".join(shown),
        as_json=as_json,
    )


def doctor(
    *,
    store: Annotated[str | None, Parameter(name="--store")] = None,
    plan: Annotated[str | None, Parameter(name="--plan")] = None,
    device: str = "h100",
    devices: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    sharded: Annotated[bool, Parameter(negative="")] = False,
    train: Annotated[int, Parameter(validator=Number(gte=1))] = 1000,
    test: Annotated[int, Parameter(validator=Number(gte=1))] = 1000,
    dim: Annotated[int, Parameter(validator=Number(gte=1))] = 1024,
    set: Set = (),
    json: Json = False,
) -> None:
    """Say what works on this machine and what is missing, with the line that mends it; or look a store over.

    A store that is not in order ends with exit code 5. --plan says instead what memory and time fit and evaluate would
    take, with the arithmetic; nothing is loaded.

    Args:
        store: SQLite file or database URL: its pages, totals, fingerprint, vectors and sums, every row read.
        plan: YAML file of settings, or a language model: a size of Qwen2.5 (7b) or a folder.
        device: Of --plan: h100, h200, a100-40, a100-80, l40s, rtx4090 or cpu.
        devices: Of --plan: how many of them fit runs on.
        sharded: Of --plan: the backbone's layers are spread over the devices (FSDP), not copied to each.
        train: Of --plan: training examples.
        test: Of --plan: evaluated targets.
        dim: Of --plan: width of the encoder's vectors.
        set: Of --plan: a setting as name=value (fit.checkpointing=true); may be repeated.
        json: Print one JSON object.
    """
    if plan is not None:
        from idiolect.planning import plan as planned

        found = planned(
            plan, device=device, devices=devices, sharded=sharded, train=train, test=test, dim=dim,
            settings=overrides(set),
        )  # fmt: skip
        show(found.record(), found.text, as_json=json)
        return
    found = run_doctor() if store is None else Store(store).check()
    show(found.record(), found.text, as_json=json)
    if store is not None and not found.ok:
        sys.exit(ArtifactError.exit_code)
