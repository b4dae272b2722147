"""Along what E compares: DPL's three dimensions, DRP's standard that opens further ones, or a list of your own.

What a method has found out about the user of one sample, from stage to stage.

What is compared: each of the user's anchors with the representatives of all who wrote about its item (DPL, DRP).

Who is asked: the roles of a method, each a language model with parameters of its own (DRP: E, V, S, G).

Samples to comparisons: anchors by a retriever, representatives by clustering (DRP, anchor choice and onwards).

Every choice is made from what the reader shows and from stored vectors; no text is embedded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.context import Context
from idiolect.difference.claims.feature import Comparison, Feature
from idiolect.errors import InputError
from idiolect.llm.base import LLM, Completion, Failure, SamplingParams, Schema, Usage, one_line
from idiolect.llm.thinking import leftovers, part_completion
from idiolect.peers import SELECTORS, PeerSelector, time_cut
from idiolect.retrieval import Retriever, make_retriever
from idiolect.store.base import ReviewReader
from idiolect.types import (
    ComparedReview,
    Curve,
    Item,
    ItemId,
    Prompt,
    Review,
    ReviewId,
    Sample,
    StageResult,
    UserId,
)


class Dimension(Config):
    """One way in which writing can differ."""

    name: str
    definition: str


class Standard(Config):
    """The standard for comparison that E is given (Delta in DPL, Delta_auto in DRP)."""

    dimensions: tuple[Dimension, ...]
    open: bool = False
    """Whether E is to find further dimensions, each with a definition of its own."""


Dimensions = Literal["fixed", "auto"] | tuple[Dimension, ...]
"""``fixed``: DPL's three. ``auto``: these first, then whatever the texts show (DRP). Else a list."""

SEEDS = (
    Dimension(name="Writing Style", definition="the choice of words and how sentences are built"),
    Dimension(name="Emotional Style", definition="the affective tone: positive, neutral or negative, and how strong"),
    Dimension(name="Semantic Style", definition="how dense the information is and how well the text hangs together"),
)
"""DPL's dimensions, which DRP judges first."""


def standard(dimensions: Dimensions) -> Standard:
    """What E is told."""
    if isinstance(dimensions, str):
        return Standard(dimensions=SEEDS, open=dimensions == "auto")
    return Standard(dimensions=dimensions)


class ComparisonConfig(Config):
    """Which comparisons are made. The defaults are those of the DPL and DRP programs; fewer than asked is normal."""

    anchors: int = Field(default=8, ge=1)
    """Own reviews that are compared (N)."""
    representatives: int = Field(default=4, ge=1)
    """Others' reviews that an anchor is compared with (M)."""
    min_others: int | None = Field(default=None, ge=1)
    """Other users that an anchor's item needs; None: as many as there are to be representatives."""
    retriever: str = "bm25"
    """Which reviews are anchors: ``bm25`` as in the DPL and DRP programs, ``recency`` as in the DEP paper's rows of
    these methods, or another name in ``idiolect.retrieval.RETRIEVERS``."""
    selector: str = "kmeans"
    """Which of the others are representatives: one near each cluster's centre (``kmeans``), any (``random``), the least
    alike (``farthest``), or another name in ``idiolect.peers.SELECTORS``."""
    max_crowd: int = Field(default=64, ge=1)
    """Others' reviews of an item that are measured; of more as many are drawn."""
    peers_before: bool = False
    """Whether others must have written before the sample's time; the papers' programs set no such bound."""
    seed: int = 42
    """Of clusterings and draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One review of the user's and what others wrote about the same item."""

    item: Item
    own: Review
    others: tuple[Review, ...]
    """The representatives: what a model is shown."""
    crowd: tuple[Review, ...]
    """Those they stand for, one review a user: what is measured."""

    @property
    def shown(self) -> Comparison:
        """The texts that an extractor sees."""
        return self._comparison(self.others)

    @property
    def whole(self) -> Comparison:
        """The texts that there are."""
        return self._comparison(self.crowd)

    def _comparison(self, others: Sequence[Review]) -> Comparison:
        return Comparison(id=self.own.id, target=self.own.text, peers=tuple(other.text for other in others))


class Cases(Protocol):
    """Where a method's comparisons come from."""

    def build(self, samples: Sequence[Sample]) -> list[tuple[Case, ...]]:
        """The comparisons of every sample's user, best anchor first; none where nothing can be compared."""
        ...


class About(NamedTuple):
    """What a question of a stage is about; without a review, it is about the user."""

    review: ReviewId | None = None
    peer: ReviewId | None = None
    """The one representative that a question shows, if it shows only one."""
    replicate: int = 0


_Complete = Callable[[Sequence[Prompt], SamplingParams, Schema | None], list[Completion]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a role answered in the end, and what all its attempts took."""

    text: str = ""
    """Without thinking; empty where there is a failure."""
    thinking: str = ""
    truncated: bool = False
    """Cut off at the token limit."""
    failure: Failure | None = None
    kept_entries: tuple[int, ...] = ()
    """Droppable blocks of the prompt that fitted the budget."""
    unreadable: bool = False
    """There is a text, and it could not be read as what was asked for: what it says is not known."""
    usage: Usage = field(default_factory=Usage)

    @property
    def unfinished(self) -> bool:
        """Whether there is no answer because the model was still thinking: more tokens may bring one."""
        return self.failure is not None and self.failure.kind == "unfinished_thinking"

    @property
    def markup(self) -> str:
        """A note on control markup that the text still holds; empty if there is none."""
        found = leftovers(self.text)
        return f"the text still holds control markup: {' '.join(found[:5])}" if found else ""

    @property
    def unheard(self) -> bool:
        """Whether nothing is known of what was asked: there is no answer, or none that could be read."""
        return self.unreadable or self.failure is not None

    def marked(self, *, unreadable: bool) -> Answer:
        """The answer with the word of whoever read it; a failure is none that could be read, and stays a failure."""
        if not unreadable or self.unreadable or self.failure is not None:
            return self
        return replace(self, unreadable=True, usage=replace(self.usage, unreadable=1))

    def result(self, stage: str, about: About | None = None) -> StageResult:
        """The answer as a prediction records it."""
        about = about or About()
        return StageResult(
            name=stage,
            review=about.review,
            peer=about.peer,
            replicate=about.replicate,
            text=self.text,
            thinking=self.thinking,
            failure=self.failure,
            unreadable=self.unreadable,
            notes=tuple(filter(None, [self.markup])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A language model, how it is sampled, and how its thinking is dealt with.

    Thinking that does not end is a failed answer and never read as one: it is asked for again with twice the tokens, up
    to a limit.
    """

    llm: LLM
    params: SamplingParams = field(default_factory=SamplingParams)
    thinks: bool = False
    """The model thinks before every answer, so a reply without a closing tag is unfinished thinking. Only for a model
    that does not know it itself (``backbone.thinks``, ``endpoint.thinks``)."""
    thinking_limit: int = 16_384
    """Most new tokens that are allowed for thinking that did not end."""

    def ask(self, prompts: Sequence[Prompt], *, schema: Schema | None = None, replicate: int = 0) -> list[Answer]:
        """One answer a prompt, in order; equal prompts are asked once, and only the first of them pays.

        Args:
            prompts: Without soft vectors.
            schema: What answers must conform to, where the model can be held to it.
            replicate: Which independent draw of the same questions it is.
        """
        places = {prompt.messages: place for place, prompt in reversed(list(enumerate(prompts)))}
        asked = sorted(places.values())
        found = self._rounds([prompts[k] for k in asked], self._complete, schema=schema, replicate=replicate)
        answers = dict(zip(asked, found, strict=True))
        firsts = [places[prompt.messages] for prompt in prompts]
        return [answers[first] if first == place else _repeated(answers[first]) for place, first in enumerate(firsts)]

    def each(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """One answer a prompt, in order, every prompt asked on its own account; soft vectors are taken too.

        Raises:
            InputError: No budget holds one of the prompts.
        """
        return self._rounds(prompts, lambda some, params, _: self.llm.generate(some, params))

    def _rounds(
        self, prompts: Sequence[Prompt], complete: _Complete, *, schema: Schema | None = None, replicate: int = 0
    ) -> list[Answer]:
        """Ask, and ask again with twice the tokens where thinking did not end."""
        schema = schema if self.structured else None
        answers = [Answer()] * len(prompts)
        params, pending = self.params.replicate(replicate), list(range(len(prompts)))
        while pending:
            completions = complete([prompts[k] for k in pending], params, schema)
            for place, completion in zip(pending, completions, strict=True):
                answers[place] = self._after(answers[place], completion)
            pending = [place for place in pending if answers[place].unfinished]
            if params.max_new_tokens >= self.thinking_limit:
                break
            doubled = min(2 * params.max_new_tokens, self.thinking_limit)
            params = params.model_copy(update={"max_new_tokens": doubled})
        return answers

    @property
    def structured(self) -> bool:
        """Whether the model can be held to a JSON schema."""
        return "schema" in self.llm.supports

    def _complete(self, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None) -> list[Completion]:
        """The completions; a prompt that no budget holds fails alone, not with the batch."""
        try:
            return self.llm.generate(prompts, params, schema=schema)
        except InputError as error:
            if len(prompts) == 1:
                failure = Failure(kind="context_too_long", message=one_line(str(error)))
                return [Completion(text="", prompt_tokens=0, completion_tokens=0, failure=failure, requests=0)]
            return [self._complete([prompt], params, schema)[0] for prompt in prompts]

    def _after(self, before: Answer, completion: Completion) -> Answer:
        """The answer that a completion gives, with what earlier attempts thought and took."""
        parted = part_completion(completion, always=self.thinks)  # a backend may leave the parting to us
        return Answer(
            text=parted.text if parted.failure is None else "",
            thinking=parted.thinking or before.thinking,
            truncated=parted.truncated,
            failure=parted.failure,
            kept_entries=parted.kept_entries,
            usage=before.usage + Usage.of([parted]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who does what in a method. A role without a model is played by rules that need none.

    Without E, differences are measured (stylometry); without V, only the checks that cost no call are made; without S,
    a template puts what was found into a sentence. Only G must be a language model.
    """

    extract: Role | None = None
    validate: Role | None = None
    summarize: Role | None = None
    write: Role

    @classmethod
    def alike(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """One language model in all four roles."""
        role = Role(llm=llm, params=params or SamplingParams())
        return cls(extract=role, validate=role, summarize=role, write=role)

    @classmethod
    def writing(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """A language model that only writes, and no model for anything else."""
        return cls(write=Role(llm=llm, params=params or SamplingParams()))


def _repeated(answer: Answer) -> Answer:
    """The answer to a question that another prompt has paid for."""
    return replace(answer, usage=replace(answer.usage, cached=answer.usage.calls, spent=0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """Grows from stage to stage; every stage returns a new one."""

    context: Context
    """The sample and the past reviews that S and G are shown (D_u* in DRP)."""
    cases: tuple[Case, ...] = ()
    compares: bool = False
    """Whether the method compares; without cases it then found nobody to compare with."""
    features: tuple[Feature, ...] = ()
    """Of all comparisons, with what became of each."""
    unheard: int = 0
    """Comparisons, or calls about them, of which it is not known whether they show a difference: the extractor gave no
    answer, or none that could be read."""
    profile: str = ""
    """How the user writes, in words for G."""
    stages: tuple[StageResult, ...] = ()
    """Every answer so far."""
    not_measured: int = 0
    """Comparisons that were left out, because their texts are not in English."""
    curve: Curve | None = None
    """Of adaptive extraction."""
    usage: Mapping[str, Usage] = field(default_factory=dict)

    def heard(self, stage: str, answers: Iterable[tuple[About, Answer]], **changes: Any) -> Portrait:
        """The portrait with the answers of a stage recorded, and other fields changed."""
        heard = list(answers)
        took = Usage.total([self.usage.get(stage, Usage()), *(answer.usage for _, answer in heard)])
        results = [answer.result(stage, about) for about, answer in heard]
        return replace(self, stages=(*self.stages, *results), usage={**self.usage, stage: took}, **changes)

    @property
    def compared(self) -> tuple[ComparedReview, ...]:
        """Which reviews are compared."""
        return tuple(
            ComparedReview(review=case.own.id, others=tuple(other.id for other in case.others)) for case in self.cases
        )

    def of(self, case: Case) -> list[Feature]:
        """The features that one comparison gave."""
        return [feature for feature in self.features if feature.comparison == case.own.id]

    @property
    def sources(self) -> tuple[ReviewId, ...]:
        """Every review that went into it, peers' included: what erasure has to know."""
        compared = [review.id for case in self.cases for review in (case.own, *case.crowd)]
        return tuple(dict.fromkeys([*(entry.review.id for entry in self.context.entries), *compared]))


Stage = Callable[[Sequence[Portrait]], list[Portrait]]
"""One step of a method for all samples at once: the same portraits, in order, with more in them."""


def portray(contexts: Sequence[Context], cases: Sequence[tuple[Case, ...]] | None = None) -> list[Portrait]:
    """Portraits in which nothing has been found out yet."""
    compared, compares = [()] * len(contexts) if cases is None else cases, cases is not None
    return [
        Portrait(context=context, cases=own, compares=compares) for context, own in zip(contexts, compared, strict=True)
    ]


def made_from(prompt: Prompt, reviews: Iterable[ReviewId]) -> Prompt:
    """The prompt with the reviews that went into it."""
    return replace(prompt, sources=tuple(dict.fromkeys(reviews)))


_NOBODY = UserId("")
_AT_ONCE = 32
"""Samples whose crowds' vectors are in memory together."""


class Others:
    """Who else wrote about an item, one review a user (the latest), users by id; a prolific user is one voice.

    An item is read once for all users who wrote about it, so an instance is for one batch: it does not see what comes
    later.

    Args:
        reader: What is visible.
    """

    def __init__(self, reader: ReviewReader) -> None:
        self._reader = reader
        self._everybody = lru_cache(maxsize=4096)(self._read)

    def of(self, review: Review, *, before: int | None = None) -> list[Review]:
        """The others of a review, those with timestamp < ``before`` (seconds)."""
        return [other for other in self._everybody(review.item, before) if other.user != review.user]

    def _read(self, item: ItemId, before: int | None) -> list[Review]:
        latest = {review.user: review for review in self._reader.reviews_of(item, exclude=_NOBODY, before=before)}
        return [latest[user] for user in sorted(latest)]


class CaseBuilder:
    """Chooses anchors and representatives.

    Args:
        reader: A live store or one phase's snapshot.
        config: How many and which.
        encoder: Whose stored vectors are clustered; None: none are read, and only ``random`` selects.
        retriever: Used instead of ``config.retriever``; needed for one that encodes (``dense``).

    Raises:
        ConfigError: No such retriever or selector, or the retriever cannot be made from the configuration alone.
    """

    def __init__(
        self,
        reader: ReviewReader,
        config: ComparisonConfig | None = None,
        *,
        encoder: str | None,
        retriever: Retriever | None = None,
    ) -> None:
        self.reader, self.config, self.encoder = reader, config or ComparisonConfig(), encoder
        self.retriever = retriever or make_retriever(self.config.retriever, seed=self.config.seed, reader=reader)
        chosen: PeerSelector = SELECTORS.get(self.config.selector)
        self._select = chosen if encoder else SELECTORS.get("random")

    def build(self, samples: Sequence[Sample]) -> list[tuple[Case, ...]]:
        """See ``Cases.build``.

        Raises:
            NotFoundError: A vector is not there.
            ConfigError: A time cut is set and a sample has no timestamp.
        """
        others = Others(self.reader)
        parts = (samples[start : start + _AT_ONCE] for start in range(0, len(samples), _AT_ONCE))
        return [cases for some in parts for cases in self._built(some, others)]

    def anchors(self, sample: Sample) -> list[Review]:
        """The user's reviews that are compared, best first: only of items that enough others wrote about."""
        return self._anchors([sample], Others(self.reader))[0]

    def _built(self, samples: Sequence[Sample], others: Others) -> Iterator[tuple[Case, ...]]:
        """The cases of some samples, whose items and vectors are read at once."""
        anchors = self._anchors(samples, others)
        items = self._items(own.item for chosen in anchors for own in chosen)
        crowds = [
            (own, others.of(own, before=self._before(sample)))
            for sample, chosen in zip(samples, anchors, strict=True)
            for own in chosen
        ]
        vectors = self._vectors([[own, *crowd] for own, crowd in crowds])
        chosen = self._select(vectors, self.config.representatives, seed=self.config.seed)
        cases = (
            self._case(items[own.item], own, crowd, some) for (own, crowd), some in zip(crowds, chosen, strict=True)
        )
        return (tuple(islice(cases, len(own))) for own in anchors)

    def _anchors(self, samples: Sequence[Sample], others: Others) -> list[list[Review]]:
        pools = [self._pool(sample, others) for sample in samples]
        items = self._items(
            item
            for sample, pool in zip(samples, pools, strict=True)
            if pool
            for item in (sample.item, *(review.item for review in pool))
        )
        return [
            self.retriever.retrieve(sample, pool, items, self.config.anchors) if pool else []
            for sample, pool in zip(samples, pools, strict=True)
        ]

    def _pool(self, sample: Sample, others: Others) -> list[Review]:
        """The user's reviews of items that enough others wrote about, oldest first."""
        before, enough = self._before(sample), self.config.min_others or self.config.representatives
        history = self.reader.profile(sample.user, before=sample.moment)
        return [one for one in history if one.id != sample.target and len(others.of(one, before=before)) >= enough]

    def _case(self, item: Item, own: Review, crowd: Sequence[Review], chosen: Sequence[int]) -> Case:
        return Case(item=item, own=own, others=tuple(crowd[place] for place in chosen), crowd=tuple(self._drawn(crowd)))

    def _drawn(self, crowd: Sequence[Review]) -> Sequence[Review]:
        if len(crowd) <= self.config.max_crowd:
            return crowd
        order = np.random.default_rng(self.config.seed).permutation(len(crowd))[: self.config.max_crowd]
        return [crowd[place] for place in sorted(order.tolist())]

    def _vectors(self, groups: Sequence[Sequence[Review]]) -> list[np.ndarray]:
        """float32 (n, dim) for every group of reviews; all are read at once, and each once."""
        if self.encoder is None:
            return [np.zeros((len(group), 1), dtype=np.float32) for group in groups]
        if not groups:
            return []
        rows = {id: row for row, id in enumerate(dict.fromkeys(one.id for group in groups for one in group))}
        vectors = self.reader.vectors(list(rows), encoder=self.encoder).astype(np.float32)
        return [vectors[[rows[one.id] for one in group]] for group in groups]

    def _items(self, ids: Iterable[ItemId]) -> Mapping[ItemId, Item]:
        wanted = list(dict.fromkeys(ids))
        known = self.reader.items(wanted) if wanted else {}
        return {id: known.get(id, Item(id=id)) for id in wanted}

    def _before(self, sample: Sample) -> int | None:
        return time_cut(sample) if self.config.peers_before else None
