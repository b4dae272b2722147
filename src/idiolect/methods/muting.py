"""What a user muted or corrected is kept out of contexts: out of their vectors, and out of the past texts if possible.

Profiles in words are ``methods.corrections``. Both read the corrections of a live store; a phase's snapshot has none,
so that fitting and evaluation do not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from idiolect.context import Context, ContextBuilder, PastVectors
from idiolect.difference.claims.corrections import hidden_by
from idiolect.difference.concept_erasure import FEWEST, MeasureErasure, style_values
from idiolect.difference.stylometry import NAMES
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.known import known_languages
from idiolect.methods.base import Contexts
from idiolect.retrieval import Retriever
from idiolect.store.base import Correction
from idiolect.types import Item, ItemId, Review, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Gets:
    """What a method gets of the user."""

    vectors: bool
    texts: bool
    """Texts of past reviews."""
    words: bool
    """A profile in words."""


class Muting:
    """Keeps what one user muted or corrected out of what a method gets.

    Args:
        corrections: Of the user.
        profile: The user's past reviews.
        gets: What the method gets.
        erasure: Fits the erasure to reviews of many users, None if there are too few; called once, if it is needed.
    """

    def __init__(
        self,
        corrections: Sequence[Correction],
        profile: Sequence[Review],
        gets: Gets,
        erasure: Callable[[], MeasureErasure | None],
    ) -> None:
        self._corrections, self._profile, self._gets, self._fit = corrections, profile, gets, erasure
        self._measures = _measures(corrections)

    @cached_property
    def _erasure(self) -> MeasureErasure | None:
        needed = self._measures and (self._gets.vectors or self._gets.texts)
        return self._fit() if needed and self._in_english else None

    @cached_property
    def _in_english(self) -> bool:
        """Whether any past text is in English: in other languages nothing is measured."""
        texts = [review.text for review in self._profile]
        return bool(are_english(texts, [0] * len(texts), known_languages(texts)).any())

    def applied(self, builder: ContextBuilder) -> Contexts:
        """The builder's contexts without what is muted; the builder itself if nothing is."""
        if (erasure := self._erasure) is None:
            return builder
        retriever = builder.retriever
        if self._gets.texts:
            retriever = LeastShown(retriever, erasure, self._measures)
        again = ContextBuilder(
            builder.reader, builder.config, encoder=builder.encoder, retriever=retriever, past=builder.past
        )
        return MutedContexts(again, erasure, self._measures)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, in one line; empty without corrections."""
        if not self._corrections:
            return ()
        done = ["left out of the profile"] if self._gets.words else []
        if self._erasure is None and (self._gets.vectors or self._gets.texts):
            done.append(f"it stays in the {'vectors' if self._gets.vectors else 'past texts'}: {self._why()}")
        elif self._erasure is not None:
            done += self._of_vectors(self._erasure) if self._gets.vectors else []
            done += ["past texts that show it least come first"] if self._gets.texts else []
        return ("; ".join([_named(self._corrections), *done]),)

    def _of_vectors(self, erasure: MeasureErasure) -> list[str]:
        removed = erasure.removable(self._measures)
        left = [one.difference for one in self._corrections if not set(_measures([one])) & set(removed)]
        done = ["removed from the vectors"] if removed else []
        return [*done, f"{', '.join(left)} stays in the vectors: no measure of it varies with them"] if left else done

    def _why(self) -> str:
        if not self._measures:
            return "nothing measures it"
        if not self._in_english:
            return "the measures are of English texts, and the user has none"
        return f"there are fewer than {FEWEST} English reviews to learn from"


def _measures(corrections: Sequence[Correction]) -> list[int]:
    """Places of the measures that are muted or corrected."""
    hidden = hidden_by(corrections)
    return [place for place, name in enumerate(NAMES) if name in hidden]


def _named(corrections: Sequence[Correction]) -> str:
    """``muted: exclamations, length; corrected: tone``."""
    states = dict.fromkeys(one.state for one in corrections)
    return "; ".join(f"{state}: {', '.join(c.difference for c in corrections if c.state == state)}" for state in states)


@dataclass(frozen=True, slots=True)
class MutedContexts:
    """Contexts of one user whose vectors lack muted measures.

    Args:
        contexts: Builds them.
        erasure: Of the vectors' encoder.
        measures: Places of the muted measures.
    """

    contexts: Contexts
    erasure: MeasureErasure
    measures: Sequence[int]

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """See ``methods.base.Contexts``."""
        return [self._without(context) for context in self.contexts.build(samples)]

    def _without(self, context: Context) -> Context:
        entries = tuple(
            replace(
                entry,
                e_his=self._removed(entry.e_his),
                e_diff=None if entry.e_diff is None else self._removed(entry.e_diff, differences=True),
            )
            for entry in context.entries
        )
        past = PastVectors(reviews=context.past.reviews, vectors=self._removed(context.past.vectors))
        return replace(context, entries=entries, past=past)

    def _removed(self, vectors: np.ndarray, *, differences: bool = False) -> np.ndarray:
        return self.erasure.remove(vectors, self.measures, differences=differences) if vectors.size else vectors


@dataclass(frozen=True, slots=True)
class LeastShown:
    """A retriever that takes reviews without a muted trait first, in its own order, then those that show it least.

    How far a review shows it is how far its measure lies from what is typical of others, on the user's side.
    """

    retriever: Retriever
    erasure: MeasureErasure
    measures: Sequence[int]

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """See ``Retriever``."""
        ranked = self.retriever.retrieve(sample, profile, items, 0)
        if not ranked:
            return []
        apart = (style_values([review.text for review in ranked]) - self.erasure.typical)[:, self.measures]
        shown = np.maximum(apart * np.sign(apart.mean(axis=0)), 0).sum(axis=1)
        return [ranked[row] for row in np.argsort(shown, kind="stable")[: k or None]]
