"""What further calls of an extractor brought: differences found against calls, tokens and money, by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from idiolect.methods.adaptive import average_curve
from idiolect.methods.controls import is_control
from idiolect.types import CurvePoint

Curves = Mapping[str, Sequence[CurvePoint]]
"""The mean over a condition's samples, call by call; without conditions whose extraction was not adaptive."""

_HEAD = ("run", "calls", "tokens", "cost", "valid differences found", "expected of the next call")


def curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Curves:
    """Quality against cost of every method that extracted adaptively.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``).
    """
    found = {name: average_curve(_of_samples(rows)) for name, rows in runs.items() if not is_control(name)}
    return {name: points for name, points in found.items() if points}


def to_dict(found: Curves) -> dict[str, Any]:
    """Plain data for a result file."""
    return {name: [asdict(point) for point in points] for name, points in found.items()}


def to_markdown(found: Curves) -> str:
    """A table with a row a call; a sample that needed no further call counts on with what it has."""
    rows = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 1)]]
    rows += [[name, *_shown(point)] for name, points in found.items() for point in points]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _of_samples(rows: Sequence[Mapping[str, Any]]) -> list[list[CurvePoint]]:
    return [[CurvePoint(**point) for point in curve["points"]] for row in rows if (curve := row.get("curve"))]


def _shown(point: CurvePoint) -> list[str]:
    counts = (point.calls, point.tokens, point.found, point.expected)
    calls, tokens, found, expected = (f"{value:.2f}" for value in counts)
    return [calls, tokens, f"{point.cost:.4g}", found, expected]
