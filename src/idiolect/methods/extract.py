"""E: how the user's review differs from the representatives' (DRP, delta), asked of a model or measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal, NamedTuple

from idiolect.difference.claims.feature import FEATURES_SCHEMA, Comparison, Feature
from idiolect.difference.claims.parse import parse, unreadable
from idiolect.difference.claims.stylometric import FDR_LEVEL, MeasuredTexts, extract_measured
from idiolect.difference.claims.taxonomy import CATEGORIES, Category
from idiolect.difference.stylometry.english import are_english
from idiolect.methods.stages import About, Answer, Case, Portrait, Role, Standard
from idiolect.prompts.rendering import PromptConfig, render_comparison
from idiolect.types import Prompt, Review

Compare = Literal["joint", "pairwise"]
"""``joint``: one call an anchor, all representatives in it (the papers' programs). ``pairwise``: one call for each."""


class Draw(NamedTuple):
    """What E said once about a case."""

    answers: list[tuple[About, Answer]]
    """By what they are about."""
    features: list[Feature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Asks a model; every call of all samples is in one batch."""

    role: Role
    standard: Standard
    compare: Compare = "joint"
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        draws = iter(self.draw([case for portrait in portraits for case in portrait.cases]))
        return [_settled(portrait, list(islice(draws, len(portrait.cases)))) for portrait in portraits]

    def draw(self, cases: Sequence[Case], *, replicate: int = 0) -> list[Draw]:
        """What E says about each case in its ``replicate``-th independent draw."""
        questions = [self.questions(case) for case in cases]
        asked = [question for own in questions for question in own]
        answers = iter(self.role.ask(asked, schema=FEATURES_SCHEMA, replicate=replicate))
        return [self.read(case, list(islice(answers, len(own)))) for case, own in zip(cases, questions, strict=True)]

    def questions(self, case: Case) -> list[Prompt]:
        """What E is asked about a case, call by call."""
        return [self._question(case, others) for others in self._sides(case)]

    def read(self, case: Case, answers: Sequence[Answer]) -> Draw:
        """What the answers to a case's questions say, in their order."""
        own = case.own.id
        about = [About(own)] if self.compare == "joint" else [About(own, one.id) for one in case.others]
        read = [read_features(case, answer) for answer in answers]
        features = [
            feature if self.compare == "joint" else _credited(feature, place)
            for place, found in enumerate(read)
            for feature in found
        ]
        marked = [_marked(answer, found) for answer, found in zip(answers, read, strict=True)]
        return Draw(list(zip(about, marked, strict=True)), features)

    def _question(self, case: Case, others: Sequence[Review]) -> Prompt:
        return render_comparison(
            "extract",
            case.item,
            case.own,
            others,
            self.prompt,
            dimensions=self.standard.dimensions,
            open=self.standard.open,
            structured=self.role.structured,
        )

    def _sides(self, case: Case) -> list[tuple[Review, ...]]:
        """The representatives, call by call."""
        return [case.others] if self.compare == "joint" else [(other,) for other in case.others]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredExtraction:
    """Asks nobody: what stylometry is sure of, in texts that are English.

    Comparisons that are not are counted (``Prediction.not_measured``), and of them nothing is known.
    """

    categories: tuple[Category, ...] = CATEGORIES
    fdr_level: float = FDR_LEVEL

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        compared = _in_english(portraits)
        texts = MeasuredTexts(text for own in compared for one in own for text in (one.target, *one.peers))
        return [self._measured(portrait, own, texts) for portrait, own in zip(portraits, compared, strict=True)]

    def _measured(self, portrait: Portrait, own: Sequence[Comparison], texts: MeasuredTexts) -> Portrait:
        found = extract_measured(own, texts, categories=self.categories, fdr_level=self.fdr_level)
        portrait = replace(portrait, features=tuple(found))
        if not (left_out := len(portrait.cases) - len(own)):
            return portrait
        return replace(portrait, unheard=left_out, not_measured=left_out)


def _in_english(portraits: Sequence[Portrait]) -> list[list[Comparison]]:
    """Every user's comparisons of which the user's text and some of the others', if there are any, are English."""
    reviews = {one.id: one for portrait in portraits for case in portrait.cases for one in (case.own, *case.crowd)}
    told = are_english([one.text for one in reviews.values()], [one.user for one in reviews.values()])
    english = dict(zip(reviews, told.tolist(), strict=True))
    return [
        [
            replace(case.whole, peers=peers)
            for case in portrait.cases
            if english[case.own.id]
            and ((peers := tuple(one.text for one in case.crowd if english[one.id])) or not case.crowd)
        ]
        for portrait in portraits
    ]


def read_features(case: Case, answer: Answer) -> list[Feature]:
    """The features in an answer about a case; none where there is no answer, or where E saw nobody to compare with."""
    if answer.failure is not None or not answer.kept_entries:
        return []
    return parse(answer.text, comparison=case.own.id, truncated=answer.truncated)


def merged(features: Iterable[Feature]) -> list[Feature]:
    """Each claim once a comparison, with every quote that was given for it."""
    found: dict[object, Feature] = {}
    for feature in features:
        identity = (feature.comparison, claim_of(feature), feature.status)
        first = found.setdefault(identity, feature)
        found[identity] = replace(first, quotes=tuple(dict.fromkeys([*first.quotes, *feature.quotes])))
    return list(found.values())


def claim_of(feature: Feature) -> object:
    """What makes two features the same claim: the key of the taxonomy, or else the name."""
    return feature.key or " ".join(feature.name.lower().split())


def _settled(portrait: Portrait, draws: Sequence[Draw]) -> Portrait:
    answers = [answer for draw in draws for answer in draw.answers]
    features = tuple(feature for draw in draws for feature in draw.features)
    unheard = sum(answer.unheard for _, answer in answers)
    return portrait.heard("extract", answers, features=features, unheard=unheard)


def _marked(answer: Answer, features: Sequence[Feature]) -> Answer:
    """The answer with whether it could be read; where E saw nobody to compare with, nothing was looked for."""
    return answer.marked(unreadable=bool(answer.kept_entries) and unreadable(answer.text, features))


def _credited(feature: Feature, place: int) -> Feature:
    """Quotes of the only other that a pairwise call showed, credited to that representative."""
    quotes = (replace(quote, peer=place) if quote.side == "peer" else quote for quote in feature.quotes)
    return replace(feature, quotes=tuple(quotes))
