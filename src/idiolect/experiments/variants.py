"""What the difference slots hold, in training as at test: the difference, or as much without what it is about.

An adapter fitted on a variant learns what it can from as many slots and steps, so that what the right one gains beyond
it is the difference's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import Literal

import numpy as np

from idiolect.context.base import Context, Entry
from idiolect.context.builder import ContextBuilder
from idiolect.context.differences import COMPARISONS
from idiolect.errors import ConfigError, InputError
from idiolect.evaluation import claims
from idiolect.methods.base import Contexts
from idiolect.peers.pool import time_cut
from idiolect.types import Item, ItemId, Review, Sample, UserId

Vectors = Literal["right", "shuffled_peers", "his_twice"]
"""``right``: ``e_diff``. ``shuffled_peers``: the difference to the peers of another item of the same category.
``his_twice``: ``e_his`` again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedControl:
    """An adapter fitted as DEP's is, on as many slots and steps, but for what its slots hold."""

    label: str
    """Its run is called ``dep: label``."""
    kind: Literal["dep", "constant"] = "dep"
    vectors: Vectors = "right"


TRAINED_CONTROLS: Mapping[str, TrainedControl] = MappingProxyType(
    {
        "constant": TrainedControl(label=claims.CONSTANT, kind="constant"),
        "shuffled_peers": TrainedControl(label=claims.SHUFFLED_PEERS, vectors="shuffled_peers"),
        "his_twice": TrainedControl(label=claims.HIS_TWICE, vectors="his_twice"),
    }
)
"""By the name of their folder inside the adapter's."""

Catalogue = Callable[[], Iterable[Item]]
"""Returns every item that a crowd may be taken from; ids and categories are enough."""

_TRIES = 64
"""Other items looked at, in the category and again in the whole catalogue, for one that has peers to compare with."""
_CHUNK = 4096
"""Items whose sums are held at once."""


def with_vectors(contexts: ContextBuilder, vectors: Vectors, *, catalogue: Catalogue, seed: int) -> Contexts:
    """The contexts with their difference slots filled as ``vectors`` says; every slot stays where it is.

    Args:
        contexts: Bring the right vectors.
        vectors: What to fill in.
        catalogue: For ``shuffled_peers``; not asked otherwise.
        seed: Of which crowd stands in, for ``shuffled_peers``.
    """
    if vectors == "his_twice":
        return HisTwice(contexts)
    return ShuffledPeers(contexts, catalogue, seed=seed) if vectors == "shuffled_peers" else contexts


class HisTwice:
    """``e_his`` in both slots of an entry: as many slots, without the difference.

    Args:
        contexts: Where the right contexts come from.
    """

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries."""
        return [replace(c, entries=tuple(map(_twice, c.entries))) for c in self._contexts.build(samples)]


def _twice(entry: Entry) -> Entry:
    return entry if entry.e_diff is None else replace(entry, e_diff=entry.e_his)


class ShuffledPeers:
    """The difference to the wrong crowd: own vector minus the peers' of another item of the same category.

    Which item is decided by the seed and the review alone, so that a review meets the same crowd in training and at
    test, whatever it is built together with. It is never the item that is written about, whose crowd would help.

    Args:
        contexts: Where the right contexts come from.
        catalogue: See ``Catalogue``; read when first needed.
        seed: Of which item stands in.

    Raises:
        ConfigError: The contexts bring no vectors.
    """

    def __init__(self, contexts: ContextBuilder, catalogue: Catalogue, *, seed: int) -> None:
        if contexts.encoder is None:
            raise ConfigError("shuffled peers need vectors", hint="build the contexts with an encoder")
        self._contexts, self._catalogue, self._seed, self._encoder = contexts, catalogue, seed, contexts.encoder
        config = contexts.config
        self._compare = COMPARISONS[config.peer_weighting](contexts.reader, self._encoder, config.min_peers)

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each difference taken to another item's peers.

        Raises:
            InputError: There is no other item whose peers could stand in.
        """
        return [self._to_wrong_crowds(context) for context in self._contexts.build(samples)]

    def _to_wrong_crowds(self, context: Context) -> Context:
        entries = list(context.entries)
        missing = [k for k, entry in enumerate(entries) if entry.e_diff is not None]
        others = {k: self._others(entries[k], context.sample) for k in missing}
        while missing:
            # To the comparison a review that says it is of another item is one of that item: the same rules hold.
            moved = [replace(entries[k].review, item=next(others[k])) for k in missing]
            own = np.stack([entries[k].e_his for k in missing])
            diff, n_peers = self._compare(moved, own, history=self._history(context), before=self._before(context))
            for row, k in enumerate(missing):
                entries[k] = replace(entries[k], e_diff=diff[row], n_peers=int(n_peers[row]))
            missing = [k for k in missing if not entries[k].n_peers]
        return replace(context, entries=tuple(entries))

    def _others(self, entry: Entry, sample: Sample) -> Iterator[ItemId]:
        """Items to try, at random: of the entry's category, then of any."""
        digest = blake2b(entry.review.id.encode(), digest_size=8).digest()
        rng = np.random.default_rng([self._seed, int.from_bytes(digest, "big")])
        for pool in (self._crowds.get(entry.item.category, []), self._everywhere):
            for place in rng.integers(len(pool), size=_TRIES).tolist() if pool else []:
                if pool[place] not in (entry.review.item, sample.item):
                    yield pool[place]
        raise InputError(
            f"no other item's peers can stand in for those of {entry.review.item!r}",
            hint="shuffled peers need a corpus in which several items have peers",
        )

    def _history(self, context: Context) -> list[Review]:
        sample = context.sample
        profile = self._contexts.reader.profile(sample.user, before=sample.moment)
        return [review for review in profile if review.id != sample.target]

    def _before(self, context: Context) -> int | None:
        return time_cut(context.sample) if self._contexts.config.peers_before else None

    @cached_property
    def _crowds(self) -> dict[str, list[ItemId]]:
        """Items with enough reviews to be compared with, by category, in the order of their ids."""
        items = {item.id: item.category for item in self._catalogue()}
        ids = sorted(items)
        chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
        enough = [n > 0 for chunk in chunks for n in self._counts(chunk)]
        crowds: dict[str, list[ItemId]] = {}
        for item, usable in zip(ids, enough, strict=True):
            if usable:
                crowds.setdefault(items[item], []).append(item)
        return crowds

    @cached_property
    def _everywhere(self) -> list[ItemId]:
        return [item for crowd in self._crowds.values() for item in crowd]

    def _counts(self, items: Sequence[ItemId]) -> list[int]:
        reader, min_peers = self._contexts.reader, self._contexts.config.min_peers
        return reader.peer_sums(items, exclude=UserId(""), encoder=self._encoder, at_least=min_peers).counts.tolist()
