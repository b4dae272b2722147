"""Extraction that goes on while it pays: the papers' open question of how many calls a user's differences are worth.

Calls go through the anchors, best first, and then through them again as further independent draws. Each is a sampling
unit of a census: the share of differences that only one call has shown tells how many the next call would add
(Good-Turing; for incidence data Chao and Colwell 2017). The result comes with its curve of quality against cost.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.feature import Feature
from idiolect.llm.usage import Usage
from idiolect.methods.comparison import Case
from idiolect.methods.extraction import Draw, Extraction, claim_of, merged
from idiolect.methods.portrait import Portrait
from idiolect.methods.roles import Answer
from idiolect.methods.validation import Checks

CURVE = "curve"
"""The stage under which a prediction has its curve; see ``read_curve``."""

# Fewer than in English prose, so that what is reserved is rather too much.
_CHARS_PER_TOKEN = 2


class AdaptiveConfig(Config):
    """When extraction stops; budgets are a sample's and hold for E alone."""

    threshold: float = Field(default=0.25, ge=0)
    """Expected new valid unique differences a call below which no further call is made."""
    first: int = Field(default=3, ge=2)
    """Calls before the first estimate, made at once."""
    max_calls: int = Field(default=16, ge=1)
    """Never more calls than this."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Never more tokens, prompts and answers together; what a call may take is reserved before it is made."""
    max_cost: float | None = Field(default=None, gt=0)
    """Never more money, in the currency of the endpoint's price, once a first call has shown what one costs."""


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


class _Need(NamedTuple):
    """What a call may take at most."""

    calls: int
    tokens: int


class _Next(NamedTuple):
    """A portrait's next call."""

    place: int
    case: Case
    replicate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveExtraction:
    """Draws in rounds; each round asks the next call of every sample that is still worth one, in one batch.

    A call that gave no answer counts as a call that found nothing; its thinking is not asked for again.
    """

    once: Extraction
    checks: Checks | None = field(default_factory=Checks)
    """What makes a difference valid while counting."""
    config: AdaptiveConfig = field(default_factory=AdaptiveConfig)

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``; the curve is recorded as the stage ``curve``."""
        # A retried thought would break the budget; another draw is as good.
        once = replace(self.once, role=replace(self.once.role, thinking_limit=1))
        censuses = [_Census(portrait, self.config, once) for portrait in portraits]
        while wanted := [one for place, census in enumerate(censuses) for one in census.wanted(place)]:
            draws = self._draw(once, wanted)
            valid = self._valid([one.case for one in wanted], draws)
            for one, draw, claims in zip(wanted, draws, valid, strict=True):
                censuses[one.place].add(one, draw, claims)
        return [census.portrait() for census in censuses]

    def _draw(self, once: Extraction, wanted: Sequence[_Next]) -> list[Draw]:
        """One draw each, in order; calls of one replicate index go together."""
        draws: dict[int, Draw] = {}
        for replicate in sorted({one.replicate for one in wanted}):
            places = [k for k, one in enumerate(wanted) if one.replicate == replicate]
            found = once.draw([wanted[k].case for k in places], replicate=replicate)
            draws |= dict(zip(places, found, strict=True))
        return [draws[k] for k in range(len(wanted))]

    def _valid(self, cases: Sequence[Case], draws: Sequence[Draw]) -> list[set[object]]:
        features = [draw.features for draw in draws]
        checked = features if self.checks is None else self.checks(cases, features)
        return [{claim_of(feature) for feature in own if feature.valid} for own in checked]


class _Census:
    """What the calls for one sample have shown."""

    def __init__(self, portrait: Portrait, config: AdaptiveConfig, once: Extraction) -> None:
        self._portrait, self._config, self._once = portrait, config, once
        self._sightings: Counter[object] = Counter()
        self._features: list[Feature] = []
        self._answers: list[tuple[str, Answer]] = []
        self._usage = Usage()
        self._curve: list[Point] = []

    def wanted(self, place: int) -> list[_Next]:
        """The next calls that are worth making and can be paid for; none when it is finished."""
        cases, made = self._portrait.cases, len(self._curve)
        number = int(self._curve[-1].expected >= self._config.threshold) if made else self._config.first
        coming = [_Next(place, cases[k % len(cases)], k // len(cases)) for k in range(made, made + number) if cases]
        needs = [self._need(one.case) for one in coming]
        affordable = [
            self._affords(sum(need.calls for need in needs[: k + 1]), sum(need.tokens for need in needs[: k + 1]))
            for k in range(len(coming))
        ]
        return coming[: affordable.index(False)] if False in affordable else coming

    def add(self, one: _Next, draw: Draw, claims: Collection[object]) -> None:
        """Count what a call has shown."""
        again = f" #{one.replicate + 1}" if one.replicate else ""
        self._answers += [(f"{label}{again}", answer) for label, answer in draw.answers]
        self._features += draw.features
        self._usage = sum((answer.usage for _, answer in draw.answers), self._usage)
        self._sightings.update(claims)
        once = sum(sightings == 1 for sightings in self._sightings.values())
        self._curve.append(
            Point(
                calls=self._usage.calls,
                tokens=_tokens(self._usage),
                cost=self._usage.cost,
                found=len(self._sightings),
                expected=once / (len(self._curve) + 1),
            )
        )

    def portrait(self) -> Portrait:
        """The portrait with everything that was found, each claim once a comparison."""
        found = self._portrait.heard("extract", self._answers, features=tuple(merged(self._features)))
        curve = json.dumps([asdict(point) for point in self._curve])
        return replace(found, stages={**found.stages, CURVE: curve})

    def _need(self, case: Case) -> _Need:
        """What a call about a case may take at most, by a cautious count of tokens."""
        prompts, new = self._once.questions(case), self._once.role.params.max_new_tokens
        chars = sum(len(message.text) for prompt in prompts for message in prompt.messages)
        return _Need(len(prompts), chars // _CHARS_PER_TOKEN + len(prompts) * new)

    def _affords(self, calls: int, tokens: int) -> bool:
        config, used = self._config, _tokens(self._usage)
        price = self._usage.cost / used if used else 0.0
        return (
            self._usage.calls + calls <= config.max_calls
            and (config.max_tokens is None or used + tokens <= config.max_tokens)
            and (config.max_cost is None or self._usage.cost + price * tokens <= config.max_cost)
        )


def read_curve(text: str) -> list[Point]:
    """The curve in a prediction's stage ``curve``."""
    return [Point(**point) for point in json.loads(text)]


def average_curve(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """The mean curve of several samples, call by call; one that has stopped stays where it is, at its own cost."""
    curves = [curve for curve in curves if curve]
    reached = [[curve[min(k, len(curve) - 1)] for curve in curves] for k in range(max(map(len, curves), default=0))]
    return [_mean(points) for points in reached]


def _mean(points: Sequence[Point]) -> Point:
    return Point(
        calls=fmean(point.calls for point in points),
        tokens=fmean(point.tokens for point in points),
        cost=fmean(point.cost for point in points),
        found=fmean(point.found for point in points),
        expected=fmean(point.expected for point in points),
    )


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
