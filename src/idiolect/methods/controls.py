"""Negative controls: methods with mismatched inputs.

What a method loses under a control shows whether its gain is personal. Some controls need no training: another user's
history or vectors, no adapter. Others are adapters fitted like DEP's, with as many virtual tokens and steps, whose
difference virtual tokens have other contents, so that DEP's gain over them comes from the difference.

PAG, DPL and DRP write from profiles, which are made once for a method and its control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import cycle
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from idiolect.context import COMPARISONS, Context, ContextBuilder, Entry
from idiolect.errors import ConfigError, InputError
from idiolect.llm.base import LLM, SamplingParams, Usage
from idiolect.methods.base import ADAPTER_METHOD, Contexts, Method, Requirements, write
from idiolect.methods.peer_comparison import PeerComparison, PeerComparisons
from idiolect.methods.roles import Role
from idiolect.methods.stages import ProfileState
from idiolect.methods.summarize import final_prompts, write_profiled
from idiolect.peers import time_cut
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import Item, ItemId, Prediction, Prompt, Review, Sample, UserId

NO_ADAPTER = "no adapter"
OTHER_VECTORS = "another user's vectors"
WRONG_USER = "wrong user"
CONSTANT = "trained constant"
SHUFFLED_PEERS = "shuffled peers"
HISTORY_TWICE = "his twice"


class NoAdapter:
    """DEP's prompt without its virtual tokens, their lines and the guidance that speaks of them.

    What DEP gains over it is what its soft vectors bring. With text it is RAG's prompt to the letter; without, it says
    what the user reviewed and how they rated it.

    Args:
        llm: Writes.
        contexts: DEP's.
        params: How tokens are drawn.
        prompt: DEP's.
        name: Of the method whose adapter is left out.
        template: Of that method's prompt.
    """

    requires: Requirements = Requirements(vectors=True)

    def __init__(
        self,
        llm: LLM,
        contexts: Contexts,
        *,
        params: SamplingParams | None = None,
        prompt: PromptConfig | None = None,
        name: str = ADAPTER_METHOD,
        template: str = ADAPTER_METHOD,
    ) -> None:
        self.name, self.llm, self.contexts, self.template = name, llm, contexts, template
        self.params = params or SamplingParams()
        # Differences alone have virtual tokens, and no entry has a difference.
        self.prompt = (prompt or PromptConfig()).model_copy(update={"streams": "diff", "guidance": False})

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return [self._render(context) for context in self.contexts.build(samples)]

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        contexts = self.contexts.build(samples)
        return write(self.name, self.llm, self.params, samples, contexts, [self._render(c) for c in contexts])

    def _render(self, context: Context) -> Prompt:
        bare = tuple(replace(entry, e_diff=None) for entry in context.entries)
        return render(self.template, replace(context, entries=bare), self.prompt)


class WrongUser:
    """Another user's history, text and vectors, for every sample: for any method that reads a history.

    Args:
        contexts: Where the right contexts come from.
        seed: Seed of the mismatched users.
    """

    def __init__(self, contexts: Contexts, *, seed: int) -> None:
        self._contexts, self._seed = contexts, seed

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with the entries of mismatched users."""
        own = self._contexts.build(samples)
        lent = [own[other] for other in mismatched_users(own, self._seed)]
        return [replace(c, entries=d.entries, past=d.past) for c, d in zip(own, lent, strict=True)]


class WrongUserCases:
    """The comparisons of the user whose history ``WrongUser`` gives, for every sample.

    Args:
        contexts: Where the right contexts come from.
        comparisons: Where the right comparisons come from.
        seed: That of ``WrongUser``.
    """

    def __init__(self, contexts: Contexts, comparisons: PeerComparisons, *, seed: int) -> None:
        self._contexts, self._comparisons, self._seed = contexts, comparisons, seed

    def build(self, samples: Sequence[Sample]) -> list[tuple[PeerComparison, ...]]:
        """The comparisons of the mismatched users."""
        own = self._comparisons.build(samples)
        return [own[other] for other in mismatched_users(self._contexts.build(samples), self._seed)]


class OtherVectors:
    """The user's own text with another user's vectors, to test whether the vectors are used.

    The virtual tokens stay; only their contents change.
    """

    def __init__(self, contexts: Contexts, *, seed: int) -> None:
        self._contexts, self._seed = contexts, seed

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each holding another user's vectors."""
        own = self._contexts.build(samples)
        return [
            replace(context, entries=_with_vectors(context.entries, own[other].entries), past=own[other].past)
            for context, other in zip(own, mismatched_users(own, self._seed), strict=True)
        ]


def mismatched_users(contexts: Sequence[Context], seed: int) -> np.ndarray:
    """int64 (n,): for every context another user's, of the same category and not about the sample's own item.

    If no user of the category has history (and a difference), a user of another category is taken; otherwise other
    topics alone would make the user wrong.

    Raises:
        InputError: No two users have history.
    """
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(contexts)).tolist()
    compared = [i for i in order if any(entry.e_diff is not None for entry in contexts[i].entries)]
    usable = compared or [i for i in order if contexts[i].entries]
    if len({contexts[i].sample.user for i in usable}) < 2:
        raise InputError("controls need at least two users with history", hint="evaluate more samples")
    starts = rng.integers(len(usable), size=len(contexts))
    rings = [usable[start:] + usable[:start] for start in starts]
    return np.array([_donor(context, contexts, ring) for context, ring in zip(contexts, rings, strict=True)])


def _donor(context: Context, contexts: Sequence[Context], ring: Sequence[int]) -> int:
    others = [i for i in ring if contexts[i].sample.user != context.sample.user]
    near = (i for i in others if contexts[i].item.category == context.item.category and _strange(contexts[i], context))
    return next(near, others[0])


def _strange(other: Context, context: Context) -> bool:
    """Whether the other user did not review the sample's item."""
    return all(entry.review.item != context.sample.item for entry in other.entries)


def _with_vectors(entries: Sequence[Entry], other: Sequence[Entry]) -> tuple[Entry, ...]:
    his = cycle([entry.e_his for entry in other])
    differences = [entry.e_diff for entry in other if entry.e_diff is not None]
    diff = cycle(differences)
    return tuple(
        replace(entry, e_his=next(his), e_diff=next(diff) if entry.e_diff is not None and differences else entry.e_diff)
        for entry in entries
    )


Vectors = Literal["right", "shuffled_peers", "his_twice"]
"""``right``: ``e_diff``. ``shuffled_peers``: the difference to the peers of another item of the same category.
``his_twice``: ``e_his`` again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedControl:
    """An adapter fitted as DEP's is, on as many virtual tokens and steps, but for what its virtual tokens hold."""

    label: str
    """Name of the control in tables."""
    constant: bool = False
    """Embeddings that are trained without any vectors."""
    vectors: Vectors = "right"
    """What takes the place of ``e_diff``; only of adapters that read it (``dep``)."""


TRAINED_CONTROLS: Mapping[str, TrainedControl] = MappingProxyType(
    {
        "constant": TrainedControl(label=CONSTANT, constant=True),
        "shuffled_peers": TrainedControl(label=SHUFFLED_PEERS, vectors="shuffled_peers"),
        "his_twice": TrainedControl(label=HISTORY_TWICE, vectors="his_twice"),
    }
)
"""By the name of their folder inside the adapter's."""

Catalogue = Callable[[], Iterable[Item]]
"""Returns every item that a peer group may be taken from; ids and categories are enough."""

_TRIES = 64
"""Other items looked at, in the category and again in the whole catalogue, for one that has peers to compare with."""
_CHUNK = 4096
"""Items whose sums are held at once."""


def with_vectors(contexts: ContextBuilder, vectors: Vectors, *, catalogue: Catalogue, seed: int) -> Contexts:
    """The contexts with their difference virtual tokens filled as ``vectors`` says; every token keeps its place.

    Args:
        contexts: Bring the right vectors.
        vectors: What to fill in.
        catalogue: For ``shuffled_peers``; not asked otherwise.
        seed: Seed of the other peer group, for ``shuffled_peers``.
    """
    if vectors == "his_twice":
        return HisTwice(contexts)
    return ShuffledPeers(contexts, catalogue, seed=seed) if vectors == "shuffled_peers" else contexts


class HisTwice:
    """``e_his`` in both virtual tokens of an entry: as many virtual tokens, without the difference.

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
    """The difference to the wrong peer group: own vector minus the peers' of another item of the same category.

    The seed and the review alone decide which item, so that a review meets the same peer group in training and at test,
    whatever it is built together with. It is never the item that is written about, whose peers would help.

    Args:
        contexts: Where the right contexts come from.
        catalogue: See ``Catalogue``; read when first needed.
        seed: Seed of the other item.

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
            InputError: No other item has peers.
        """
        return [self._to_wrong_groups(context) for context in self._contexts.build(samples)]

    def _to_wrong_groups(self, context: Context) -> Context:
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
        for pool in (self._groups.get(entry.item.category, []), self._everywhere):
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
    def _groups(self) -> dict[str, list[ItemId]]:
        """Items with enough reviews to be compared with, by category, in the order of their ids."""
        items = {item.id: item.category for item in self._catalogue()}
        ids = sorted(items)
        chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
        enough = [n > 0 for chunk in chunks for n in self._counts(chunk)]
        groups: dict[str, list[ItemId]] = {}
        for item, usable in zip(ids, enough, strict=True):
            if usable:
                groups.setdefault(items[item], []).append(item)
        return groups

    @cached_property
    def _everywhere(self) -> list[ItemId]:
        return [item for group in self._groups.values() for item in group]

    def _counts(self, items: Sequence[ItemId]) -> list[int]:
        reader, min_peers = self._contexts.reader, self._contexts.config.min_peers
        return reader.peer_sums(items, exclude=UserId(""), encoder=self._encoder, at_least=min_peers).counts.tolist()


ProfileStates = Callable[[Sequence[Sample]], list[ProfileState]]
"""What is known of every sample's user, in order."""


@runtime_checkable
class ProfileMethod(Method, Protocol):
    """A method that writes from a profile of the user, which its control exchanges without a second extraction."""

    template: str
    prompt: PromptConfig
    writer: Role

    def states(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """The profile of every sample's user."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """The last step of a method: it writes from states that come from anywhere."""

    method: ProfileMethod
    """Whose prompt and writer are used."""
    states: ProfileStates

    @property
    def name(self) -> str:
        """See ``Method.name``."""
        return self.method.name

    @property
    def requires(self) -> Requirements:
        """See ``Method.requires``."""
        return self.method.requires

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return final_prompts(self.method.template, self.states(samples), self.method.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        states = self.states(samples)
        prompts = final_prompts(self.method.template, states, self.method.prompt)
        return write_profiled(self.name, self.method.writer, states, prompts)


class Memoized:
    """Profile states that are made when they are first asked for and then kept, for E, V and S are what a method costs.

    Args:
        states: Makes them.
    """

    def __init__(self, states: ProfileStates) -> None:
        self._make = states
        self._made: tuple[tuple[Sample, ...], list[ProfileState]] = ((), [])

    def __call__(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """Of the samples that were asked about last; others are studied anew."""
        asked = tuple(samples)
        if self._made[0] != asked:
            self._made = (asked, self._make(asked))
        return self._made[1]


class WrongUsers:
    """Another user's state for every sample: their past reviews, how they differ, their profile.

    Args:
        states: Of the right users.
        seed: Seed of the mismatched users.
    """

    def __init__(self, states: ProfileStates, *, seed: int) -> None:
        self._states, self._seed = states, seed

    def __call__(self, samples: Sequence[Sample]) -> list[ProfileState]:
        """The mismatched_users' states, each made about the sample's own item.

        Raises:
            InputError: No two users have history.
        """
        own = self._states(samples)
        chosen = mismatched_users([state.context for state in own], self._seed)
        return [_lent(own[other], to=state) for state, other in zip(own, chosen, strict=True)]


def _lent(other: ProfileState, *, to: ProfileState) -> ProfileState:
    """The other user's state with the sample of another; what it took was paid for when it was made."""
    context = replace(to.context, entries=other.context.entries)
    return replace(other, context=context, usage={stage: _paid(took) for stage, took in other.usage.items()})


def _paid(usage: Usage) -> Usage:
    return replace(usage, cached=usage.calls, spent=0.0)
