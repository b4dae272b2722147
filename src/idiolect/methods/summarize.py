"""S: what was found about a user as one profile for G (DRP, s), asked of a model or put into a sentence by template.

Peers' texts never come here, nor quotes: only past reviews of the user and claims that hold, cleared of every word that
was copied from what was compared (``difference.language.redact_features``), whether or not anything was validated.

G: the review itself, from past reviews and the profile (DRP, y), and what all the stages took.
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
from idiolect.difference.claims.stylometric import FDR_LEVEL, Norms
from idiolect.difference.claims.vote import NOT_DISTINGUISHABLE, UNKNOWN, verbalise
from idiolect.difference.stylometry.english import are_english
from idiolect.llm.base import Usage, remarks
from idiolect.methods.base import shown
from idiolect.methods.stages import About, Answer, Case, Portrait, Role, made_from
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import PeerScope, Prediction, Prompt

DifferencesAs = Literal["blocks", "sentence"]
"""How S reads the differences of an item: the papers' blocks, or one sentence in the taxonomy's own phrases."""

PROFILE_CHARS = 1500
"""Some 300 tokens: S is asked for one short paragraph."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"”'’)\]*_]*(?=\s)")
_PREFIX = re.compile(r"[\s*_#]*\[?summary\]?[*_]*\s*:[*_]*\s*", re.IGNORECASE)

_FENCED = re.compile(r"\A```\w*[^\S\n]*\n(.*?)\n?```\Z", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_KEYS = ("summary", "profile", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Asks a model, from differences and past reviews, or from past reviews alone where there are no differences."""

    role: Role
    differences_as: DifferencesAs = "blocks"
    phrases: int = 8
    """Phrases of the sentence that stands in where S gives no answer."""
    profile_chars: int = PROFILE_CHARS
    """Longest profile; a longer answer is cut after a sentence."""
    prompt: PromptConfig = field(default_factory=PromptConfig)

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        asked = [k for k, one in enumerate(portraits) if one.context.entries or self._compared(one)]
        answers = self.role.ask([self.question(portraits[k]) for k in asked])
        told = dict(zip(asked, answers, strict=True))
        return [
            self._told(portrait, told[k]) if k in told else replace(portrait, profile=_nothing(portrait))
            for k, portrait in enumerate(portraits)
        ]

    def question(self, portrait: Portrait) -> Prompt:
        """What S is asked about a user."""
        prompt = render("summarize", portrait.context, self.prompt, compared=self._compared(portrait))
        return made_from(prompt, portrait.sources)

    def _compared(self, portrait: Portrait) -> list[dict[str, object]]:
        """Every item with something to say about it."""
        found = [(case, [one for one in portrait.of(case) if one.valid]) for case in portrait.cases]
        said = [(case, self._said(case, features)) for case, features in found if features]
        return [{"item": case.item, "differences": words} for case, words in said if words]

    def _said(self, case: Case, features: Sequence[Feature]) -> str:
        """What S reads of a comparison; empty where nothing is left to say."""
        if self.differences_as == "sentence":
            return verbalise(features, k=self.phrases)
        own = redact_features(features, [part for one in (case.own, *case.others) for part in (one.title, one.text)])
        return "\n" + write_blocks(own, quotes=False) if own else ""

    def _told(self, portrait: Portrait, answer: Answer) -> Portrait:
        read = read_summary(answer.text)
        answer = answer.marked(unreadable=not read)
        whole = read or verbalise(portrait.features, k=self.phrases, nothing=_nothing(portrait))
        kept = shortened(whole, self.profile_chars)
        told = portrait.heard("summarize", [(About(), answer)], profile=kept)
        if kept == whole:
            return told
        note = f"{len(kept)} of {len(whole)} characters are given to the writer (profile_chars)"
        last = told.stages[-1]
        return replace(told, stages=(*told.stages[:-1], replace(last, notes=(*last.notes, note))))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSummary:
    """Asks nobody: the valid differences in one sentence, or that there are none."""

    phrases: int = 8

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        return [_profiled(portrait, portrait.features, self.phrases) for portrait in portraits]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummary:
    """Asks nobody: how the past reviews depart from how people write on the whole (PAG without a model)."""

    norms: Norms | None
    """None: nothing is known to compare with, and nothing is said."""
    fdr_level: float = FDR_LEVEL
    phrases: int = 8

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``."""
        return [self._told(portrait) for portrait in portraits]

    def _told(self, portrait: Portrait) -> Portrait:
        own = [entry.review.text for entry in portrait.context.entries]
        found = self.norms.differences(own, fdr_level=self.fdr_level) if self.norms else []
        left_out = int((~are_english(own, [0] * len(own))).sum())
        return _profiled(replace(portrait, unheard=portrait.unheard + left_out), found, self.phrases)


def read_summary(text: str) -> str:
    """The profile in an answer of S, without a label, a code block or JSON around it; empty if there are no words.

    Example:
        >>> read_summary('{"summary": "Writes warmly."}'), read_summary("[Summary]: ...")
        ('Writes warmly.', '')
    """
    said = _FENCED.sub(r"\1", text.strip())
    if said[:1] in ("{", "["):
        named = next(lenient.objects(lenient.read_values(said), *_KEYS), ("", {}))[1]
        told = [one for key, one in named.items() if lenient.plain_key(key) in _KEYS and isinstance(one, str)]
        said = told[0] if told else said
    said = (_PREFIX.sub("", said, count=1) if _PREFIX.match(said) else said).strip()
    return lenient.whole(said) if _LETTER.search(said) else ""


def shortened(text: str, most: int) -> str:
    """The whole sentences of ``text`` that fit ``most`` characters; words, where not even the first one does."""
    if len(text) <= most:
        return text
    ends = [end.end() for end in _SENTENCE_END.finditer(text, 0, most + 1)]
    return text[: ends[-1]] if ends else text[: most + 1].rpartition(" ")[0].rstrip() or text[:most]


def _profiled(portrait: Portrait, features: Sequence[Feature], phrases: int) -> Portrait:
    profile = verbalise(features, k=phrases, nothing=_nothing(portrait))
    return replace(portrait, features=tuple(features), profile=profile)


def _nothing(portrait: Portrait) -> str:
    """What G is told where no difference is known: that there is none only where every comparison was looked at."""
    return UNKNOWN if portrait.unheard else NOT_DISTINGUISHABLE


_PREFIX_writing = re.compile(r"[\s*_#]*\[review\][*_]*\s*:[*_]*\s*", re.IGNORECASE)


def final_prompts(template: str, portraits: Sequence[Portrait], config: PromptConfig) -> list[Prompt]:
    """What G is asked for every sample."""
    return [
        render(template, portrait.context, config, sources=portrait.sources, profile=portrait.profile)
        for portrait in portraits
    ]


def write_profiled(name: str, role: Role, portraits: Sequence[Portrait], prompts: Sequence[Prompt]) -> list[Prediction]:
    """One review a sample; where G gives no answer the text is empty and ``failure`` is the reason."""
    answers = role.ask(prompts)
    return [_prediction(name, *one) for one in zip(portraits, prompts, answers, strict=True)]


def _peer_scopes(portrait: Portrait) -> dict[PeerScope, int]:
    """How many comparisons there were; where a method found nobody to compare with, how many past reviews it had."""
    if portrait.cases:
        return {"item": len(portrait.cases)}
    return {"none": len(portrait.context.entries)} if portrait.compares and portrait.context.entries else {}


def _prediction(name: str, portrait: Portrait, prompt: Prompt, answer: Answer) -> Prediction:
    told = portrait.heard("write", [(About(), answer)])
    total = sum(told.usage.values(), Usage())
    return Prediction(
        sample=portrait.context.sample,
        method=name,
        text=_PREFIX_writing.sub("", answer.text, count=1) if _PREFIX_writing.match(answer.text) else answer.text,
        failure=answer.failure,
        prompt=shown(prompt, frozenset(answer.kept_entries)),
        profile=portrait.profile,
        stages=told.stages,
        compared=portrait.compared,
        not_measured=portrait.not_measured,
        curve=portrait.curve,
        anchors=tuple(portrait.context.entries[entry].review.id for entry in answer.kept_entries),
        peer_scopes=_peer_scopes(portrait),
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        seconds=total.seconds,
        usage=told.usage,
        notes=(*remarks(told.usage), *filter(None, [answer.markup])),
        features=portrait.features,
    )
