"""Extraction: how the user's review differs from the representatives' reviews (DRP, delta).

``Extraction`` asks a language model, ``MeasuredExtraction`` uses the stylometric extractor and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal, NamedTuple

from idiolect.difference.claims.feature import FEATURES_SCHEMA, Comparison, Feature
from idiolect.difference.claims.parse import parse, unreadable
from idiolect.difference.claims.stylometric import MeasuredTexts, extract_measured
from idiolect.difference.claims.taxonomy import CATEGORIES, Category
from idiolect.difference.stylometry.english import are_english
from idiolect.methods.peer_comparison import PeerComparison, Standard
from idiolect.methods.roles import About, Answer, Role
from idiolect.methods.stages import ProfileState
from idiolect.prompts.rendering import PromptConfig, render_comparison
from idiolect.types import Prompt, Review

Compare = Literal["joint", "pairwise"]
"""``joint``: one call per anchor with all representatives (the papers' programs). ``pairwise``: one call for each."""


class Draw(NamedTuple):
    """The extractor's answers about one comparison, and the features in them."""

    answers: list[tuple[About, Answer]]
    """Each with the question it answers."""
    features: list[Feature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Asks a language model; the calls of all samples are one batch."""

    role: Role
    standard: Standard
    compare: Compare = "joint"
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        draws = iter(self.draw([comparison for state in states for comparison in state.comparisons]))
        return [_settled(state, list(islice(draws, len(state.comparisons)))) for state in states]

    def draw(self, comparisons: Sequence[PeerComparison], *, replicate: int = 0) -> list[Draw]:
        """The ``replicate``-th independent draw for every comparison."""
        questions = [self.questions(comparison) for comparison in comparisons]
        asked = [question for own in questions for question in own]
        answers = iter(self.role.ask(asked, schema=FEATURES_SCHEMA, replicate=replicate))
        return [
            self.read(comparison, list(islice(answers, len(own))))
            for comparison, own in zip(comparisons, questions, strict=True)
        ]

    def questions(self, comparison: PeerComparison) -> list[Prompt]:
        """The prompts about a comparison, one per call."""
        return [self._question(comparison, others) for others in self._sides(comparison)]

    def read(self, comparison: PeerComparison, answers: Sequence[Answer]) -> Draw:
        """Parse the answers to the prompts of ``questions``, in their order."""
        own = comparison.own.id
        about = [About(own)] if self.compare == "joint" else [About(own, one.id) for one in comparison.representatives]
        read = [read_features(comparison, answer) for answer in answers]
        features = [
            feature if self.compare == "joint" else _credited(feature, place)
            for place, found in enumerate(read)
            for feature in found
        ]
        marked = [_marked(answer, found) for answer, found in zip(answers, read, strict=True)]
        return Draw(list(zip(about, marked, strict=True)), features)

    def _question(self, comparison: PeerComparison, others: Sequence[Review]) -> Prompt:
        return render_comparison(
            "extract",
            comparison.item,
            comparison.own,
            others,
            self.prompt,
            dimensions=self.standard.dimensions,
            open=self.standard.open,
            structured=self.role.structured,
        )

    def _sides(self, comparison: PeerComparison) -> list[tuple[Review, ...]]:
        """The representatives of each call."""
        return (
            [comparison.representatives]
            if self.compare == "joint"
            else [(other,) for other in comparison.representatives]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredExtraction:
    """Significant stylometric differences in English texts, without a model.

    Comparisons in other languages are counted (``Prediction.not_measured``) and give no difference.
    """

    categories: tuple[Category, ...] = CATEGORIES

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        compared = _in_english(states)
        texts = MeasuredTexts(text for own in compared for one in own for text in (one.target, *one.peers))
        return [self._measured(state, own, texts) for state, own in zip(states, compared, strict=True)]

    def _measured(self, state: ProfileState, own: Sequence[Comparison], texts: MeasuredTexts) -> ProfileState:
        found = extract_measured(own, texts, categories=self.categories)
        state = replace(state, features=tuple(found))
        if not (left_out := len(state.comparisons) - len(own)):
            return state
        return replace(state, unanswered=left_out, not_measured=left_out)


def _in_english(states: Sequence[ProfileState]) -> list[list[Comparison]]:
    """Per state, the comparisons whose own text is English, without peers' texts that are not.

    A comparison that had peers and keeps none is left out.
    """
    reviews = {
        one.id: one
        for state in states
        for comparison in state.comparisons
        for one in (comparison.own, *comparison.all_peers)
    }
    found = are_english([one.text for one in reviews.values()], [one.user for one in reviews.values()])
    english = dict(zip(reviews, found.tolist(), strict=True))
    return [
        [
            replace(comparison.all_texts, peers=peers)
            for comparison in state.comparisons
            if english[comparison.own.id]
            and (
                (peers := tuple(one.text for one in comparison.all_peers if english[one.id]))
                or not comparison.all_peers
            )
        ]
        for state in states
    ]


def read_features(comparison: PeerComparison, answer: Answer) -> list[Feature]:
    """The features in an answer; empty if there is no answer, or if no representative fitted the prompt."""
    if answer.failure is not None or not answer.kept_entries:
        return []
    return parse(answer.text, comparison=comparison.own.id, truncated=answer.truncated)


def merged(features: Iterable[Feature]) -> list[Feature]:
    """Each claim once per comparison, with all quotes given for it."""
    found: dict[object, Feature] = {}
    for feature in features:
        identity = (feature.comparison, claim_of(feature), feature.status)
        first = found.setdefault(identity, feature)
        found[identity] = replace(first, quotes=tuple(dict.fromkeys([*first.quotes, *feature.quotes])))
    return list(found.values())


def claim_of(feature: Feature) -> object:
    """Identity of a claim: the key of the taxonomy, else the name."""
    return feature.key or " ".join(feature.name.lower().split())


def _settled(state: ProfileState, draws: Sequence[Draw]) -> ProfileState:
    answers = [answer for draw in draws for answer in draw.answers]
    features = tuple(feature for draw in draws for feature in draw.features)
    unanswered = sum(answer.unanswered for _, answer in answers)
    return state.record_responses("extract", answers, features=features, unanswered=unanswered)


def _marked(answer: Answer, features: Sequence[Feature]) -> Answer:
    """The answer, marked if it could not be read; not if no representative fitted the prompt."""
    return answer.marked(unreadable=bool(answer.kept_entries) and unreadable(answer.text, features))


def _credited(feature: Feature, place: int) -> Feature:
    """The feature with its peer quotes credited to the representative of a pairwise call."""
    quotes = (replace(quote, peer=place) if quote.side == "peer" else quote for quote in feature.quotes)
    return replace(feature, quotes=tuple(quotes))
