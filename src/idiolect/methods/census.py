"""What the draws for one sample have shown so far, what is worth asking next, and why it ended.

Each draw is a sampling unit of a census: the share of differences that only one draw has shown tells how many the next
would add (Good-Turing; for incidence data Chao and Colwell 2017).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from idiolect.difference.language.feature import Feature
from idiolect.llm.usage import Usage, price_of
from idiolect.methods.allowance import AdaptiveConfig, Allowance, Need
from idiolect.methods.comparison import Case
from idiolect.methods.curve import CURVE, Point, write_curve
from idiolect.methods.extraction import Draw, Extraction, merged
from idiolect.methods.portrait import Portrait
from idiolect.methods.roles import Answer
from idiolect.types import Prompt

END = "extract (end)"
"""The stage under which a prediction says why no further call was made."""


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
        self._answers: list[tuple[str, Answer]] = []
        self._used = self._counted = Usage()
        self._curve: list[Point] = []
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
        again = f" #{replicate + 1}" if replicate else ""
        self._answers += [(f"{label}{again}", answer) for label, answer in draw.answers]
        self._features += draw.features
        self._sightings.update(claims)
        once = sum(sightings == 1 for sightings in self._sightings.values())
        took = self._counted = Usage.total([self._counted, *(answer.usage for _, answer in draw.answers)])
        self._curve.append(
            Point(
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
        found = self._portrait.heard("extract", self._answers, features=features, unheard=unheard)
        return replace(found, stages={**found.stages, CURVE: write_curve(self._curve), END: self._end})

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
