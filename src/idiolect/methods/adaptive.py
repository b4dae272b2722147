"""What further calls of an extractor bring: quality against cost, of one sample and in the mean of many.

What extraction may cost a sample, and whether the next calls are sure to stay within it.

What the draws for one sample have shown so far, what is worth asking next, and why it ended.

Each draw is a sampling unit of a census: the share of differences that only one draw has shown tells how many the next
would add (Good-Turing; for incidence data Chao and Colwell 2017).

Extraction that goes on while it pays: the papers' open question of how many calls a user's differences are worth.

Calls go through the anchors, best first, and then through them again as further independent draws. The result comes
with its curve of quality against cost, and with why it ended.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.feature import FEATURES_SCHEMA, Feature
from idiolect.errors import ConfigError
from idiolect.llm.base import Price, Usage, price_of
from idiolect.methods.extract import Draw, Extraction, claim_of, merged
from idiolect.methods.stages import About, Answer, Case, Portrait
from idiolect.methods.validate import Checks
from idiolect.types import Curve, CurvePoint, Prompt

_NOTHING = CurvePoint(calls=0, tokens=0, cost=0, found=0, expected=0)


def average_curve(curves: Sequence[Sequence[CurvePoint]]) -> list[CurvePoint]:
    """The mean curve of all samples, draw by draw; none where none of them has one.

    A sample that has stopped stays where it is, at its own cost; one with nothing to compare counts with nothing found
    and nothing spent.
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


# Fewer than in English prose, so that what is reserved is rather too much.
_CHARS_PER_TOKEN = 2
_SCHEMA_TOKENS = len(json.dumps(FEATURES_SCHEMA)) // _CHARS_PER_TOKEN


class AdaptiveConfig(Config):
    """When extraction stops; budgets are a sample's and hold for E alone.

    What a call may take at most is reserved before it is made, so no budget is passed; only requests that an endpoint
    bills without an answer, and that are made again, come on top.
    """

    threshold: float = Field(default=0.25, ge=0)
    """Expected new valid unique differences a call below which no further call is made."""
    first: int = Field(default=3, ge=2)
    """Calls before the first estimate, made at once."""
    max_calls: int = Field(default=16, ge=1)
    """Never more calls than this, those included in which thinking that did not end is asked for again."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Never more tokens, prompts and answers together."""
    max_cost: float | None = Field(default=None, gt=0)
    """Never more money, in the currency of the endpoint's ``price``, which must then be set."""


class Need(NamedTuple):
    """What calls may take at most."""

    calls: int
    prompt_tokens: int
    new_tokens: int

    @classmethod
    def of(cls, prompts: Sequence[Prompt], new_tokens: int, *, structured: bool) -> Need:
        """Of one call a prompt, by a cautious count.

        Args:
            prompts: What is asked.
            new_tokens: Of an answer, at most.
            structured: Whether answers are held to the schema, which endpoints count as part of the prompt.
        """
        texts = [message.text for prompt in prompts for message in prompt.messages]
        schema = _SCHEMA_TOKENS if structured else 0
        return cls(len(prompts), sum(map(_tokens, texts)) + schema * len(prompts), new_tokens * len(prompts))


class Allowance:
    """What is left of a sample's budgets.

    Args:
        config: The budgets.
        price: What the endpoint charges; None: nothing is known of it, and ``max_cost`` is not held.
    """

    def __init__(self, config: AdaptiveConfig, price: Price | None) -> None:
        self._config, self._price = config, price or Price()

    def covers(self, used: Usage, needs: Iterable[Need]) -> bool:
        """Whether ``needs`` stay within every budget after what was used, whatever the answers are."""
        calls, prompt, new = (sum(column) for column in zip(Need(0, 0, 0), *needs, strict=True))
        tokens = used.prompt_tokens + used.completion_tokens + prompt + new
        return (
            used.calls + calls <= self._config.max_calls
            and (self._config.max_tokens is None or tokens <= self._config.max_tokens)
            and (self._config.max_cost is None or used.cost + self._price.of(prompt, new) <= self._config.max_cost)
        )


def _tokens(text: str) -> int:
    """More than a tokenizer would find: a byte a token where a script is none of the common one's."""
    return len(text) // _CHARS_PER_TOKEN + len(text.encode("utf-8", "replace")) - len(text)


class Question(NamedTuple):
    """One call that is wanted."""

    draw: int
    """Which draw of its census it belongs to."""
    place: int
    """Which of the draw's calls it is."""
    prompt: Prompt
    replicate: int
    new_tokens: int


@dataclass(slots=True)
class _Open:
    """A draw that is under way: its calls, those answered so far, and what an answer may take next time."""

    case: Case
    replicate: int
    prompts: list[Prompt]
    answers: dict[int, Answer]
    new_tokens: int

    @property
    def unanswered(self) -> list[int]:
        """Places of the calls that are to be made (again)."""
        return [k for k in range(len(self.prompts)) if k not in self.answers or self.answers[k].unfinished]


class Census:
    """One sample's.

    Args:
        portrait: With the comparisons.
        config: When it ends.
        once: How a draw is made.
    """

    def __init__(self, portrait: Portrait, config: AdaptiveConfig, once: Extraction) -> None:
        self._portrait, self._config, self._once = portrait, config, once
        self._allowance = Allowance(config, price_of(once.role.llm))
        self._open: list[_Open] = []
        self._sightings: Counter[object] = Counter()
        self._features: list[Feature] = []
        self._answers: list[tuple[About, Answer]] = []
        self._used = self._counted = Usage()
        self._curve: list[CurvePoint] = []
        self._end = ""

    def wanted(self) -> list[Question]:
        """The next calls that are worth making and can be paid for; none when it has ended."""
        if not self._open:
            self._open = self._worthwhile()
        return [
            Question(place, k, draw.prompts[k], draw.replicate, draw.new_tokens)
            for place, draw in enumerate(self._open)
            for k in draw.unanswered
        ]

    def hear(self, question: Question, answer: Answer) -> None:
        """Take the answer to a wanted call."""
        answers = self._open[question.draw].answers
        self._used += answer.usage
        before = answers.get(question.place, Answer())
        answers[question.place] = replace(
            answer, usage=before.usage + answer.usage, thinking=answer.thinking or before.thinking
        )

    def finished(self) -> list[tuple[Case, int, Draw]]:
        """The draws that all answers are there for, each with its case and replicate; they are no longer under way.

        Thinking that did not end is asked for again with twice the tokens, up to the role's limit, where that can be
        paid for; else it stays a failed call.
        """
        again: list[_Open] = []
        done: list[_Open] = []
        for draw in self._open:
            (again if self._grants_more(draw, again) else done).append(draw)
        self._open = again
        return [
            (draw.case, draw.replicate, self._once.read(draw.case, [draw.answers[k] for k in sorted(draw.answers)]))
            for draw in done
        ]

    def add(self, replicate: int, draw: Draw, claims: Collection[object]) -> None:
        """Count what a finished draw has shown."""
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

    def portrait(self) -> Portrait:
        """The portrait with everything that was found, each claim once a comparison."""
        unheard = sum(answer.unheard for _, answer in self._answers)
        features = tuple(merged(self._features))
        curve = Curve(points=tuple(self._curve), end=self._end)
        return self._portrait.heard("extract", self._answers, features=features, unheard=unheard, curve=curve)

    def _grants_more(self, draw: _Open, granted: Collection[_Open]) -> bool:
        """Whether a draw's unfinished thoughts may go on, beside those granted; if so, with twice the tokens."""
        limit = self._once.role.thinking_limit
        if not draw.unanswered or draw.new_tokens >= limit:
            return False
        before, draw.new_tokens = draw.new_tokens, min(2 * draw.new_tokens, limit)
        if self._allowance.covers(self._used, [self._need(one) for one in (*granted, draw)]):
            return True
        draw.new_tokens = before
        return False

    def _worthwhile(self) -> list[_Open]:
        """New draws: the first few at once, then one at a time while it pays."""
        cases, made = self._portrait.cases, len(self._curve)
        if not cases:
            return self._ended("there is nothing to compare")
        if made and self._curve[-1].expected < self._config.threshold:
            return self._ended("the next call is expected to add less than the threshold")
        several = range(made, made + (1 if made else self._config.first))
        # A greedy model says the same again, for the same money.
        fresh = [k for k in several if k < len(cases) or self._once.role.params.temperature > 0]
        if not fresh:
            return self._ended("a greedy model was asked about every comparison: further draws would be copies")
        coming = [self._draw(cases[k % len(cases)], k // len(cases)) for k in fresh]
        while coming and not self._allowance.covers(self._used, map(self._need, coming)):
            coming.pop()
        return coming or self._ended("the budget does not cover another call")

    def _draw(self, case: Case, replicate: int) -> _Open:
        return _Open(case, replicate, self._once.questions(case), {}, self._once.role.params.max_new_tokens)

    def _need(self, draw: _Open) -> Need:
        asked = [draw.prompts[k] for k in draw.unanswered]
        return Need.of(asked, draw.new_tokens, structured=self._once.role.structured)

    def _ended(self, why: str) -> list[_Open]:
        self._end = why
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveExtraction:
    """Draws in rounds; each round asks the next calls of every sample that is still worth some, in one batch.

    A call that gave no answer counts as a call that found nothing.

    Raises:
        ConfigError: Money is bounded and nothing is known of what a call costs.
    """

    once: Extraction
    checks: Checks | None = field(default_factory=Checks)
    """What makes a difference valid while counting."""
    config: AdaptiveConfig = field(default_factory=AdaptiveConfig)

    def __post_init__(self) -> None:
        if self.config.max_cost is not None and price_of(self.once.role.llm) is None:
            raise ConfigError(
                f"adaptive.max_cost bounds money, and {self.once.role.llm.name} has no price",
                hint="set the extractor's endpoint.price, or bound max_calls or max_tokens instead",
            )

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``; the curve is recorded, too."""
        censuses = [Census(portrait, self.config, self.once) for portrait in portraits]
        while wanted := [(census, question) for census in censuses for question in census.wanted()]:
            for (census, question), answer in zip(wanted, self._ask([one for _, one in wanted]), strict=True):
                census.hear(question, answer)
            self._count(censuses)
        return [census.portrait() for census in censuses]

    def _ask(self, wanted: Sequence[Question]) -> list[Answer]:
        """An answer each, in order; calls that are made in the same way go together."""
        answers: dict[int, Answer] = {}
        role = self.once.role
        for replicate, new_tokens in sorted({(one.replicate, one.new_tokens) for one in wanted}):
            places = [k for k, one in enumerate(wanted) if (one.replicate, one.new_tokens) == (replicate, new_tokens)]
            # Whether thinking goes on is for the census to decide, which knows the budget.
            params = role.params.model_copy(update={"max_new_tokens": new_tokens})
            asked = replace(role, params=params, thinking_limit=1)
            found = asked.ask([wanted[k].prompt for k in places], schema=FEATURES_SCHEMA, replicate=replicate)
            answers |= dict(zip(places, found, strict=True))
        return [answers[k] for k in range(len(wanted))]

    def _count(self, censuses: Sequence[Census]) -> None:
        """Every finished draw, its claims checked; all of a round together."""
        draws = [(census, *one) for census in censuses for one in census.finished()]
        valid = self._valid([case for _, case, _, _ in draws], [draw.features for *_, draw in draws])
        for (census, _, replicate, draw), claims in zip(draws, valid, strict=True):
            census.add(replicate, draw, claims)

    def _valid(self, cases: Sequence[Case], features: Sequence[Sequence[Feature]]) -> list[set[object]]:
        checked = features if self.checks is None else self.checks(cases, features)
        return [{claim_of(feature) for feature in own if feature.valid} for own in checked]
