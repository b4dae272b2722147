"""Validation: which claimed differences hold (DRP, delta'). Rules first, then a model, then a vote over comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.stylometric import POOLED, measure_comparisons
from idiolect.difference.claims.validate import (
    VERDICTS_SCHEMA,
    apply_verdicts,
    atomize,
    parse_verdicts,
    validate,
)
from idiolect.difference.claims.vote import vote
from idiolect.difference.stylometry.style_difference import LEVEL
from idiolect.methods.peer_comparison import PeerComparison
from idiolect.methods.roles import About, Answer, Role
from idiolect.methods.stages import ProfileState
from idiolect.prompts.rendering import PromptConfig, render_comparison
from idiolect.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Checks without a model: the five criteria, evidence, and measurements of the same item."""

    def __call__(
        self, comparisons: Sequence[PeerComparison], features: Sequence[Sequence[Feature]]
    ) -> list[list[Feature]]:
        """The checked features of every comparison; features that were measured are kept unchanged."""
        claimed = [[feature for feature in own if feature.status != "kept"] for own in features]
        wanted = [place for place, own in enumerate(claimed) if own]
        attributes = {unit.attribute for own in claimed for feature in own for unit in atomize(feature)}
        measured = measure_comparisons([comparisons[k].all_texts for k in wanted], level=LEVEL, attributes=attributes)
        known = dict(zip(wanted, measured, strict=True))
        return [
            [
                *(feature for feature in own if feature.status == "kept"),
                *validate(claimed[k], comparisons[k].visible_texts, measured=known.get(k, ())),
            ]
            for k, own in enumerate(features)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Checks, a validator model and a vote; each can be left out. Only claims that pass the checks cost a call."""

    role: Role | None = None
    """The validator; None: no model is asked."""
    checks: Checks | None = field(default_factory=Checks)
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        if self.checks is not None:
            states = self._checked(states, self.checks)
        if self.role is not None:
            states = self._judged(states, self.role)
        return [replace(state, features=_voted(state.features)) for state in states]

    def question(self, comparison: PeerComparison, features: Sequence[Feature], role: Role) -> Prompt:
        """The prompt about the claims of a comparison."""
        return render_comparison(
            "validate",
            comparison.item,
            comparison.own,
            comparison.representatives,
            self.prompt,
            claims=[f"[{feature.name}] {feature.description}" for feature in features],
            structured=role.structured,
        )

    def _checked(self, states: Sequence[ProfileState], checks: Checks) -> list[ProfileState]:
        comparisons = [comparison for state in states for comparison in state.comparisons]
        found = iter(
            checks(comparisons, [state.of(comparison) for state in states for comparison in state.comparisons])
        )
        return [_with_checked(state, islice(found, len(state.comparisons))) for state in states]

    def _judged(self, states: Sequence[ProfileState], role: Role) -> list[ProfileState]:
        """One call for every comparison with valid claims."""
        to_judge = [
            [
                (comparison, claims)
                for comparison in state.comparisons
                if (claims := [one for one in state.of(comparison) if one.valid])
            ]
            for state in states
        ]
        questions = [self.question(comparison, claims, role) for own in to_judge for comparison, claims in own]
        answers = iter(role.ask(questions, schema=VERDICTS_SCHEMA))
        return [
            _apply_answers(state, own, list(islice(answers, len(own))))
            for state, own in zip(states, to_judge, strict=True)
        ]


def _apply_answers(
    state: ProfileState, judged: Sequence[tuple[PeerComparison, list[Feature]]], answers: Sequence[Answer]
) -> ProfileState:
    """Apply the validator's answers; without a readable answer the claims stay unchanged."""
    read = [parse_verdicts(answer.text, len(claims)) for (_, claims), answer in zip(judged, answers, strict=True)]
    verdicts: dict[str, Iterator[Feature]] = {
        comparison.own.id: iter(apply_verdicts(claims, said))
        for (comparison, claims), said in zip(judged, read, strict=True)
    }
    features = tuple(
        next(verdicts[one.comparison]) if one.valid and one.comparison in verdicts else one for one in state.features
    )
    labelled = [
        (About(comparison.own.id), answer.marked(unreadable=not said))
        for (comparison, _), answer, said in zip(judged, answers, read, strict=True)
    ]
    return state.record_responses("validate", labelled, features=features)


def _with_checked(state: ProfileState, found: islice[list[Feature]]) -> ProfileState:
    pooled = [feature for feature in state.features if feature.comparison == POOLED]
    return replace(state, features=(*(feature for own in found for feature in own), *pooled))


_MIN_SUPPORT = 1
"""Comparisons that must agree: the papers keep what one comparison shows, so only what other comparisons of the user
contradict is dropped."""


def _voted(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Vote on the features of single comparisons; pooled measurements need no vote."""
    single = [feature for feature in features if feature.comparison != POOLED]
    return (*vote(single, min_support=_MIN_SUPPORT), *(one for one in features if one.comparison == POOLED))
