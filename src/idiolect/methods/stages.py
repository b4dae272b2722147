"""Profile state: what a method knows about the user of one sample, passed from stage to stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from idiolect.context import Context
from idiolect.difference.claims.feature import Feature
from idiolect.llm.base import Usage
from idiolect.methods.peer_comparison import PeerComparison
from idiolect.methods.roles import About, Answer
from idiolect.types import ComparedReview, Curve, ReviewId, StageResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfileState:
    """Everything known about one sample's user; every stage returns a new state with more in it."""

    context: Context
    """The sample and the past reviews that summarizer and generator read (D_u* in DRP)."""
    comparisons: tuple[PeerComparison, ...] = ()
    compares: bool = False
    """Whether the method compares users; if so and there are no comparisons, it found no peers."""
    features: tuple[Feature, ...] = ()
    """The claimed differences of all comparisons, each with its status."""
    unanswered: int = 0
    """Comparisons, or calls about them, without a readable answer: whether they show a difference is not known."""
    profile: str = ""
    """How the user writes, in words for the generator."""
    stages: tuple[StageResult, ...] = ()
    """Every answer so far."""
    not_measured: int = 0
    """Comparisons that were left out because their texts are not in English."""
    curve: Curve | None = None
    """Quality against cost, if extraction is adaptive."""
    usage: Mapping[str, Usage] = field(default_factory=dict)

    def record_responses(self, stage: str, answers: Iterable[tuple[About, Answer]], **changes: Any) -> ProfileState:
        """The state with the answers of a stage recorded, and other fields changed."""
        responses = list(answers)
        took = Usage.total([self.usage.get(stage, Usage()), *(answer.usage for _, answer in responses)])
        results = [answer.result(stage, about) for about, answer in responses]
        return replace(self, stages=(*self.stages, *results), usage={**self.usage, stage: took}, **changes)

    @property
    def compared(self) -> tuple[ComparedReview, ...]:
        """The compared reviews, by id."""
        return tuple(
            ComparedReview(review=comparison.own.id, others=tuple(other.id for other in comparison.representatives))
            for comparison in self.comparisons
        )

    def of(self, comparison: PeerComparison) -> list[Feature]:
        """The features of one comparison."""
        return [feature for feature in self.features if feature.comparison == comparison.own.id]

    @property
    def sources(self) -> tuple[ReviewId, ...]:
        """Every review that was used, peers' included. Erasure needs it."""
        compared = [review.id for comparison in self.comparisons for review in (comparison.own, *comparison.all_peers)]
        return tuple(dict.fromkeys([*(entry.review.id for entry in self.context.entries), *compared]))


Stage = Callable[[Sequence[ProfileState]], list[ProfileState]]
"""One step of a method, for all samples at once: returns the states in the same order, with more in them."""


def initial_states(
    contexts: Sequence[Context], comparisons: Sequence[tuple[PeerComparison, ...]] | None = None
) -> list[ProfileState]:
    """The states before the first stage; ``comparisons`` is None for methods that do not compare."""
    compared, compares = [()] * len(contexts) if comparisons is None else comparisons, comparisons is not None
    return [
        ProfileState(context=context, comparisons=own, compares=compares)
        for context, own in zip(contexts, compared, strict=True)
    ]
