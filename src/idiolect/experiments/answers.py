"""Which calls of an evaluation were not answered: what is asked again, what ends the run, what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from idiolect.experiments.spending import spending
from idiolect.llm.failure import EndpointError
from idiolect.llm.retry import RETRYABLE

Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one a sample."""

_PASSING = frozenset({*RETRYABLE, "denied"})
"""Kinds of failure that another day may be without."""
_FAILED = "failed: "


def settled(rows: Rows) -> bool:
    """Whether asking again would bring nothing new: every call was answered, or failed for a reason that stays."""
    return not any(_passing(row) for row in rows)


def check_answered(condition: str, rows: Rows) -> None:
    """Refuse outputs that an endpoint had no part in, for tables would be made of them.

    Raises:
        EndpointError: Every call of some stage failed, for a reason that may pass.
    """
    for stage, took in spending({condition: rows}).get(condition, {}).items():
        if 0 < took.calls == took.failed and (reasons := _reasons(rows, stage)):
            raise EndpointError(
                f"{condition}: none of the {took.calls} calls of the stage {stage} was answered: {reasons[0]}",
                hint="check the endpoint and run the same again; what was answered is on record",
            )


def unheard(runs: Mapping[str, Rows], *, extractor: bool) -> Iterator[str]:
    """What was not asked, not answered or not to be read; before the last stage, the method went on without.

    Args:
        runs: By condition.
        extractor: Whether a model was to find the differences.
    """
    for name, rows in runs.items():
        stages = spending({name: rows}).get(name, {})
        if (written := stages.get("write")) is not None and written.failed:
            yield f"{name}: {written.failed} of {len(rows)} texts are empty, for the model gave no answer"
        for stage, took in stages.items():
            if took.failed and stage != "write":
                yield f"{name}: {took.failed} of {took.calls} calls of the stage {stage} brought no answer"
        heard = stages.get("extract")
        if extractor and heard is None and name in ("dpl", "drp"):
            yield f"{name}: the extractor was asked nothing: nobody to compare with, or no call fits the budget"
        if heard is not None and heard.calls > heard.failed and not any(row.get("features") for row in rows):
            yield f"{name}: no difference could be read from {heard.calls - heard.failed} answers of the extractor"


def _passing(row: Mapping[str, Any]) -> bool:
    return any(_kind(reason) in _PASSING for _, reason in _failures(row))


def _reasons(rows: Rows, stage: str) -> list[str]:
    """Why calls of a stage failed, those reasons only that may pass."""
    told = [found for row in rows for found in _failures(row)]
    return [reason for name, reason in told if name.split(" ")[0] == stage and _kind(reason) in _PASSING]


def _failures(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Stage and reason of every call that failed, as the methods tell them."""
    for name, said in (row.get("stages") or {}).items():
        if name == "failure":
            yield "write", said
        elif isinstance(said, str) and said.startswith(_FAILED):
            yield name, said.removeprefix(_FAILED)


def _kind(reason: str) -> str:
    return reason.partition(":")[0]
