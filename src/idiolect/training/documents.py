"""Reviews to pretraining documents: the library's own prompts, each followed by the review it asks for.

A backbone that is to be steered by prompts must have read such prompts. Every review becomes one document an epoch, in
a method's format drawn at random, with a random number of the same user's earlier reviews as history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.context.base import Context, Entry
from idiolect.prompts.render import PromptConfig, render
from idiolect.prompts.tokenize import PromptTokenizer
from idiolect.types import Item, ItemId, Prompt, Review, Sample

_NO_VECTOR = np.zeros(0, dtype=np.float32)


class DocumentConfig(Config):
    """The mixture of formats."""

    shares: dict[str, float] = Field(default={"nonpersonalized": 0.2, "rag": 0.5, "dep": 0.3}, min_length=1)
    """Share of each prompt template; they are normalised."""
    max_history: int = 8
    """History entries are drawn uniformly from 0 (1 where the format needs one) to this many."""


class Document(NamedTuple):
    """A prompt and the review it asks for."""

    ids: np.ndarray
    """int32 (n,)."""
    prompt_length: int
    """``ids[prompt_length:]`` is the review, end-of-turn token included."""


def contexts(
    reviews: Sequence[Review], items: Mapping[ItemId, Item], config: DocumentConfig, rng: np.random.Generator
) -> Iterator[tuple[str, Context]]:
    """Template name and context for every review, users in turn.

    Args:
        reviews: Visible text only; what is not passed is never seen.
        items: Their items; an unknown one is shown by its id.
        config: The mixture.
        rng: Draws formats and history lengths.
    """
    names = sorted(config.shares)
    weights = np.array([config.shares[name] for name in names])
    ordered = sorted(reviews, key=lambda review: (review.user, review.moment))
    for _, group in groupby(ordered, key=lambda review: review.user):
        profile = list(group)
        formats = rng.choice(len(names), size=len(profile), p=weights / weights.sum())
        for position, review in enumerate(profile):
            template = names[formats[position]] if position else "nonpersonalized"
            wanted = 0 if template == "nonpersonalized" else int(rng.integers(1, config.max_history + 1))
            window = profile[max(0, position - wanted) : position][::-1]
            history = [past for past in window if past.moment < review.moment]
            yield template, _context(review, history, items)


def documents(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    tokenizer: PromptTokenizer,
    config: DocumentConfig,
    rng: np.random.Generator,
    *,
    max_tokens: int,
) -> Iterator[Document]:
    """Every review as a document of at most ``max_tokens`` tokens (a longer review is cut).

    Slots stand in the text as padding tokens: the format is learned, no vector is.
    """
    for template, context in contexts(reviews, items, config, rng):
        prompt = render(template, context, PromptConfig())
        reference = tokenizer.encode_reference(context.sample.reference or "")
        shown = tokenizer.encode(prompt).ids
        yield Document(np.concatenate([shown, reference])[:max_tokens], len(shown))


def tokenizer_texts(
    reviews: Sequence[Review], items: Mapping[ItemId, Item], config: DocumentConfig, rng: np.random.Generator
) -> Iterator[str]:
    """The same documents as plain text, for training a tokenizer."""
    for template, context in contexts(reviews, items, config, rng):
        prompt: Prompt = render(template, context, PromptConfig())
        yield "\n".join(message.text for message in prompt.messages) + (context.sample.reference or "")


def _context(review: Review, history: Sequence[Review], items: Mapping[ItemId, Item]) -> Context:
    def item(id: ItemId) -> Item:
        return items.get(id, Item(id=id))

    return Context(
        sample=Sample.of(review),
        item=item(review.item),
        entries=tuple(
            Entry(review=past, item=item(past.item), e_his=_NO_VECTOR, e_diff=_NO_VECTOR, n_peers=0) for past in history
        ),
    )
