"""Reviews to pretraining documents: the library's own prompts, each followed by the text it asks for.

A backbone that is to be steered by prompts must have read such prompts. Every review becomes one document an epoch, in
a method's format drawn at random, with a random number of the same user's earlier reviews as history. With
annotations of users (a sandbox world's ground truth), the formats with a profile are used too, and words replace
virtual tokens, so that a backbone learns to follow what is in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.context import NO_VECTOR, Context, Entry
from idiolect.errors import ConfigError
from idiolect.methods.base import UNPERSONALIZED
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.types import Item, ItemId, Prompt, Review, Sample, Segment, VirtualToken


class DocumentFormat(NamedTuple):
    """What documents in one prompt template need and may leave out."""

    annotated: bool = False
    """Needs annotations of users."""
    history: Literal["optional", "never", "required"] = "optional"
    """Whether past reviews are shown."""
    primer: bool = False
    """Says how the very review that is asked for is written. A small model learns to use its prompt late, and earlier
    the shorter the prompt is."""
    textless: bool = False
    """May show virtual tokens without the text of past reviews, and in the grouped layout."""


FORMATS: Mapping[str, DocumentFormat] = MappingProxyType(
    {
        "primer_words": DocumentFormat(annotated=True, history="never", primer=True),
        "primer_profile": DocumentFormat(annotated=True, history="never", primer=True),
        "primer_item": DocumentFormat(history="never"),
        "primer_user": DocumentFormat(annotated=True, history="never"),
        "nonpersonalized": DocumentFormat(history="never"),
        "rag": DocumentFormat(history="required"),
        "pag": DocumentFormat(annotated=True),
        "dpl": DocumentFormat(annotated=True),
        "drp": DocumentFormat(annotated=True),
        "summarize": DocumentFormat(annotated=True, history="required"),
        "dep": DocumentFormat(history="required", textless=True),
        "pplug": DocumentFormat(history="never"),
    }
)
"""By prompt template. The ``primer_*`` templates belong to no method: they are short prompts about the review itself
(``words``, ``profile``), its item, or its item and user."""


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

    shares: dict[str, float] = Field(default={"nonpersonalized": 0.2, "rag": 0.5, "dep": 0.3}, min_length=1)
    """Share of each prompt template; they are normalised. Some need annotations (``FORMATS``)."""
    max_history: int = 8
    """History entries are drawn uniformly from 0 (1 where the format needs one) to this many."""
    max_shown: int | None = Field(default=None, ge=0)
    """Past reviews that a document shows (``prompt.max_shown``)."""
    bare_share: float = Field(default=0.75, ge=0, le=1)
    """Share of the ``pag``, ``dpl`` and ``drp`` documents without any history in addition to the profile."""
    textless_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the ``dep`` documents without the text of past reviews."""
    grouped_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the ``dep`` documents in the grouped layout (``prompt.layout``)."""
    virtual_token_words: float = Field(default=0.7, ge=0, le=1)
    """Share of the documents with virtual tokens in which words replace them, if there are annotations."""
    description_chars: int = Field(default=1000, ge=0)
    """Longest item description (``prompt.description_chars``)."""


class EncodedDocument(NamedTuple):
    """A prompt and the text it asks for."""

    ids: np.ndarray
    """int32 (n,)."""
    prompt_length: int
    """``ids[prompt_length:]`` is the answer, end-of-turn token included."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document before it is tokenized."""

    template: str
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
        ConfigError: A format needs annotations, and there are none.
    """
    if annotations is None and (missing := sorted(name for name in config.shares if _format(name).annotated)):
        raise ConfigError(
            f"{', '.join(missing)}: users have no annotations", hint="pass truth=FILE, or leave these formats"
        )
    names = sorted(config.shares)
    weights = np.array([config.shares[name] for name in names])
    ordered = sorted(reviews, key=lambda review: (review.user, review.moment))
    for _, group in groupby(ordered, key=lambda review: review.user):
        profile = list(group)
        formats = rng.choice(len(names), size=len(profile), p=weights / weights.sum())
        for position, review in enumerate(profile):
            template = names[formats[position]]
            if position == 0 and _format(template).history == "required":  # a first review has no history
                template = UNPERSONALIZED
            wanted = _history_length(template, config, rng)
            window = profile[max(0, position - wanted) : position][::-1]
            history = [past for past in window if past.moment < review.moment]
            yield _document(template, _context(review, history, items), config, rng, annotations)


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


def _format(template: str) -> DocumentFormat:
    return FORMATS.get(template, DocumentFormat())


def _history_length(template: str, config: DocumentConfig, rng: np.random.Generator) -> int:
    history = _format(template).history
    if history == "never":
        return 0
    if history == "required":
        return int(rng.integers(1, config.max_history + 1))
    return 0 if rng.random() < config.bare_share else int(rng.integers(1, config.max_history + 1))


def _document(
    template: str, context: Context, config: DocumentConfig, rng: np.random.Generator, annotations: Annotations | None
) -> Document:
    form = _format(template)
    sample, answer, values = context.sample, context.sample.reference or "", {}
    if annotations is not None and form.primer:
        values["profile"], values["words"] = annotations.primer(sample.target or "", rng)
    elif annotations is not None and form.annotated:
        values["profile"] = annotations.profile(sample.user, rng)
    if annotations is not None and template == "summarize":
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
        max_shown=config.max_shown,
        description_chars=config.description_chars,
    )
    prompt = render(template, context, shown, **values)
    if annotations is not None and prompt.virtual_tokens and rng.random() < config.virtual_token_words:
        prompt = _with_words(prompt, context, annotations, rng)
    return Document(template, context, prompt, answer)


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
