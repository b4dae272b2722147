"""V: which claimed differences hold (DRP, delta'): checks that cost no call, then a model, then the user's own vote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.stylometric import POOLED, measure_comparisons
from idiolect.difference.claims.validate import (
    VERDICTS_SCHEMA,
    ValidationConfig,
    apply_verdicts,
    atomize,
    parse_verdicts,
    validate,
)
from idiolect.difference.claims.vote import vote
from idiolect.difference.stylometry.style_difference import LEVEL
from idiolect.methods.stages import About, Answer, Case, Portrait, Role
from idiolect.prompts.rendering import PromptConfig, render_comparison
from idiolect.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What costs no call: the five criteria, quotes, and claims held against what is measured of the same item."""

    config: ValidationConfig = field(default_factory=ValidationConfig)
    level: float = LEVEL
    """Coverage of the measured intervals."""

    def __call__(self, cases: Sequence[Case], features: Sequence[Sequence[Feature]]) -> list[list[Feature]]:
        """The features of every case, checked; what was measured in the first place is kept as it is."""
        claimed = [[feature for feature in own if feature.status != "kept"] for own in features]
        wanted = [place for place, own in enumerate(claimed) if own]
        attributes = {unit.attribute for own in claimed for feature in own for unit in atomize(feature)}
        measured = measure_comparisons([cases[k].whole for k in wanted], level=self.level, attributes=attributes)
        known = dict(zip(wanted, measured, strict=True))
        return [
            [
                *(feature for feature in own if feature.status == "kept"),
                *validate(claimed[k], cases[k].shown, measured=known.get(k, ()), config=self.config),
            ]
            for k, own in enumerate(features)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Checks, judges and votes; each can be left out. Only what survives is worth a call."""

    role: Role | None = None
    """V; None: no model is asked."""
    checks: Checks | None = field(default_factory=Checks)
    min_support: int = 1
    """Comparisons that must agree; 1 drops only what the user's other comparisons contradict."""
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        if self.checks is not None:
            portraits = self._checked(portraits, self.checks)
        if self.role is not None:
            portraits = self._judged(portraits, self.role)
        return [replace(portrait, features=_voted(portrait.features, self.min_support)) for portrait in portraits]

    def question(self, case: Case, features: Sequence[Feature], role: Role) -> Prompt:
        """What V is asked about the claims of a case."""
        return render_comparison(
            "validate",
            case.item,
            case.own,
            case.others,
            self.prompt,
            claims=[f"[{feature.name}] {feature.description}" for feature in features],
            structured=role.structured,
        )

    def _checked(self, portraits: Sequence[Portrait], checks: Checks) -> list[Portrait]:
        cases = [case for portrait in portraits for case in portrait.cases]
        found = iter(checks(cases, [portrait.of(case) for portrait in portraits for case in portrait.cases]))
        return [_with(portrait, islice(found, len(portrait.cases))) for portrait in portraits]

    def _judged(self, portraits: Sequence[Portrait], role: Role) -> list[Portrait]:
        """One call for every case with something left to judge."""
        open_cases = [
            [(case, claims) for case in portrait.cases if (claims := [one for one in portrait.of(case) if one.valid])]
            for portrait in portraits
        ]
        questions = [self.question(case, claims, role) for own in open_cases for case, claims in own]
        answers = iter(role.ask(questions, schema=VERDICTS_SCHEMA))
        return [
            _told(portrait, own, list(islice(answers, len(own))))
            for portrait, own in zip(portraits, open_cases, strict=True)
        ]


def _told(portrait: Portrait, judged: Sequence[tuple[Case, list[Feature]]], answers: Sequence[Answer]) -> Portrait:
    """The portrait after V's answers; where V gave none, or none that can be read, the claims stay as they were."""
    read = [parse_verdicts(answer.text, len(claims)) for (_, claims), answer in zip(judged, answers, strict=True)]
    verdicts: dict[str, Iterator[Feature]] = {
        case.own.id: iter(apply_verdicts(claims, said)) for (case, claims), said in zip(judged, read, strict=True)
    }
    features = tuple(
        next(verdicts[one.comparison]) if one.valid and one.comparison in verdicts else one for one in portrait.features
    )
    labelled = [
        (About(case.own.id), answer.marked(unreadable=not said))
        for (case, _), answer, said in zip(judged, answers, read, strict=True)
    ]
    return portrait.heard("validate", labelled, features=features)


def _with(portrait: Portrait, found: islice[list[Feature]]) -> Portrait:
    pooled = [feature for feature in portrait.features if feature.comparison == POOLED]
    return replace(portrait, features=(*(feature for own in found for feature in own), *pooled))


def _voted(features: Sequence[Feature], min_support: int) -> tuple[Feature, ...]:
    """What was measured over all comparisons needs no vote of theirs."""
    single = [feature for feature in features if feature.comparison != POOLED]
    return (*vote(single, min_support=min_support), *(one for one in features if one.comparison == POOLED))
