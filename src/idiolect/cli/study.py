"""``idiolect study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, Quiet, Set, overrides, say, show
from idiolect.config import build, merge, read_yaml
from idiolect.errors import ConfigError, require


def study(
    name: Annotated[str, Parameter(allow_leading_hyphen=False)] = "sandbox",
    *,
    out: Path = Path("idiolect-study"),
    config: Path | None = None,
    set: Set = (),
    jobs: int = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure, in worlds with planted truth, whether differences identify a user and whether DEP uses them.

    Args:
        name: Which study; there is one, sandbox.
        out: Where worlds, adapters, outputs and the report go; an interrupted study goes on there.
        config: YAML file of settings.
        set: A setting as name=value (phase=development, settings.fit.max_steps=60); may be repeated.
        jobs: Seeds run at once, each in a process of its own.
        json: Print one JSON object.
        quiet: Say nothing until the end.
    """
    if name != "sandbox":
        raise ConfigError(f"unknown study {name!r}", hint="idiolect study sandbox")
    require("torch", extra="all")
    from idiolect.experiments.study.config import StudyConfig
    from idiolect.experiments.study.run import REPORT, RESULT, run_study

    given = merge(read_yaml(config) if config else {}, overrides(set))
    settings = build(StudyConfig, merge(StudyConfig().model_dump(), given), where=str(config or "--set"))
    report = run_study(out, settings, jobs=jobs, say=_silent if quiet else say)
    text = "\n\n".join(section.to_markdown() for section in report.sections)
    show(report.record, f"{text}\nreport   {out / REPORT}\nresult   {out / RESULT}", as_json=json)


def _silent(line: str) -> None:
    pass
