"""What further calls of an extractor bring: quality against cost, of one sample and in the mean of many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

CURVE = "curve"
"""The stage under which a prediction has its curve; see ``read_curve``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place on the curve of quality against cost."""

    calls: float
    tokens: float
    cost: float
    found: float
    """Valid unique differences so far."""
    expected: float
    """Of the next call."""


_NOTHING = Point(calls=0, tokens=0, cost=0, found=0, expected=0)


def write_curve(points: Iterable[Point]) -> str:
    """A curve as it stands in a prediction's stage ``curve``."""
    return json.dumps([asdict(point) for point in points])


def read_curve(text: str) -> list[Point]:
    """The curve in a prediction's stage ``curve``."""
    return [Point(**point) for point in json.loads(text)]


def average_curve(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """The mean curve of all samples, draw by draw; none where none of them has one.

    A sample that has stopped stays where it is, at its own cost; one with nothing to compare counts with nothing found
    and nothing spent.
    """
    if not any(curves):
        return []
    whole = [curve or [_NOTHING] for curve in curves]
    return [_mean([curve[min(k, len(curve) - 1)] for curve in whole]) for k in range(max(map(len, whole)))]


def _mean(points: Sequence[Point]) -> Point:
    return Point(
        calls=fmean(point.calls for point in points),
        tokens=fmean(point.tokens for point in points),
        cost=fmean(point.cost for point in points),
        found=fmean(point.found for point in points),
        expected=fmean(point.expected for point in points),
    )
