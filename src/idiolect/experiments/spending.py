"""What a run's texts took: calls, tokens, latency and money, by condition and stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from idiolect.llm.usage import Usage

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
