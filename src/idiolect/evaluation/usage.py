"""Usage report and failure notes of an evaluation.

Calls, tokens, latency and cost by condition and stage; peer scopes of past reviews; and failed calls: which are
repeated, which end the run, and the notes in the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np

from idiolect.llm.base import CUT_PROMPT, EndpointError, Failure, Usage, reason_and_remedy, remarks
from idiolect.llm.retry import RETRYABLE
from idiolect.pipeline import results
from idiolect.types import ConditionId, PeerScope

Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one per sample (see ``results.sample_row``)."""
UsageReport = Mapping[ConditionId, Mapping[str, Usage]]
"""Sums over a condition's samples, by condition and stage; without conditions that wrote nothing."""

_HEAD = ("run", "stage", "calls", "on record", "failed", "prompt", "completion", "thinking", "s a call", "cost", "paid")


def usage_report(runs: Mapping[ConditionId, Rows]) -> UsageReport:
    """Usage of every condition.

    Args:
        runs: Outputs by condition.
    """
    found = {condition: _by_stage(rows) for condition, rows in runs.items()}
    return {condition: stages for condition, stages in found.items() if stages}


def with_stage(report: UsageReport, stage: str, usage: Mapping[ConditionId, Usage]) -> UsageReport:
    """The report with a further stage."""
    return {one: {**stages, **({stage: usage[one]} if one in usage else {})} for one, stages in report.items()}


def to_dict(report: UsageReport) -> dict[str, Any]:
    """Plain data for a result file."""
    return {one.plain_name: {stage: asdict(usage) for stage, usage in stages.items()} for one, stages in report.items()}


def to_markdown(report: UsageReport) -> str:
    """A table: sums of tokens and cost, latency per call; cached answers count with the usage of their first call."""
    head, *rows = _grid(report)
    lines = [head, ["---", "---", *["---:"] * (len(_HEAD) - 2)], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines) + "\n"


def to_text(report: UsageReport) -> str:
    """The same as aligned plain text."""
    rows = _grid(report)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows) + "\n"


def worth_showing(report: UsageReport) -> bool:
    """Whether some condition needed more than one local call per text."""
    return any(len(stages) > 1 or any(one.cost for one in stages.values()) for stages in report.values())


def _grid(report: UsageReport) -> list[Sequence[str]]:
    cells = ([str(one), stage, *_cells(usage)] for one, stages in report.items() for stage, usage in stages.items())
    return [_HEAD, *cells]


def _by_stage(rows: Rows) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for row in rows:
        for stage, took in row.get("usage", {}).items():
            found[stage] = found.get(stage, Usage()) + Usage(**took)
    return found


def _cells(usage: Usage) -> list[str]:
    counts = (usage.calls, usage.cached, usage.failed)
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.thinking_tokens)
    latency = usage.seconds / max(usage.calls, 1)
    return [*map(str, (*counts, *tokens)), f"{latency:.3f}", f"{usage.cost:.4g}", f"{usage.spent:.4g}"]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    named = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    return "  ".join([*named, *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))])


PEER_SCOPES: tuple[PeerScope, ...] = get_args(PeerScope)
PeerScopes = Mapping[ConditionId, Mapping[PeerScope, int]]
"""By condition; without conditions that compare nothing."""


def count_peer_scopes(runs: Mapping[ConditionId, Rows]) -> PeerScopes:
    """Past reviews per peer scope.

    Args:
        runs: Outputs by condition.
    """
    found: dict[ConditionId, Mapping[PeerScope, int]] = {}
    for condition, rows in runs.items():
        total: Counter[PeerScope] = Counter()
        for row in rows:
            total.update(row.get("peer_scopes") or {})
        if total:
            found[condition] = {scope: total[scope] for scope in PEER_SCOPES if total[scope]}
    return found


def sentences(peer_scopes: PeerScopes) -> list[str]:
    """One per condition, for the notes below a table."""
    return [f"{one}: past reviews compared with {_scope_shares(counts)}" for one, counts in peer_scopes.items()]


_WORDS: Mapping[PeerScope, str] = {
    "item": "others on the same item",
    "category": "others on items of its category",
    "corpus": "everybody else",
    "none": "no users",
}


def _scope_shares(counts: Mapping[PeerScope, int]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{_WORDS[scope]} {n} ({n / total:.0%})" for scope, n in counts.items())


_PASSING = frozenset({*RETRYABLE, "denied"})
"""Kinds of failure that may pass."""
_VERY_DIFFERENT = 1.5
"""Ratio of prompt lengths."""


def settled(rows: Rows) -> bool:
    """Whether repeating the calls would change nothing: each was answered, or failed for a permanent reason.

    A stage without any answer is repeated whatever the reasons are, because settings may have changed since.
    """
    return not any(_passing(row) for row in rows) and not list(_unanswered_stages(rows))


def check_answered(condition: ConditionId, rows: Rows) -> None:
    """Check that every stage has some answer, before tables are computed.

    Raises:
        EndpointError: Every call of some stage failed, for whatever reason.
    """
    for stage, calls in _unanswered_stages(rows):
        found = _stage_failures(rows, stage)
        reason, remedy = reason_and_remedy(found[0]) if found else ("no reason is on record", "try again later")
        raise EndpointError(
            f"{condition}: none of the {calls} calls of the stage {stage} was answered: {reason}",
            hint=f"{remedy}; run the same again, what was answered is on record",
        )


def answered(runs: Mapping[ConditionId, Rows]) -> np.ndarray:
    """Indices (int64) of the samples that have a text in every condition.

    A missing text is not an empty text: such a sample is left out for all conditions, so that they are compared on the
    same samples.

    Raises:
        EndpointError: There is none.
    """
    missing = [[results.lacks_text(row) for row in rows] for rows in runs.values()]
    places = np.flatnonzero(~np.any(np.array(missing, dtype=bool), axis=0))
    if missing and missing[0] and not len(places):
        raise EndpointError(
            "no sample was answered in every condition, so there is nothing to compare",
            hint="see the failures in samples/*.jsonl, and run the same again to ask for what is missing",
        )
    return places


def failure_notes(runs: Mapping[ConditionId, Rows], *, extracting: Collection[str] = ()) -> Iterator[str]:
    """Notes on calls that were not made, not answered or not parsed; before the last stage a method continues.

    Args:
        runs: Outputs by condition.
        extracting: Methods whose differences a model finds.
    """
    for name, rows in runs.items():
        stages = _by_stage(rows)
        if missing := sum(map(results.lacks_text, rows)):
            yield (
                f"{name}: {missing} of {len(rows)} texts are missing, because the model gave no answer; their "
                f"samples are left out of every table{_why(rows)}"
            )
        for stage, took in stages.items():
            if took.failed and stage != "write":
                yield f"{name}: {took.failed} of {took.calls} calls of the stage {stage} brought no answer"
        yield from (f"{name}: {remark}" for remark in remarks(stages))
        if marked := sum(any(one["name"] == "write" and one.get("notes") for one in _stages(row)) for row in rows):
            yield f"{name}: {marked} of {len(rows)} texts still hold a model's control markup"
        if _counted_alike(rows):
            yield (
                f"{name}: the endpoint counts the same number of tokens for prompts of very different lengths, so it "
                f"most likely read a part of the longer ones only: {CUT_PROMPT}"
            )
        extract = stages.get("extract")
        if extract is None and name.control is None and name.method in extracting:
            yield f"{name}: no call of the extractor: there are no peers, or no call fits the budget"
        if left_out := sum(bool(row.get("not_measured")) for row in rows):
            yield (
                f"{name}: {left_out} of {len(rows)} samples have comparisons that are not in English and were not "
                "measured: let a model be the extractor (differences.extractor)"
            )
        read = 0 if extract is None else extract.calls - extract.failed - extract.unreadable
        if read and not any(row.get("features") for row in rows):
            yield f"{name}: {read} answers of the extractor name no difference"


def _passing(row: Mapping[str, Any]) -> bool:
    return any(failure.kind in _PASSING for _, failure in _failures(row))


def _stage_failures(rows: Rows, stage: str) -> list[Failure]:
    """Reasons of a stage's failed calls, temporary ones first."""
    found = [failure for row in rows for name, failure in _failures(row) if name == stage]
    return sorted(found, key=lambda failure: failure.kind not in _PASSING)


def _unanswered_stages(rows: Rows) -> Iterator[tuple[str, int]]:
    """The stages of which no call was answered, with their number of calls."""
    return ((stage, usage.calls) for stage, usage in _by_stage(rows).items() if 0 < usage.calls == usage.failed)


def _why(rows: Rows) -> str:
    """The first reason and its remedy."""
    found = _stage_failures(rows, "write")
    return ": {} ({})".format(*reason_and_remedy(found[0])) if found else ""


def _counted_alike(rows: Rows) -> bool:
    """Whether prompts of very different lengths have the same, largest count of tokens."""
    counted: dict[int, list[int]] = {}
    for row in rows:
        took, prompt = row.get("usage", {}).get("write", {}), row.get("prompt")
        if prompt and took.get("calls") == 1 and not took.get("failed") and not took.get("retries"):
            counted.setdefault(took.get("prompt_tokens", 0), []).append(len(prompt))
    if not counted:
        return False
    lengths = counted[max(counted)]
    return max(lengths) > _VERY_DIFFERENT * min(lengths)


def _failures(row: Mapping[str, Any]) -> Iterator[tuple[str, Failure]]:
    """Stage and reason of every call that failed."""
    if row.get("failure"):
        yield "write", Failure(**row["failure"])
    for one in _stages(row):
        if one["name"] != "write" and one.get("failure"):
            yield one["name"], Failure(**one["failure"])


def _stages(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return row.get("stages") or ()
