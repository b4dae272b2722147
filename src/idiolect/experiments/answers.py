"""Which calls of an evaluation were not answered: what is asked again, what ends the run, what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from idiolect.experiments import results
from idiolect.experiments.spending import spending
from idiolect.llm.failure import EndpointError, reason_and_remedy
from idiolect.llm.retry import RETRYABLE
from idiolect.llm.usage import CUT_PROMPT, remarks

Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one a sample."""

_PASSING = frozenset({*RETRYABLE, "denied"})
"""Kinds of failure that another day may be without."""
_FAILED = "failed: "
_VERY_DIFFERENT = 1.5
"""Times the length of another prompt."""


def settled(rows: Rows) -> bool:
    """Whether asking again would bring nothing new: every call was answered, or failed for a reason that stays.

    A stage without any answer is asked again whatever the reasons are, because settings may have changed since.
    """
    return not any(_passing(row) for row in rows) and not list(_silent({"": rows}))


def check_answered(condition: str, rows: Rows) -> None:
    """Refuse outputs that an endpoint had no part in, for tables would be made of them.

    Raises:
        EndpointError: Every call of some stage failed, for whatever reason.
    """
    for stage, calls in _silent({condition: rows}):
        reason, remedy = reason_and_remedy((*_reasons(rows, stage), "no reason is on record")[0])
        raise EndpointError(
            f"{condition}: none of the {calls} calls of the stage {stage} was answered: {reason}",
            hint=f"{remedy}; run the same again, what was answered is on record",
        )


def answered(runs: Mapping[str, Rows]) -> np.ndarray:
    """The samples whose text every condition has: int64 places.

    A text that was asked for and not given is no empty text of the method's: such a sample is left out for all of
    them, so that conditions are compared on the same samples.

    Raises:
        EndpointError: There is none.
    """
    missing = [[results.lacks_text(row) for row in rows] for rows in runs.values()]
    kept = np.flatnonzero(~np.any(np.array(missing, dtype=bool), axis=0))
    if missing and missing[0] and not len(kept):
        raise EndpointError(
            "no sample was answered in every condition, so there is nothing to compare",
            hint="see the failures in samples/*.jsonl, and run the same again to ask for what is missing",
        )
    return kept


def unheard(runs: Mapping[str, Rows], *, extractor: bool) -> Iterator[str]:
    """What was not asked, not answered or not to be read; before the last stage, the method went on without.

    Args:
        runs: By condition.
        extractor: Whether a model was to find the differences.
    """
    for name, rows in runs.items():
        stages = spending({name: rows}).get(name, {})
        if missing := sum(map(results.lacks_text, rows)):
            yield (
                f"{name}: {missing} of {len(rows)} texts are missing, because the model gave no answer; their "
                f"samples are left out of every table{_why(rows)}"
            )
        for stage, took in stages.items():
            if took.failed and stage != "write":
                yield f"{name}: {took.failed} of {took.calls} calls of the stage {stage} brought no answer"
        yield from (f"{name}: {remark}" for remark in remarks(stages))
        if marked := sum("markup" in (row.get("stages") or {}) for row in rows):
            yield f"{name}: {marked} of {len(rows)} texts still hold a model's control markup (stage markup)"
        if _counted_alike(rows):
            yield (
                f"{name}: the endpoint counts the same number of tokens for prompts of very different lengths, so it "
                f"most likely read a part of the longer ones only: {CUT_PROMPT}"
            )
        heard = stages.get("extract")
        if extractor and heard is None and name in ("dpl", "drp"):
            yield f"{name}: the extractor was asked nothing: nobody to compare with, or no call fits the budget"
        read = 0 if heard is None else heard.calls - heard.failed - heard.unreadable
        if read and not any(row.get("features") for row in rows):
            yield f"{name}: {read} answers of the extractor name no difference"


def _passing(row: Mapping[str, Any]) -> bool:
    return any(_kind(reason) in _PASSING for _, reason in _failures(row))


def _reasons(rows: Rows, stage: str) -> list[str]:
    """Why calls of a stage failed, first those reasons that may pass."""
    told = [reason for row in rows for name, reason in _failures(row) if name.split(" ")[0] == stage]
    return sorted(told, key=lambda reason: _kind(reason) not in _PASSING)


def _silent(runs: Mapping[str, Rows]) -> Iterator[tuple[str, int]]:
    """The stages that were answered nothing at all, with their number of calls."""
    for stages in spending(runs).values():
        yield from ((stage, took.calls) for stage, took in stages.items() if 0 < took.calls == took.failed)


def _why(rows: Rows) -> str:
    """The first reason, and how it is remedied."""
    told = _reasons(rows, "write")
    return ": {} ({})".format(*reason_and_remedy(told[0])) if told else ""


def _counted_alike(rows: Rows) -> bool:
    """Whether the largest count of tokens that prompts have is that of prompts whose lengths differ much."""
    counted: dict[int, list[int]] = {}
    for row in rows:
        took, prompt = row.get("usage", {}).get("write", {}), (row.get("stages") or {}).get("prompt")
        if prompt and took.get("calls") == 1 and not took.get("failed") and not took.get("retries"):
            counted.setdefault(took.get("prompt_tokens", 0), []).append(len(prompt))
    if not counted:
        return False
    lengths = counted[max(counted)]
    return max(lengths) > _VERY_DIFFERENT * min(lengths)


def _failures(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Stage and reason of every call that failed, as the methods tell them."""
    for name, said in (row.get("stages") or {}).items():
        if name == "failure":
            yield "write", said
        elif isinstance(said, str) and said.startswith(_FAILED):
            yield name, said.removeprefix(_FAILED)


def _kind(reason: str) -> str:
    return reason.partition(":")[0]
