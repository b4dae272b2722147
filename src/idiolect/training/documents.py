"""Reviews to pretraining documents: the library's own prompts, each followed by the text it asks for.

A backbone that is to be steered by prompts must have read such prompts. Every review becomes one document, in a format
drawn at random, with a random number of the same user's earlier reviews as history. A method declares its format
(``Requirements.format``), so a method of your own is read like the built-in ones. With annotations of users (a sandbox
world's ground truth), the formats with a profile are used too, and words replace virtual tokens, so that a backbone
learns to follow what is in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.context import NO_VECTOR, Context, Entry
from idiolect.errors import ConfigError
from idiolect.methods.base import (
    ADAPTER_METHOD,
    BASELINE,
    METHODS,
    UNPERSONALIZED,
    PromptFormat,
    requirements,
)
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.prompts.tasks import DEFAULT
from idiolect.prompts.template_sandbox import beginning
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.registry import is_path, suggest
from idiolect.types import Item, ItemId, Prompt, Review, Sample, Segment, VirtualToken

SUMMARY = "summarize"
"""The summarizer's question; its answer is a profile, not a review."""

HISTORY = "primer_history"
"""A user's reviews one after the other: most tokens are a user's, after other texts of the same user."""

OTHER_FORMATS: Mapping[str, PromptFormat] = MappingProxyType(
    {
        "primer_words": PromptFormat(template="primer_words", history="never", profile="text"),
        "primer_profile": PromptFormat(template="primer_profile", history="never", profile="text"),
        "primer_item": PromptFormat(template="primer_item", history="never"),
        "primer_user": PromptFormat(template="primer_user", history="never", profile="user"),
        HISTORY: PromptFormat(template=HISTORY, history="required"),
        SUMMARY: PromptFormat(template=SUMMARY, history="required", profile="user"),
    }
)
"""Formats that belong to no method. Primers are short prompts about the review itself, its item, its item and user, or
its user's past reviews: a small model learns to use its prompt late, and earlier the shorter the prompt is."""


def prompt_format(name: str) -> PromptFormat:
    """The format called ``name``: one of ``OTHER_FORMATS``, or a method's.

    Raises:
        ConfigError: There is no such method, or it declares no format.
    """
    if found := OTHER_FORMATS.get(name):
        return found
    if name not in METHODS and not is_path(name):
        raise ConfigError(f"unknown prompt format {name!r}", hint=suggest(name, [*OTHER_FORMATS, *METHODS]))
    found = requirements(name).format
    if found is None:
        raise ConfigError(f"{name} declares no prompts for pretraining", hint="give its requires a format")
    return found


class Annotations(Protocol):
    """What is known about how users write (see ``sandbox.annotations.PlantedAnnotations``)."""

    @property
    def digest(self) -> str:
        """A name for exactly these annotations."""
        ...

    def profile(self, user: str, rng: np.random.Generator) -> str:
        """How a user differs from others, in a sentence."""
        ...

    def differences(self, review: str, item: str, rng: np.random.Generator) -> str:
        """How a review differs from others' about the item, in a sentence."""
        ...

    def user_words(self, user: str, rng: np.random.Generator) -> str:
        """``profile`` in single words."""
        ...

    def review_words(self, review: str, item: str | None, rng: np.random.Generator) -> str:
        """How a review is written, in single words; with its item, how it differs from others' about that item."""
        ...

    def primer(self, review: str, rng: np.random.Generator) -> tuple[str, str]:
        """How the very review that is asked for is written, as a sentence and in single words."""
        ...


class DocumentConfig(Config):
    """The mixture of formats."""

    shares: dict[str, float] = Field(default={UNPERSONALIZED: 0.2, BASELINE: 0.5, ADAPTER_METHOD: 0.3}, min_length=1)
    """Share of each method's prompts, by the method's name (``module:Class`` for one of your own), or of a format of
    ``training.documents.OTHER_FORMATS``; they are normalised. Formats with a profile need annotations."""
    max_history: int = 8
    """History entries are drawn uniformly from 0 (1 where the format needs one) to this many."""
    max_shown: int | None = Field(default=None, ge=0)
    """Past reviews that a document shows (``prompt.max_shown``); ``primer_history`` shows all."""
    bare_share: float = Field(default=0.75, ge=0, le=1)
    """Share of documents without any history, in formats that need none (those with a profile)."""
    textless_share: float = Field(default=0.0, ge=0, le=1)
    """Share of documents without the text of past reviews, in formats with a virtual token per review."""
    grouped_share: float = Field(default=0.0, ge=0, le=1)
    """Share of documents in the grouped layout (``prompt.layout``), in formats with a virtual token per review."""
    virtual_token_words: float = Field(default=0.7, ge=0, le=1)
    """Share of the documents with virtual tokens in which words replace them, if there are annotations."""
    description_chars: int = Field(default=1000, ge=0)
    """Longest item description (``prompt.description_chars``)."""
    past_description_chars: int | None = Field(default=None, ge=0)
    """The same of the items of past reviews (``prompt.past_description_chars``)."""
    history_chars: int | None = Field(default=None, gt=0)
    """Most characters of the texts of past reviews in a document (``prompt.history_chars``)."""
    answer_chars: int | None = Field(default=None, gt=0)
    """Longest text that is asked for; of a longer one only the beginning is (``targets.max_chars``)."""
    task: str = DEFAULT
    """What is written (``prompt.task``): adapters and evaluations on the backbone need the same, and warn if not."""
    templates: Path | None = None
    """Folder of template folders, for wording of your own (``prompt.templates``); None: the shipped ones."""


class EncodedDocument(NamedTuple):
    """A prompt and the text it asks for."""

    ids: np.ndarray
    """int32 (n,)."""
    prompt_length: int
    """``ids[prompt_length:]`` is the answer, end-of-turn token included."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document before it is tokenized."""

    format: str
    """As ``DocumentConfig.shares`` names it."""
    context: Context
    prompt: Prompt
    answer: str


def documents(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    config: DocumentConfig,
    rng: np.random.Generator,
    annotations: Annotations | None = None,
) -> Iterator[Document]:
    """A prompt and its answer for every review, users in turn.

    Args:
        reviews: Visible text only; what is not passed is never seen.
        items: Their items; an unknown one is shown by its id.
        config: The mixture.
        rng: Draws formats, history lengths and lengths of annotations.
        annotations: On the users and reviews.

    Raises:
        ConfigError: A format is unknown, or needs annotations and there are none.
    """
    formats = {name: prompt_format(name) for name in (UNPERSONALIZED, *config.shares)}
    if annotations is None and (missing := sorted(name for name in config.shares if formats[name].profile)):
        raise ConfigError(
            f"{', '.join(missing)}: users have no annotations", hint="pass truth=FILE, or leave these formats"
        )
    names = sorted(config.shares)
    weights = np.array([config.shares[name] for name in names])
    ordered = sorted(reviews, key=lambda review: (review.user, review.moment))
    for _, group in groupby(ordered, key=lambda review: review.user):
        profile = list(group)
        drawn = rng.choice(len(names), size=len(profile), p=weights / weights.sum())
        for position, review in enumerate(profile):
            name = names[drawn[position]]
            if position == 0 and formats[name].history == "required":  # a first review has no history
                name = UNPERSONALIZED
            wanted = _history_length(formats[name], config, rng)
            window = profile[max(0, position - wanted) : position][::-1]
            history = [past for past in window if past.moment < review.moment]
            context = _context(review, history, items)
            prompt, answer = _prompt_and_answer(formats[name], context, config, rng, annotations)
            yield Document(name, context, prompt, answer)


def encoded_documents(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    tokenizer: PromptTokenizer,
    config: DocumentConfig,
    rng: np.random.Generator,
    *,
    max_tokens: int,
    annotations: Annotations | None = None,
) -> Iterator[EncodedDocument]:
    """Every review as a document of at most ``max_tokens`` tokens (a longer answer is cut).

    A virtual token without words is a padding token in the text: the format is learned, but no vectors.
    """
    for document in documents(reviews, items, config, rng, annotations):
        shown = tokenizer.encode(document.prompt).ids
        answer = tokenizer.encode_reference(document.answer)
        yield EncodedDocument(np.concatenate([shown, answer])[:max_tokens], len(shown))


def tokenizer_texts(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    config: DocumentConfig,
    rng: np.random.Generator,
    annotations: Annotations | None = None,
) -> Iterator[str]:
    """The same documents as plain text, for training a tokenizer."""
    for document in documents(reviews, items, config, rng, annotations):
        yield "\n".join(message.text for message in document.prompt.messages) + document.answer


def _history_length(form: PromptFormat, config: DocumentConfig, rng: np.random.Generator) -> int:
    if form.history == "never":
        return 0
    if form.history == "required":
        return int(rng.integers(1, config.max_history + 1))
    return 0 if rng.random() < config.bare_share else int(rng.integers(1, config.max_history + 1))


def _prompt_and_answer(
    form: PromptFormat,
    context: Context,
    config: DocumentConfig,
    rng: np.random.Generator,
    annotations: Annotations | None,
) -> tuple[Prompt, str]:
    sample, answer, values = context.sample, context.sample.reference or "", {}
    if config.answer_chars is not None:
        answer = beginning(answer, config.answer_chars)
    if annotations is not None and form.profile == "text":
        values["profile"], values["words"] = annotations.primer(sample.target or "", rng)
    elif annotations is not None and form.profile == "user":
        values["profile"] = annotations.profile(sample.user, rng)
    if annotations is not None and form.template == SUMMARY:
        answer = f"[Summary]: {values['profile']}"
        past = [entry.review for entry in context.entries] if rng.random() < 0.5 else []
        values["compared"] = [
            {"item": entry.item, "differences": annotations.differences(review.id, review.item, rng)}
            for entry, review in zip(context.entries, past, strict=False)
        ]
    with_text = not form.textless or rng.random() >= config.textless_share
    grouped = form.textless and config.grouped_share > 0 and rng.random() < config.grouped_share
    shown = PromptConfig(
        with_text=with_text,
        layout="grouped" if grouped else "interleaved",
        max_shown=None if form.template == HISTORY else config.max_shown,
        description_chars=config.description_chars,
        past_description_chars=config.past_description_chars,
        history_chars=config.history_chars,
        task=config.task,
        templates=config.templates,
    )
    prompt = render(form.template, context, shown, **values)
    if annotations is not None and prompt.virtual_tokens and rng.random() < config.virtual_token_words:
        prompt = _with_words(prompt, context, annotations, rng)
    return prompt, answer


def _with_words(prompt: Prompt, context: Context, annotations: Annotations, rng: np.random.Generator) -> Prompt:
    """The prompt with what a soft vector should say written out in its place."""

    def words(segment: Segment) -> Segment:
        if not isinstance(segment, VirtualToken):
            return segment
        if segment.stream == "user":
            return annotations.user_words(context.sample.user, rng)
        if segment.stream == "instruction":
            return segment
        past = context.entries[segment.entry].review
        return annotations.review_words(past.id, past.item if segment.stream == "diff" else None, rng)

    messages = (
        replace(
            message,
            blocks=tuple(replace(block, segments=tuple(map(words, block.segments))) for block in message.blocks),
        )
        for message in prompt.messages
    )
    return replace(prompt, messages=tuple(messages))


def _context(review: Review, history: Sequence[Review], items: Mapping[ItemId, Item]) -> Context:
    def item(id: ItemId) -> Item:
        return items.get(id, Item(id=id))

    return Context(
        sample=Sample.of(review),
        item=item(review.item),
        entries=tuple(
            Entry(review=past, item=item(past.item), e_his=NO_VECTOR, e_diff=NO_VECTOR, n_peers=0) for past in history
        ),
    )
