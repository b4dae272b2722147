"""Adaptive extraction: differences found against calls, tokens and cost, by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from idiolect.methods.adaptive import average_curve
from idiolect.types import ConditionId, CurvePoint

Curves = Mapping[ConditionId, Sequence[CurvePoint]]
"""The mean over a condition's samples, per call; only conditions with adaptive extraction."""

_HEAD = ("run", "calls", "tokens", "cost", "valid differences found", "expected of the next call")


def curves(runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]]) -> Curves:
    """Quality against cost of every method with adaptive extraction.

    Args:
        runs: Outputs by condition, one per sample (see ``results.sample_row``).
    """
    found = {one: average_curve(_of_samples(rows)) for one, rows in runs.items() if one.control is None}
    return {one: points for one, points in found.items() if points}


def to_dict(found: Curves) -> dict[str, Any]:
    """Plain data for a result file."""
    return {one.plain_name: [asdict(point) for point in points] for one, points in found.items()}


def to_markdown(found: Curves) -> str:
    """A table with one row per call; a sample that needs no further call keeps its values."""
    rows = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 1)]]
    rows += [[str(one), *_shown(point)] for one, points in found.items() for point in points]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _of_samples(rows: Sequence[Mapping[str, Any]]) -> list[list[CurvePoint]]:
    return [[CurvePoint(**point) for point in curve["points"]] for row in rows if (curve := row.get("curve"))]


def _shown(point: CurvePoint) -> list[str]:
    counts = (point.calls, point.tokens, point.found, point.expected)
    calls, tokens, found, expected = (f"{value:.2f}" for value in counts)
    return [calls, tokens, f"{point.cost:.4g}", found, expected]
