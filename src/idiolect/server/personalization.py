"""What a request says of its user, and what an answer says of its personalization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from idiolect.llm.base import Usage
from idiolect.methods.base import UNPERSONALIZED


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The user, the item and the options of a request."""

    user: str = ""
    """Empty: no user."""
    source: str = ""
    """Where the user was named: ``body``, ``model``, ``header`` or ``user``."""
    item: str = ""
    rating: float | None = None
    title: str = ""
    method: str = "auto"
    k: int | None = None
    """Past texts in the prompt; None: the setting."""
    off: bool = False
    corrections: bool = True
    """Whether what the user muted and corrected counts."""
    units: Mapping[int, float] = field(default_factory=dict)
    """Factors of units of the adapter's code: 0 silences a unit, 2 doubles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Personalization:
    """The personalization of a request, or the reason why there is none."""

    method: str = UNPERSONALIZED
    personalized: bool = False
    reason: str = ""
    """Why nothing of a user reaches the model; empty if something does."""
    own_prompt: bool = False
    """Whether ``Voices.write`` answers by the method's own prompt, which replaces the client's messages."""
    system: str = ""
    """The system turn; empty if there is none."""
    evidence: tuple[str, ...] = ()
    """Ids of the user's reviews whose text or vectors reached the model, best first."""
    peer_scopes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "method": self.method,
            "personalized": self.personalized,
            **({"reason": self.reason} if self.reason else {}),
            "peer_scope": dict(self.peer_scopes),
            "evidence": list(self.evidence),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A text of the model in this process."""

    text: str
    truncated: bool
    usage: Usage
    model: str
    how: Personalization


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencedUnit:
    """What a user's reviews lose when a unit of the adapter's code is silenced."""

    unit: int
    user: str
    lost: tuple[float, ...]
    """Nats per review, the latest last: above 0, the model finds the text less likely without the unit."""

    def record(self) -> dict[str, Any]:
        """As plain data, with the mean and its 95 % interval (Student's t); None for a single review."""
        n, mean = len(self.lost), float(np.mean(self.lost))
        half = None
        if n > 1:
            from scipy.special import stdtrit

            half = float(stdtrit(n - 1, 0.975) * np.std(self.lost, ddof=1) / np.sqrt(n))
        ends = {"low": None, "high": None} if half is None else {"low": mean - half, "high": mean + half}
        return {"number": self.unit, "user": self.user, "reviews": n, "mean": mean, **ends, "lost": list(self.lost)}


class AnswerError(Exception):
    """The model gave no answer; the message says why."""
