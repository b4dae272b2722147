"""What a method has found out about the user of one sample, from stage to stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from idiolect.context.base import Context
from idiolect.difference.language.feature import Feature
from idiolect.llm.usage import Usage
from idiolect.methods.comparison import Case
from idiolect.methods.roles import Answer
from idiolect.types import Prompt, ReviewId

UNREADABLE = "(unreadable)"
"""End of the name of the stage that counts a stage's answers that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """Grows from stage to stage; every stage returns a new one."""

    context: Context
    """The sample and the past reviews that S and G are shown (D_u* in DRP)."""
    cases: tuple[Case, ...] = ()
    compares: bool = False
    """Whether the method compares; without cases it then found nobody to compare with."""
    features: tuple[Feature, ...] = ()
    """Of all comparisons, with what became of each."""
    unheard: int = 0
    """Comparisons, or calls about them, of which it is not known whether they show a difference: the extractor gave no
    answer, or none that could be read."""
    profile: str = ""
    """How the user writes, in words for G."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """Every answer by stage and what it was about; thinking apart."""
    usage: Mapping[str, Usage] = field(default_factory=dict)

    def heard(self, stage: str, answers: Iterable[tuple[str, Answer]], **changes: Any) -> Portrait:
        """The portrait with labelled answers of a stage recorded, and other fields changed.

        Answers that could not be read are counted in ``STAGE (unreadable)``; ``STAGE (failure)`` says that no answer
        could be read, so that the method goes on without the stage.
        """
        told, took = dict(self.stages), [self.usage.get(stage, Usage())]
        heard = list(answers)
        for label, answer in heard:
            name = f"{stage} {label}".strip()
            told[name] = answer.shown
            if answer.thinking:
                told[f"{name} (thinking)"] = answer.thinking
            took.append(answer.usage)
        if unreadable := sum(answer.unreadable for _, answer in heard):
            told[f"{stage} {UNREADABLE}"] = f"unreadable: {unreadable} of {len(heard)} answers"
            if all(answer.unheard for _, answer in heard):
                told[f"{stage} (failure)"] = "no answer could be read"
        return replace(self, stages=told, usage={**self.usage, stage: Usage.total(took)}, **changes)

    def of(self, case: Case) -> list[Feature]:
        """The features that one comparison gave."""
        return [feature for feature in self.features if feature.comparison == case.own.id]

    @property
    def sources(self) -> tuple[ReviewId, ...]:
        """Every review that went into it, peers' included: what erasure has to know."""
        compared = [review.id for case in self.cases for review in (case.own, *case.crowd)]
        return tuple(dict.fromkeys([*(entry.review.id for entry in self.context.entries), *compared]))


Stage = Callable[[Sequence[Portrait]], list[Portrait]]
"""One step of a method for all samples at once: the same portraits, in order, with more in them."""


def portray(contexts: Sequence[Context], cases: Sequence[tuple[Case, ...]] | None = None) -> list[Portrait]:
    """Portraits in which nothing has been found out yet."""
    compared, compares = [()] * len(contexts) if cases is None else cases, cases is not None
    return [
        Portrait(context=context, cases=own, compares=compares, stages={"compared": _shown(own)} if own else {})
        for context, own in zip(contexts, compared, strict=True)
    ]


def made_from(prompt: Prompt, reviews: Iterable[ReviewId]) -> Prompt:
    """The prompt with the reviews that went into it."""
    return replace(prompt, sources=tuple(dict.fromkeys(reviews)))


def _shown(cases: Sequence[Case]) -> str:
    return "\n".join(f"{case.own.id} with {', '.join(other.id for other in case.others)}" for case in cases)
