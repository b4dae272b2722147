"""Value types of the library: reviews, samples, prompts, predictions.

Values are frozen and know nothing of files, databases or models. Time order everywhere is ``Moment``: ``(timestamp,
order)``, so that ties of day-granular timestamps are broken the same way in every stage. A review without a timestamp
stands before every review that has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, NewType

import numpy as np

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
ReviewId = NewType("ReviewId", str)

Phase = Literal["fit", "validation", "test"]
Stream = Literal["his", "diff", "user", "instruction"]
Role = Literal["system", "user", "assistant"]
PeerScope = Literal["item", "category", "corpus", "none"]
"""Whom a past review is compared with: others on its item, others on items of its category, all others, or none."""


UNDATED = -(2**63)
"""The ``timestamp`` of the moment of a review whose time is unknown: before every known time, 1970 included."""


class Moment(NamedTuple):
    """A place in time order; compares lexicographically."""

    timestamp: int
    """Seconds since the epoch; ``UNDATED`` if the time is unknown, so that ``order`` alone decides among those."""
    order: int
    """The row's own order field, or its place in its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is written about: a product, a thread, a paper."""

    id: ItemId
    title: str = ""
    description: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Any text a user wrote about an item."""

    id: ReviewId
    user: UserId
    item: ItemId
    text: str
    rating: float | None = None
    title: str = ""
    timestamp: int | None = None
    """Seconds since the epoch."""
    order: int = 0

    @property
    def moment(self) -> Moment:
        """The review's place in time order."""
        return _moment(self.timestamp, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is to be written: by whom, about what, and (for training and evaluation) what they really wrote."""

    user: UserId
    item: ItemId
    rating: float | None = None
    title: str = ""
    timestamp: int | None = None
    order: int = 0
    reference: str | None = None
    """The user's own text; None when writing for real."""
    target: ReviewId | None = None
    """The review the sample was made from; None when writing for real."""

    @property
    def moment(self) -> Moment | None:
        """The target's place in time order; None for a new text, for which all reviews are in the past."""
        return None if self.target is None else _moment(self.timestamp, self.order)

    @classmethod
    def of(cls, review: Review) -> Sample:
        """The sample that asks for ``review``."""
        return cls(
            user=review.user,
            item=review.item,
            rating=review.rating,
            title=review.title,
            timestamp=review.timestamp,
            order=review.order,
            reference=review.text,
            target=review.id,
        )


def _moment(timestamp: int | None, order: int) -> Moment:
    return Moment(UNDATED if timestamp is None else timestamp, order)


class VirtualToken(NamedTuple):
    """A place in a prompt that a soft vector fills: one position, no text."""

    stream: Stream
    entry: int
    """Index of the history entry (0 = best) whose vector it holds."""


Segment = str | VirtualToken


@dataclass(frozen=True, slots=True)
class Block:
    """A run of segments that is tokenized once and kept or dropped as a whole."""

    segments: tuple[Segment, ...]
    entry: int | None = None
    """The history entry the block shows; such blocks are dropped, last first, on a short budget. None: never."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The turn as plain text; virtual tokens leave no trace."""
        return "".join(s for block in self.blocks for s in block.segments if isinstance(s, str))


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Messages of blocks of segments, with the soft vectors that fill the virtual tokens."""

    messages: tuple[Message, ...]
    soft: np.ndarray | None = None
    """float32 (n_virtual_tokens, hidden), one row per virtual token in text order."""
    sources: tuple[ReviewId, ...] = ()
    """Every review whose text or vector went into it, directly or through earlier answers: what erasure follows."""

    @property
    def virtual_tokens(self) -> tuple[VirtualToken, ...]:
        """Every virtual token, in the order of the text."""
        return tuple(
            s
            for message in self.messages
            for block in message.blocks
            for s in block.segments
            if isinstance(s, VirtualToken)
        )


FailureKind = Literal[
    "rate_limited",
    "server_error",
    "connection",
    "timeout",
    "malformed",
    "empty",
    "context_too_long",
    "unfinished_thinking",
    "wrong_field",
    "oversized",
    "refused",
    "denied",
]
"""``refused``: this request is unacceptable. ``denied``: so is every other (wrong key, unknown model, no credit).
``wrong_field``: the answer is not where answers are. ``oversized``: the reply is longer than it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a model gave no answer: what went wrong at the last attempt."""

    kind: FailureKind
    message: str = ""
    """The endpoint's own words, or ours, in one line."""
    hint: str = ""
    """The remedy, if a better one is known than the usual one of the kind."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One answer of a model to one question of a stage."""

    name: str
    """The stage: ``extract``, ``validate``, ``summarize`` or ``write``."""
    review: ReviewId | None = None
    """The user's review that the question was about; None: it was about the user."""
    peer: ReviewId | None = None
    """The other user's review that it was compared with, if each pair is a question of its own."""
    replicate: int = 0
    """Which independent draw of the same question it is."""
    text: str = ""
    """The answer without thinking; empty if there is a failure."""
    thinking: str = ""
    failure: Failure | None = None
    unreadable: bool = False
    """There is a text, and it could not be read as what was asked for."""
    notes: tuple[str, ...] = ()
    """What a reader of the text has to know: control markup that is left, or that only a part was used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedReview:
    """One review of the user and the others' reviews of the same item that it was compared with."""

    review: ReviewId
    others: tuple[ReviewId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One point on the curve of quality against cost."""

    calls: float
    tokens: float
    cost: float
    found: float
    """Valid unique differences so far."""
    expected: float
    """New ones expected of the next call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What each further call of adaptive extraction brought."""

    points: tuple[CurvePoint, ...]
    """One per draw; none if there was nothing to compare."""
    end: str
    """Why no further call was made."""


@dataclass(frozen=True, slots=True)
class ConditionId:
    """A method or one of its negative controls: the key of tables, outputs and files.

    The name is for display only; nothing is read from it.

    Example:
        >>> str(ConditionId("drp", "wrong user", measured=True)), ConditionId("a: b").control
        ('drp (measured): wrong user', None)
    """

    method: str
    control: str | None = None
    """What is wrong in it on purpose; None for the method itself."""
    measured: bool = False
    """The method's roles had no model: what it reports of users was measured (stylometry)."""

    def __str__(self) -> str:
        """Name in tables."""
        method = f"{self.method} (measured)" if self.measured else self.method
        return method if self.control is None else f"{method}: {self.control}"

    @property
    def plain_name(self) -> str:
        """Name in files and on the command line: without ``(measured)``."""
        return str(replace(self, measured=False))

    @property
    def of(self) -> ConditionId:
        """The method itself."""
        return replace(self, control=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a method wrote for a sample, and what it took."""

    sample: Sample
    method: str
    text: str
    control: str | None = None
    """Which negative control of the method wrote it; None for the method itself."""
    failure: Failure | None = None
    """Why the model that writes gave no answer; ``text`` is then empty."""
    prompt: str = ""
    """What the model that writes was given, without the past reviews that did not fit."""
    virtual_tokens: tuple[tuple[int, Stream], ...] = ()
    """Where soft prompts stand in ``prompt``: the characters before each, and its stream, in the order of the text."""
    profile: str | None = None
    """How the user writes, in words for the model; None if the method makes no profile."""
    stages: tuple[StageResult, ...] = ()
    """Every answer of a model, in the order of the stages."""
    compared: tuple[ComparedReview, ...] = ()
    """Which reviews were compared; empty if the method compares nothing."""
    not_measured: int = 0
    """Comparisons that were left out, because their texts are not in English."""
    curve: Curve | None = None
    """What further calls brought; None if extraction was not adaptive."""
    anchors: tuple[ReviewId, ...] = ()
    """The reviews whose text or vectors reached the model, best first."""
    peer_scopes: Mapping[PeerScope, int] = field(default_factory=dict)
    """How many of the past reviews were compared with whom; empty if the method compares nothing."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Wall time of the batch divided by its size."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """What every stage took, by its name, each an ``idiolect.llm.base.Usage``; the counts above are their sums."""
    notes: tuple[str, ...] = ()
    """What a reader of the text has to know: that it was cut off, or that the model saw a part of the prompt only."""
    features: tuple[Any, ...] = ()
    """The differences that were found and what became of each: ``idiolect.difference.claims.feature.Feature``."""

    def stage(
        self, name: str, *, review: str | None = None, peer: str | None = None, replicate: int = 0
    ) -> StageResult | None:
        """The answer of a stage about one of the user's reviews (or about the user); None if there is none.

        Example:
            >>> extracted = StageResult(name="extract", review=ReviewId("r1"), text="Writes briefly.")
            >>> sample = Sample(user=UserId("ann"), item=ItemId("tea"))
            >>> found = Prediction(sample=sample, method="drp", text="Good tea.", stages=(extracted,))
            >>> found.stage("extract", review="r1").text, found.stage("extract", review="r11")
            ('Writes briefly.', None)
        """
        wanted = (name, review, peer, replicate)
        return next((one for one in self.stages if (one.name, one.review, one.peer, one.replicate) == wanted), None)
