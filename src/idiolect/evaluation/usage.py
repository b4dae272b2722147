"""What a run's texts took: calls, tokens, latency and money, by condition and stage.

Whom the past reviews of every condition were compared with (see ``Prediction.peer_scopes``), counted.

Which calls of an evaluation were not answered: what is asked again, what ends the run, what a reader must know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np

from idiolect.llm.base import CUT_PROMPT, EndpointError, Failure, Usage, reason_and_remedy, remarks
from idiolect.llm.retry import RETRYABLE
from idiolect.pipeline import results
from idiolect.types import PeerScope

Spending = Mapping[str, Mapping[str, Usage]]
"""Sums over a condition's samples, by condition and stage; without conditions that wrote nothing."""

_HEAD = ("run", "stage", "calls", "on record", "failed", "prompt", "completion", "thinking", "s a call", "cost", "paid")


def spending(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Spending:
    """What every condition took.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``).
    """
    found = {name: _by_stage(rows) for name, rows in runs.items()}
    return {name: stages for name, stages in found.items() if stages}


def with_stage(spent: Spending, stage: str, took: Mapping[str, Usage]) -> Spending:
    """The same with a further stage, which asked about what the conditions wrote.

    Args:
        spent: By condition.
        stage: Its name.
        took: By condition, what it took.
    """
    return {name: {**stages, **({stage: took[name]} if name in took else {})} for name, stages in spent.items()}


def to_dict(spent: Spending) -> dict[str, Any]:
    """Plain data for a result file."""
    return {name: {stage: asdict(usage) for stage, usage in stages.items()} for name, stages in spent.items()}


def to_markdown(spent: Spending) -> str:
    """A table, tokens and money summed, latency a call; answers on record count with what they took when made."""
    rows = [_HEAD, ["---", "---", *["---:"] * (len(_HEAD) - 2)]]
    rows += [[name, stage, *_shown(usage)] for name, stages in spent.items() for stage, usage in stages.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def to_text(spent: Spending) -> str:
    """The same as aligned plain text."""
    rows = [_HEAD, *([name, stage, *_shown(one)] for name, stages in spent.items() for stage, one in stages.items())]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows) + "\n"


def worth_showing(spent: Spending) -> bool:
    """Whether there is more to it than one local call a text."""
    return any(len(stages) > 1 or any(one.cost for one in stages.values()) for stages in spent.values())


def _by_stage(rows: Sequence[Mapping[str, Any]]) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for row in rows:
        for stage, took in row.get("usage", {}).items():
            found[stage] = found.get(stage, Usage()) + Usage(**took)
    return found


def _shown(usage: Usage) -> list[str]:
    counts = (usage.calls, usage.cached, usage.failed)
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.thinking_tokens)
    latency = usage.seconds / max(usage.calls, 1)
    return [*map(str, (*counts, *tokens)), f"{latency:.3f}", f"{usage.cost:.4g}", f"{usage.spent:.4g}"]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    named = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    return "  ".join([*named, *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))])


PEER_SCOPES: tuple[PeerScope, ...] = get_args(PeerScope)
PeerScopes = Mapping[str, Mapping[PeerScope, int]]
"""By condition; without conditions that compare nothing."""


def count_peer_scopes(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> PeerScopes:
    """Past reviews per peer scope.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``).
    """
    found: dict[str, Mapping[PeerScope, int]] = {}
    for name, rows in runs.items():
        total: Counter[PeerScope] = Counter()
        for row in rows:
            total.update(row.get("peer_scopes") or {})
        if total:
            found[name] = {scope: total[scope] for scope in PEER_SCOPES if total[scope]}
    return found


def sentences(peer_scopes: PeerScopes) -> list[str]:
    """One a condition, for notes below a table."""
    return [f"{name}: past reviews compared with {_scope_shares(counts)}" for name, counts in peer_scopes.items()]


_WORDS: Mapping[PeerScope, str] = {
    "item": "others on the same item",
    "category": "others on items of its category",
    "corpus": "everybody else",
    "none": "nobody",
}


def _scope_shares(counts: Mapping[PeerScope, int]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{_WORDS[scope]} {n} ({n / total:.0%})" for scope, n in counts.items())


Rows = Sequence[Mapping[str, Any]]
"""A condition's outputs, one a sample."""

_PASSING = frozenset({*RETRYABLE, "denied"})
"""Kinds of failure that another day may be without."""
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
        found = _stage_failures(rows, stage)
        reason, remedy = reason_and_remedy(found[0]) if found else ("no reason is on record", "try again later")
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
        if marked := sum(any(one["name"] == "write" and one.get("notes") for one in _stages(row)) for row in rows):
            yield f"{name}: {marked} of {len(rows)} texts still hold a model's control markup"
        if _counted_alike(rows):
            yield (
                f"{name}: the endpoint counts the same number of tokens for prompts of very different lengths, so it "
                f"most likely read a part of the longer ones only: {CUT_PROMPT}"
            )
        heard = stages.get("extract")
        if extractor and heard is None and name in ("dpl", "drp"):
            yield f"{name}: the extractor was asked nothing: nobody to compare with, or no call fits the budget"
        if left_out := sum(bool(row.get("not_measured")) for row in rows):
            yield (
                f"{name}: {left_out} of {len(rows)} samples have comparisons that are not in English and were not "
                "measured: let a model be the extractor (differences.extractor)"
            )
        read = 0 if heard is None else heard.calls - heard.failed - heard.unreadable
        if read and not any(row.get("features") for row in rows):
            yield f"{name}: {read} answers of the extractor name no difference"


def _passing(row: Mapping[str, Any]) -> bool:
    return any(failure.kind in _PASSING for _, failure in _failures(row))


def _stage_failures(rows: Rows, stage: str) -> list[Failure]:
    """Why calls of a stage failed, first those reasons that may pass."""
    found = [failure for row in rows for name, failure in _failures(row) if name == stage]
    return sorted(found, key=lambda failure: failure.kind not in _PASSING)


def _silent(runs: Mapping[str, Rows]) -> Iterator[tuple[str, int]]:
    """The stages that were answered nothing at all, with their number of calls."""
    for stages in spending(runs).values():
        yield from ((stage, took.calls) for stage, took in stages.items() if 0 < took.calls == took.failed)


def _why(rows: Rows) -> str:
    """The first reason, and how it is remedied."""
    found = _stage_failures(rows, "write")
    return ": {} ({})".format(*reason_and_remedy(found[0])) if found else ""


def _counted_alike(rows: Rows) -> bool:
    """Whether the largest count of tokens that prompts have is that of prompts whose lengths differ much."""
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
