"""Summary and generation: valid differences become a profile (DRP, s), and the profile a review (DRP, y).

The summarizer is a model or a template. It never reads peers' texts or quotes: only past reviews of the user and valid
claims, from which every phrase that was copied from a compared text is redacted (``difference.claims.evidence``). No
setting switches the redaction off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from idiolect.difference.claims import lenient_json as lenient
from idiolect.difference.claims.evidence import redact_features
from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.parse import write_blocks
from idiolect.difference.claims.stylometric import Norms
from idiolect.difference.claims.vote import NOT_DISTINGUISHABLE, UNKNOWN, verbalise
from idiolect.difference.stylometry.english import are_english
from idiolect.llm.base import Usage, remarks
from idiolect.methods.base import visible_prompt
from idiolect.methods.peer_comparison import PeerComparison
from idiolect.methods.roles import About, Answer, Role
from idiolect.methods.stages import ProfileState
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import PeerScope, Prediction, Prompt

DifferencesAs = Literal["blocks", "sentence"]
"""How the summarizer reads the differences of an item: the papers' blocks, or a sentence of the taxonomy's phrases."""

PROFILE_CHARS = 1500
"""Some 300 tokens: the summarizer is asked for one short paragraph."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"”'’)\]*_]*(?=\s)")
_SUMMARY_LABEL = re.compile(r"[\s*_#]*\[?summary\]?[*_]*\s*:[*_]*\s*", re.IGNORECASE)

_REVIEW_LABEL = re.compile(r"[\s*_#]*\[review\][*_]*\s*:[*_]*\s*", re.IGNORECASE)
_FENCED = re.compile(r"\A```\w*[^\S\n]*\n(.*?)\n?```\Z", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_KEYS = ("summary", "profile", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Asks a model for a profile, from differences and past reviews, or from past reviews alone."""

    role: Role
    differences_as: DifferencesAs = "blocks"
    profile_chars: int = PROFILE_CHARS
    """Longest profile; a longer answer is cut after a sentence."""
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        asked = [k for k, one in enumerate(states) if one.context.entries or self._compared(one)]
        answers = dict(zip(asked, self.role.ask([self.question(states[k]) for k in asked]), strict=True))
        return [
            self._read(state, answers[k]) if k in answers else replace(state, profile=_nothing(state))
            for k, state in enumerate(states)
        ]

    def question(self, state: ProfileState) -> Prompt:
        """The prompt about a user."""
        prompt = render("summarize", state.context, self.prompt, compared=self._compared(state))
        return replace(prompt, sources=state.sources)

    def _compared(self, state: ProfileState) -> list[dict[str, object]]:
        """Every compared item with valid differences, and these in words."""
        found = [(comparison, [one for one in state.of(comparison) if one.valid]) for comparison in state.comparisons]
        described = [(comparison, self._in_words(comparison, features)) for comparison, features in found if features]
        return [{"item": comparison.item, "differences": words} for comparison, words in described if words]

    def _in_words(self, comparison: PeerComparison, features: Sequence[Feature]) -> str:
        """The differences of a comparison in words; empty if nothing is left after redaction."""
        if self.differences_as == "sentence":
            return verbalise(features)
        own = redact_features(
            features, [part for one in (comparison.own, *comparison.representatives) for part in (one.title, one.text)]
        )
        return "\n" + write_blocks(own, quotes=False) if own else ""

    def _read(self, state: ProfileState, answer: Answer) -> ProfileState:
        """The state with the profile in an answer; a template's, if the answer cannot be read."""
        read = read_summary(answer.text)
        answer = answer.marked(unreadable=not read)
        whole = read or verbalise(state.features, nothing=_nothing(state))
        kept = shortened(whole, self.profile_chars)
        state = state.record_responses("summarize", [(About(), answer)], profile=kept)
        if kept == whole:
            return state
        note = f"{len(kept)} of {len(whole)} characters are given to the writer (profile_chars)"
        last = state.stages[-1]
        return replace(state, stages=(*state.stages[:-1], replace(last, notes=(*last.notes, note))))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSummary:
    """The valid differences in one sentence by template, without a model."""

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        return [_profiled(state, state.features) for state in states]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummary:
    """Significant differences of the past reviews from the average style, by template (PAG without a model)."""

    norms: Norms | None
    """Average style; None: no difference is found."""

    def __call__(self, states: Sequence[ProfileState]) -> list[ProfileState]:
        """See ``stages.Stage``."""
        return [self._compare(state) for state in states]

    def _compare(self, state: ProfileState) -> ProfileState:
        own = [entry.review.text for entry in state.context.entries]
        found = self.norms.differences(own) if self.norms else []
        left_out = int((~are_english(own, [0] * len(own))).sum())
        return _profiled(replace(state, unanswered=state.unanswered + left_out), found)


def read_summary(text: str) -> str:
    """The profile in a summarizer's answer, without label, code block or JSON around it; empty if there are no words.

    Example:
        >>> read_summary('{"summary": "Writes warmly."}'), read_summary("[Summary]: ...")
        ('Writes warmly.', '')
    """
    said = _FENCED.sub(r"\1", text.strip())
    if said[:1] in ("{", "["):
        named = next(lenient.objects(lenient.read_values(said), *_KEYS), ("", {}))[1]
        texts = [one for key, one in named.items() if lenient.plain_key(key) in _KEYS and isinstance(one, str)]
        said = texts[0] if texts else said
    said = (_SUMMARY_LABEL.sub("", said, count=1) if _SUMMARY_LABEL.match(said) else said).strip()
    return lenient.whole(said) if _LETTER.search(said) else ""


def shortened(text: str, most: int) -> str:
    """The whole sentences of ``text`` that fit ``most`` characters; words, if not even the first sentence fits."""
    if len(text) <= most:
        return text
    ends = [end.end() for end in _SENTENCE_END.finditer(text, 0, most + 1)]
    return text[: ends[-1]] if ends else text[: most + 1].rpartition(" ")[0].rstrip() or text[:most]


def _profiled(state: ProfileState, features: Sequence[Feature]) -> ProfileState:
    profile = verbalise(features, nothing=_nothing(state))
    return replace(state, features=tuple(features), profile=profile)


def _nothing(state: ProfileState) -> str:
    """The profile without differences; it states that there are none only if every comparison was answered."""
    return UNKNOWN if state.unanswered else NOT_DISTINGUISHABLE


def final_prompts(template: str, states: Sequence[ProfileState], config: PromptConfig) -> list[Prompt]:
    """The generator's prompt of every sample."""
    return [render(template, state.context, config, sources=state.sources, profile=state.profile) for state in states]


def write_profiled(
    name: str, role: Role, states: Sequence[ProfileState], prompts: Sequence[Prompt]
) -> list[Prediction]:
    """One prediction per sample; without an answer the text is empty and ``failure`` is the reason."""
    answers = role.ask(prompts)
    return [_prediction(name, *one) for one in zip(states, prompts, answers, strict=True)]


def _peer_scopes(state: ProfileState) -> dict[PeerScope, int]:
    """Number of comparisons; of past reviews, if a comparing method found no peers."""
    if state.comparisons:
        return {"item": len(state.comparisons)}
    return {"none": len(state.context.entries)} if state.compares and state.context.entries else {}


def _prediction(name: str, state: ProfileState, prompt: Prompt, answer: Answer) -> Prediction:
    state = state.record_responses("write", [(About(), answer)])
    total = sum(state.usage.values(), Usage())
    return Prediction(
        sample=state.context.sample,
        method=name,
        text=_REVIEW_LABEL.sub("", answer.text, count=1) if _REVIEW_LABEL.match(answer.text) else answer.text,
        failure=answer.failure,
        prompt=visible_prompt(prompt, frozenset(answer.kept_entries))[0],
        profile=state.profile,
        stages=state.stages,
        compared=state.compared,
        not_measured=state.not_measured,
        curve=state.curve,
        anchors=tuple(state.context.entries[entry].review.id for entry in answer.kept_entries),
        peer_scopes=_peer_scopes(state),
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        seconds=total.seconds,
        usage=state.usage,
        notes=(*remarks(state.usage), *filter(None, [answer.markup])),
        features=state.features,
    )
