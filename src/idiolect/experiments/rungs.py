"""Whom the past reviews of every condition were compared with (see ``Prediction.rungs``), counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from idiolect.types import Rung

RUNGS: tuple[Rung, ...] = get_args(Rung)
Rungs = Mapping[str, Mapping[Rung, int]]
"""By condition; without conditions that compare nothing."""


def count_rungs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rungs:
    """Past reviews on each rung.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``).
    """
    found: dict[str, Mapping[Rung, int]] = {}
    for name, rows in runs.items():
        total: Counter[Rung] = Counter()
        for row in rows:
            total.update(row.get("rungs") or {})
        if total:
            found[name] = {rung: total[rung] for rung in RUNGS if total[rung]}
    return found


def sentences(rungs: Rungs) -> list[str]:
    """One a condition, for notes below a table."""
    return [f"{name}: past reviews compared with {_shown(counts)}" for name, counts in rungs.items()]


_WORDS: Mapping[Rung, str] = {
    "item": "others on the same item",
    "category": "others on items of its category",
    "corpus": "everybody else",
    "none": "nobody",
}


def _shown(counts: Mapping[Rung, int]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{_WORDS[rung]} {n} ({n / total:.0%})" for rung, n in counts.items())
