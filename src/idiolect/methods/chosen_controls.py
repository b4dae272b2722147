"""Controls whose inputs are chosen instead of drawn: nearest twin, item crowd, oracle.

A random wrong user is easy to beat. The *nearest twin* is the most similar wrong user: what a method gains over it is
specific to the user. The *item crowd* gives the method what others wrote about the item in place of the user's past
reviews: what it gains over that does not come from the item. The *oracle* gives an adapter the vectors of the text that
is to be written: no vectors of past reviews can say more, so it bounds what this adapter can gain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from idiolect.context import COMPARISONS, Context, ContextBuilder, Entry, PastVectors
from idiolect.encoders import Encoder
from idiolect.errors import ConfigError, InputError
from idiolect.methods.base import Contexts, Control
from idiolect.methods.peer_comparison import PeerComparison, PeerComparisons
from idiolect.peers import time_cut
from idiolect.types import ItemId, Review, ReviewId, Sample, UserId

NEAREST_TWIN: Control = "nearest twin"
ITEM_CROWD: Control = "item crowd"
ORACLE: Control = "oracle"
EXTRA_CONTROLS: Mapping[str, Control] = MappingProxyType(
    {"nearest_twin": NEAREST_TWIN, "item_crowd": ITEM_CROWD, "oracle": ORACLE}
)
"""By their names in the settings; run only if the settings ask for them."""

MOST_CANDIDATES = 5000
"""Users among whom a twin is looked for; of more, so many are drawn."""
_AT_ONCE = 256
_DECIMALS = 6
"""Similarities are rounded, so that equal profiles are a tie on every machine."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Users with history, sorted by id; arrays and tuples have one entry per user."""

    users: tuple[UserId, ...]
    profiles: np.ndarray
    """float32 (n, dim): see ``_profile``."""
    items: tuple[frozenset[ItemId], ...]
    """Items that the user wrote about."""
    categories: tuple[frozenset[str], ...]


class Twins:
    """The most similar other user for the user of each sample.

    Similarity is the cosine between mean differences to peers (Eq. 4) over all visible reviews, so that the topics of
    two users do not make them similar. The twin is of the item's category and did not write about the item, if there
    is such a user. Of equally similar users it is the first by id, whatever samples are asked about together.

    Args:
        histories: Builds contexts with all visible reviews (``k=0``) and their vectors.
        users: Returns the candidates when first needed: users of the split who may be compared with.
        seed: Of the draw, if there are more than ``MOST_CANDIDATES``.
    """

    def __init__(self, histories: Contexts, users: Callable[[], Collection[UserId]], *, seed: int) -> None:
        self._histories, self._users, self._seed = histories, users, seed
        self._known: dict[Sample, Sample] = {}

    def of(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples as the twins': the same item, rating and title, with all that is visible of the twin.

        Raises:
            InputError: No other user has history.
        """
        missing = [sample for sample in dict.fromkeys(samples) if sample not in self._known]
        for context in self._histories.build(missing) if missing else []:
            twin = self._candidates.users[self._nearest(context)]
            self._known[context.sample] = replace(context.sample, user=twin, target=None, reference=None)
        return [self._known[sample] for sample in samples]

    def _nearest(self, context: Context) -> int:
        found, sample = self._candidates, context.sample
        similarity = np.zeros(len(found.users), dtype=np.float32)
        if context.entries and len(similarity):
            similarity = (found.profiles @ _profile(context.entries)).round(_DECIMALS)
        ranked = [k for k in np.argsort(-similarity, kind="stable").tolist() if found.users[k] != sample.user]
        if not ranked:
            raise InputError("the nearest twin needs another user with history", hint="leave it out of extra_controls")
        near = (k for k in ranked if context.item.category in found.categories[k] and sample.item not in found.items[k])
        return next(near, ranked[0])

    @cached_property
    def _candidates(self) -> _Candidates:
        users = sorted(set(self._users()))
        if len(users) > MOST_CANDIDATES:
            order = np.random.default_rng([self._seed, 31]).permutation(len(users))[:MOST_CANDIDATES]
            users = [users[place] for place in sorted(order.tolist())]
        known, profiles = list[UserId](), list[np.ndarray]()
        items, categories = list[frozenset[ItemId]](), list[frozenset[str]]()
        for start in range(0, len(users), _AT_ONCE):
            asked = [Sample(user=user, item=ItemId("")) for user in users[start : start + _AT_ONCE]]
            for one in (one for one in self._histories.build(asked) if one.entries):
                known.append(one.sample.user)
                profiles.append(_profile(one.entries))
                items.append(frozenset(entry.review.item for entry in one.entries))
                categories.append(frozenset(entry.item.category for entry in one.entries))
        return _Candidates(tuple(known), np.array(profiles, dtype=np.float32), tuple(items), tuple(categories))


def _profile(entries: Sequence[Entry]) -> np.ndarray:
    """float32 (dim,): the L2-normalised mean difference to peers of at least one entry; 0 if none was compared."""
    differences = [entry.e_diff for entry in entries if entry.e_diff is not None]
    mean = np.mean(differences, axis=0, dtype=np.float64) if differences else np.zeros(len(entries[0].e_his))
    return np.asarray(mean / (np.linalg.norm(mean) or 1.0), dtype=np.float32)


class NearestTwin:
    """The history of the most similar other user, text and vectors, for every sample.

    Args:
        contexts: Where the right contexts come from.
        twins: Who the most similar users are.
    """

    def __init__(self, contexts: Contexts, twins: Twins) -> None:
        self._contexts, self._twins = contexts, twins

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with the entries of their users' twins."""
        own, lent = self._contexts.build(samples), self._contexts.build(self._twins.of(samples))
        return [replace(c, entries=d.entries, past=d.past) for c, d in zip(own, lent, strict=True)]


class NearestTwinCases:
    """The comparisons of the user whose history ``NearestTwin`` gives.

    Args:
        comparisons: Where the right comparisons come from.
        twins: Those of ``NearestTwin``.
    """

    def __init__(self, comparisons: PeerComparisons, twins: Twins) -> None:
        self._comparisons, self._twins = comparisons, twins

    def build(self, samples: Sequence[Sample]) -> list[tuple[PeerComparison, ...]]:
        """The comparisons of the twins."""
        return self._comparisons.build(self._twins.of(samples))


class ItemCrowd:
    """What others wrote about the item, text and vectors, in place of the user's past reviews.

    As many reviews as the user has in the context, the newest, one per author; fewer if there are not so many.

    Args:
        contexts: Where the right contexts come from.
        right: Builder of contexts with vectors over the same reviews.
    """

    def __init__(self, contexts: Contexts, right: ContextBuilder) -> None:
        self._contexts, self._right, self._compare = contexts, right, _Compare(right)

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with entries of other users about the samples' items."""
        return [self._crowded(context) for context in self._contexts.build(samples)]

    def _crowded(self, context: Context) -> Context:
        sample, n_past = context.sample, len(context.past.reviews)
        before = self._compare.before(sample)
        reviews = self._right.reader.reviews_of(sample.item, exclude=sample.user, before=before)
        latest = {review.user: review for review in reviews}.values()
        newest = sorted(latest, key=lambda review: review.moment, reverse=True)[: max(len(context.entries), n_past)]
        if not newest:
            return replace(context, entries=(), past=PastVectors())
        ids = [review.id for review in newest]
        vectors = self._right.reader.vectors(ids, encoder=self._compare.encoder).astype(np.float32)
        entries = [
            self._compare.entry(review, own, context, before)
            for review, own in zip(newest[: len(context.entries)], vectors, strict=False)
        ]
        past = PastVectors(reviews=tuple(ids[:n_past][::-1]), vectors=vectors[:n_past][::-1]) if n_past else None
        return replace(context, entries=tuple(entries), past=past or context.past)


class Oracle:
    """The vectors of the text that is to be written in every virtual token; text and tokens stay in place.

    Args:
        contexts: Where the right contexts come from.
        right: Builder of contexts with vectors over the same reviews.
        encoder: Encodes the references.
    """

    def __init__(self, contexts: Contexts, right: ContextBuilder, encoder: Encoder) -> None:
        self._contexts, self._encoder, self._compare = contexts, encoder, _Compare(right)

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each with the vectors of the sample's reference.

        Raises:
            InputError: A sample has no reference.
        """
        if any(sample.reference is None for sample in samples):
            raise InputError("the oracle needs the users' own texts", hint="leave it out of extra_controls")
        own = self._encoder.encode([sample.reference or "" for sample in samples])
        contexts = self._contexts.build(samples)
        return [self._with_own(context, vector) for context, vector in zip(contexts, own, strict=True)]

    def _with_own(self, context: Context, own: np.ndarray) -> Context:
        sample = context.sample
        target = Review(id=sample.target or ReviewId(""), user=sample.user, item=sample.item, text="")
        compared = self._compare.entry(target, own.astype(np.float32), context, self._compare.before(sample))
        entries = tuple(
            replace(
                entry,
                e_his=compared.e_his,
                e_diff=compared.e_diff if entry.e_diff is not None and compared.e_diff is not None else entry.e_diff,
            )
            for entry in context.entries
        )
        past = replace(context.past, vectors=np.tile(compared.e_his, (len(context.past.reviews), 1)))
        return replace(context, entries=entries, past=past)


class _Compare:
    """Compares single reviews with their items' peers as the builder of the right contexts does."""

    def __init__(self, right: ContextBuilder) -> None:
        if right.encoder is None:
            raise ConfigError("these controls need vectors", hint="build the contexts with an encoder")
        self._reader, self._config, self.encoder = right.reader, right.config, right.encoder
        self._differ = COMPARISONS[self._config.peer_weighting](self._reader, self.encoder, self._config.min_peers)

    def before(self, sample: Sample) -> int | None:
        """The time before which peers must have written; None: no bound."""
        return time_cut(sample) if self._config.peers_before else None

    def entry(self, review: Review, own: np.ndarray, context: Context, before: int | None) -> Entry:
        """An entry about the sample's item, with the review's vector and its difference to its peers."""
        history = self._reader.profile(review.user) if self._config.peer_weighting == "profile_distance" else []
        diff, n_peers = self._differ([review], own[None], history=history or [review], before=before)
        n = int(n_peers[0])
        return Entry(review=review, item=context.item, e_his=own, e_diff=diff[0] if n else None, n_peers=n)
