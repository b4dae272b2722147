"""Adaptive sampling: extraction continues while a further call is expected to find new differences.

The papers leave open how many calls a user's differences are worth. Calls go through the anchors, best first, then
through them again as independent draws. Every draw is a sampling unit: the share of differences that only one draw has
shown estimates how many the next one adds (Good-Turing; for incidence data Chao and Colwell 2017). The result has the
curve of quality against cost and the reason for the end. What a call may take at most is reserved before it is made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import ClassVar, NamedTuple

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.feature import FEATURES_SCHEMA, Feature
from idiolect.errors import ConfigError
from idiolect.llm.base import Price, Usage, price_of
from idiolect.methods.extract import Draw, Extraction, claim_of, merged
from idiolect.methods.peer_comparison import PeerComparison
from idiolect.methods.roles import About, Answer
from idiolect.methods.stages import ProfileState
from idiolect.methods.validate import Checks
from idiolect.types import Curve, CurvePoint, Prompt

_NOTHING = CurvePoint(calls=0, tokens=0, cost=0, found=0, expected=0)


def average_curve(curves: Sequence[Sequence[CurvePoint]]) -> list[CurvePoint]:
    """The mean curve of all samples, draw by draw; empty if no sample has a curve.

    A sample that has ended stays at its last point; one with nothing to compare counts as nothing found, nothing spent.
    """
    if not any(curves):
        return []
    whole = [curve or [_NOTHING] for curve in curves]
    return [_mean([curve[min(k, len(curve) - 1)] for curve in whole]) for k in range(max(map(len, whole)))]


def _mean(points: Sequence[CurvePoint]) -> CurvePoint:
    return CurvePoint(
        calls=fmean(point.calls for point in points),
        tokens=fmean(point.tokens for point in points),
        cost=fmean(point.cost for point in points),
        found=fmean(point.found for point in points),
        expected=fmean(point.expected for point in points),
    )


# Fewer than in English prose, so that too much is reserved rather than too little.
_CHARS_PER_TOKEN = 2
_SCHEMA_TOKENS = len(json.dumps(FEATURES_SCHEMA)) // _CHARS_PER_TOKEN


FIRST = 3
"""Calls before the first estimate, made together: the estimate is from what was seen once and twice, and two calls
hardly show the latter."""


class AdaptiveConfig(Config):
    """When extraction ends. Budgets are per sample and cover the extractor's calls only.

    The most that a call may take is reserved before it is made, so no budget is exceeded. Requests that an endpoint
    bills without an answer, and that are repeated, are not counted.
    """

    threshold: float = Field(default=0.25, ge=0)
    """Extraction ends if the next call is expected to add fewer new valid differences than this."""
    max_calls: int = Field(default=16, ge=1)
    """Most calls, repeated calls for unfinished thinking included."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Most tokens, prompts and answers together."""
    max_cost: float | None = Field(default=None, gt=0)
    """Most money, in the currency of the endpoint's ``price``, which must be set."""

    retired: ClassVar = {"first": FIRST}


class Need(NamedTuple):
    """The most that some calls may take."""

    calls: int
    prompt_tokens: int
    new_tokens: int

    @classmethod
    def of(cls, prompts: Sequence[Prompt], new_tokens: int, *, structured: bool) -> Need:
        """One call per prompt, counted cautiously.

        Args:
            prompts: The calls' prompts.
            new_tokens: Most tokens of an answer.
            structured: Whether answers follow the schema, which endpoints count as part of the prompt.
        """
        texts = [message.text for prompt in prompts for message in prompt.messages]
        schema = _SCHEMA_TOKENS if structured else 0
        return cls(len(prompts), sum(map(_tokens, texts)) + schema * len(prompts), new_tokens * len(prompts))


class Budget:
    """The budgets of one sample.

    Args:
        config: Calls, tokens and money.
        price: What the endpoint charges; None: unknown, so that ``max_cost`` is ignored.
    """

    def __init__(self, config: AdaptiveConfig, price: Price | None) -> None:
        self._config, self._price = config, price or Price()

    def fits(self, used: Usage, needs: Iterable[Need]) -> bool:
        """Whether ``needs`` on top of ``used`` stay within every budget, whatever the answers are."""
        calls, prompt, new = (sum(column) for column in zip(Need(0, 0, 0), *needs, strict=True))
        tokens = used.prompt_tokens + used.completion_tokens + prompt + new
        return (
            used.calls + calls <= self._config.max_calls
            and (self._config.max_tokens is None or tokens <= self._config.max_tokens)
            and (self._config.max_cost is None or used.cost + self._price.of(prompt, new) <= self._config.max_cost)
        )


def _tokens(text: str) -> int:
    """An upper bound: outside of ASCII every byte counts as a token."""
    return len(text) // _CHARS_PER_TOKEN + len(text.encode("utf-8", "replace")) - len(text)


class Question(NamedTuple):
    """One call to make."""

    draw: int
    """Index of its draw among those under way."""
    place: int
    """Index of the call within the draw."""
    prompt: Prompt
    replicate: int
    new_tokens: int


@dataclass(slots=True)
class _Open:
    """A draw under way: its prompts, the answers so far, and the most tokens of the next answers."""

    comparison: PeerComparison
    replicate: int
    prompts: list[Prompt]
    answers: dict[int, Answer]
    new_tokens: int

    @property
    def unanswered(self) -> list[int]:
        """Indices of the calls to make, or to repeat."""
        return [k for k in range(len(self.prompts)) if k not in self.answers or self.answers[k].unfinished]


class AdaptiveSampling:
    """The draws for one sample: what they have shown, which calls come next, and why they ended.

    Args:
        state: The sample with its comparisons.
        config: When sampling ends.
        extraction: How a draw is made.
    """

    def __init__(self, state: ProfileState, config: AdaptiveConfig, extraction: Extraction) -> None:
        self._state, self._config, self._extraction = state, config, extraction
        self._budget = Budget(config, price_of(extraction.role.llm))
        self._open: list[_Open] = []
        self._sightings: Counter[object] = Counter()
        self._features: list[Feature] = []
        self._answers: list[tuple[About, Answer]] = []
        self._used = self._counted = Usage()
        self._curve: list[CurvePoint] = []
        self._end = ""

    def wanted(self) -> list[Question]:
        """The next calls that are worth making and fit the budget; empty when sampling has ended."""
        if not self._open:
            self._open = self._worthwhile()
        return [
            Question(place, k, draw.prompts[k], draw.replicate, draw.new_tokens)
            for place, draw in enumerate(self._open)
            for k in draw.unanswered
        ]

    def record_response(self, question: Question, answer: Answer) -> None:
        """Record the answer to a call of ``wanted``."""
        answers = self._open[question.draw].answers
        self._used += answer.usage
        before = answers.get(question.place, Answer())
        answers[question.place] = replace(
            answer, usage=before.usage + answer.usage, thinking=answer.thinking or before.thinking
        )

    def finished(self) -> list[tuple[PeerComparison, int, Draw]]:
        """Remove and return the complete draws, each with its comparison and replicate.

        Unfinished thinking is asked for again with twice the tokens, up to the role's limit, if the budget allows it;
        else it stays a failed call.
        """
        again: list[_Open] = []
        done: list[_Open] = []
        for draw in self._open:
            (again if self._grants_more(draw, again) else done).append(draw)
        self._open = again
        return [
            (
                draw.comparison,
                draw.replicate,
                self._extraction.read(draw.comparison, [draw.answers[k] for k in sorted(draw.answers)]),
            )
            for draw in done
        ]

    def add(self, replicate: int, draw: Draw, claims: Collection[object]) -> None:
        """Count the claims of a finished draw."""
        self._answers += [(about._replace(replicate=replicate), answer) for about, answer in draw.answers]
        self._features += draw.features
        self._sightings.update(claims)
        once = sum(sightings == 1 for sightings in self._sightings.values())
        took = self._counted = Usage.total([self._counted, *(answer.usage for _, answer in draw.answers)])
        self._curve.append(
            CurvePoint(
                calls=took.calls,
                tokens=took.prompt_tokens + took.completion_tokens,
                cost=took.cost,
                found=len(self._sightings),
                expected=once / (len(self._curve) + 1),
            )
        )

    def state(self) -> ProfileState:
        """The state with everything that was found, each claim once per comparison."""
        unanswered = sum(answer.unanswered for _, answer in self._answers)
        features = tuple(merged(self._features))
        curve = Curve(points=tuple(self._curve), end=self._end)
        return self._state.record_responses(
            "extract", self._answers, features=features, unanswered=unanswered, curve=curve
        )

    def _grants_more(self, draw: _Open, granted: Collection[_Open]) -> bool:
        """Whether a draw's unfinished thinking may continue in addition to ``granted``; doubles its tokens if so."""
        limit = self._extraction.role.thinking_limit
        if not draw.unanswered or draw.new_tokens >= limit:
            return False
        before, draw.new_tokens = draw.new_tokens, min(2 * draw.new_tokens, limit)
        if self._budget.fits(self._used, [self._need(one) for one in (*granted, draw)]):
            return True
        draw.new_tokens = before
        return False

    def _worthwhile(self) -> list[_Open]:
        """New draws: the first few together, then one at a time while it pays."""
        comparisons, made = self._state.comparisons, len(self._curve)
        if not comparisons:
            return self._ended("there is nothing to compare")
        if made and self._curve[-1].expected < self._config.threshold:
            return self._ended("the next call is expected to add less than the threshold")
        several = range(made, made + (1 if made else FIRST))
        # A greedy model gives the same answer again, at the same price.
        fresh = [k for k in several if k < len(comparisons) or self._extraction.role.params.temperature > 0]
        if not fresh:
            return self._ended("a greedy model was asked about every comparison: further draws would be copies")
        coming = [self._draw(comparisons[k % len(comparisons)], k // len(comparisons)) for k in fresh]
        while coming and not self._budget.fits(self._used, map(self._need, coming)):
            coming.pop()
        return coming or self._ended("the budget does not cover another call")

    def _draw(self, comparison: PeerComparison, replicate: int) -> _Open:
        return _Open(
            comparison,
            replicate,
            self._extraction.questions(comparison),
            {},
            self._extraction.role.params.max_new_tokens,
        )

    def _need(self, draw: _Open) -> Need:
        asked = [draw.prompts[k] for k in draw.unanswered]
        return Need.of(asked, draw.new_tokens, structured=self._extraction.role.structured)

    def _ended(self, why: str) -> list[_Open]:
        self._end = why
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveExtraction:
    """Adaptive sampling of many samples in rounds; the next calls of all samples are one batch.

    A call without an answer counts as a call that found nothing.

    Raises:
        ConfigError: ``max_cost`` is set and the extractor has no price.
    """

    extraction: Extraction
    checks: Checks | None = field(default_factory=Checks)
    """Which differences count as valid."""
    config: AdaptiveConfig = field(default_factory=AdaptiveConfig)

    def __post_init__(self) -> None:
        if self.config.max_cost is not None and price_of(self.extraction.role.llm) is None:
            raise ConfigError(
                f"adaptive.max_cost bounds money, and {self.extraction.role.llm.name} has no price",
                hint="set the extractor's endpoint.price, or bound max_calls or max_tokens instead",
            )

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``; the curve is recorded."""
        samplings = [AdaptiveSampling(state, self.config, self.extraction) for state in states]
        while wanted := [(sampling, question) for sampling in samplings for question in sampling.wanted()]:
            for (sampling, question), answer in zip(wanted, self._ask([one for _, one in wanted]), strict=True):
                sampling.record_response(question, answer)
            self._count(samplings)
        return [sampling.state() for sampling in samplings]

    def _ask(self, wanted: Sequence[Question]) -> list[Answer]:
        """One answer per question, in order; calls with equal parameters are one batch."""
        answers: dict[int, Answer] = {}
        role = self.extraction.role
        for replicate, new_tokens in sorted({(one.replicate, one.new_tokens) for one in wanted}):
            places = [k for k, one in enumerate(wanted) if (one.replicate, one.new_tokens) == (replicate, new_tokens)]
            # The sampling decides whether thinking continues, because it knows the budget.
            params = role.params.model_copy(update={"max_new_tokens": new_tokens})
            asked = replace(role, params=params, thinking_limit=1)
            found = asked.ask([wanted[k].prompt for k in places], schema=FEATURES_SCHEMA, replicate=replicate)
            answers |= dict(zip(places, found, strict=True))
        return [answers[k] for k in range(len(wanted))]

    def _count(self, samplings: Sequence[AdaptiveSampling]) -> None:
        """Check the claims of all finished draws together, then count them."""
        draws = [(sampling, *one) for sampling in samplings for one in sampling.finished()]
        valid = self._valid([comparison for _, comparison, _, _ in draws], [draw.features for *_, draw in draws])
        for (sampling, _, replicate, draw), claims in zip(draws, valid, strict=True):
            sampling.add(replicate, draw, claims)

    def _valid(self, comparisons: Sequence[PeerComparison], features: Sequence[Sequence[Feature]]) -> list[set[object]]:
        checked = features if self.checks is None else self.checks(comparisons, features)
        return [{claim_of(feature) for feature in own if feature.valid} for own in checked]
