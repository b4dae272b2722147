"""What the probes found, as plain values: written to JSON by the study, read by figures and the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from idiolect.errors import ArtifactError


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % bootstrap interval over held-out users."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A paired difference of two inputs' mean R2."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, not corrected for other comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All probes of one world at one setting."""

    users: int
    """Who was probed: all with enough reviews that have peers."""
    anchors: int
    """Reviews averaged to stand for a user."""
    peers: int | None
    """Most peers a review was compared with; None: all."""
    mean_peers: float
    """Peers an anchor really was compared with, on average."""
    scores: dict[str, Estimate]
    """R2 by input, mean over traits."""
    traits: dict[str, dict[str, Estimate]]
    """R2 by input and trait."""
    gaps: dict[str, Gap]
    """By ``"one - other"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResults:
    """All curves; the points of a curve stand in the order of its settings."""

    encoder: str
    codes: str | None
    """Whose codes are ``z_his`` and ``z_diff``."""
    world: dict[str, Any]
    """Configuration of the main world."""
    config: dict[str, Any]
    """Configuration of the probes."""
    settings: dict[str, list[float | None]]
    """By curve: the knob's values; None is all peers."""
    curves: dict[str, list[Point]]
    """``anchors``, ``peers``, ``confounding`` and ``noise``."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProbeResults:
        """What ``to_dict`` gave, from JSON or not.

        Raises:
            ArtifactError: It is something else.
        """
        return _read(_RESULTS, data)


def read_point(data: Any) -> Point:
    """A point from plain values.

    Raises:
        ArtifactError: It is something else.
    """
    return _read(_POINT, data)


_RESULTS, _POINT = TypeAdapter(ProbeResults), TypeAdapter(Point)


def _read(adapter: TypeAdapter[Any], data: Any) -> Any:
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        raise ArtifactError(f"not a record of probes: {error}", hint="run the probes again") from error
