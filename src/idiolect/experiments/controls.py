"""Methods fed wrongly on purpose: whether a gain is personal shows in what it loses so.

These need no training; ``variants`` has those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from idiolect.context.base import Context, Entry
from idiolect.errors import InputError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, Method, write
from idiolect.prompts.render import PromptConfig, render
from idiolect.types import Prediction, Prompt, Sample


@dataclass(frozen=True, slots=True)
class Named:
    """A method under another name, for tables in which it stands more than once."""

    method: Method
    name: str

    @property
    def needs(self) -> frozenset[str]:
        """See ``Method.needs``."""
        return self.method.needs

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return self.method.prompts(samples)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        return [replace(prediction, method=self.name) for prediction in self.method.generate(samples)]


class NoAdapter:
    """DEP's prompt without its slots, their lines and the guidance that speaks of them.

    What DEP gains over it is what its soft vectors bring. With text it is RAG's prompt to the letter; without, it says
    what the user reviewed and how they rated it.

    Args:
        llm: Writes.
        contexts: DEP's.
        params: How tokens are drawn.
        prompt: DEP's.
        name: For tables.
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        llm: LLM,
        contexts: Contexts,
        *,
        params: SamplingParams | None = None,
        prompt: PromptConfig | None = None,
        name: str = "dep: no adapter",
    ) -> None:
        self.name, self.llm, self.contexts = name, llm, contexts
        self.params = params or SamplingParams()
        # Differences alone have slots, and no entry has a difference.
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
        return render("dep", replace(context, entries=bare), self.prompt)


class WrongUser:
    """Another user's history, text and vectors, for every sample: for any method that reads a history.

    Args:
        contexts: Where the right contexts come from.
        seed: Of who stands in for whom.
    """

    def __init__(self, contexts: Contexts, *, seed: int) -> None:
        self._contexts, self._seed = contexts, seed

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their donors' entries."""
        own = self._contexts.build(samples)
        return [replace(c, entries=own[d].entries) for c, d in zip(own, donors(own, self._seed), strict=True)]


class OtherVectors:
    """The user's own text beside another user's vectors: whether the vectors themselves are read.

    Every slot stays where it is; only what fills it changes.
    """

    def __init__(self, contexts: Contexts, *, seed: int) -> None:
        self._contexts, self._seed = contexts, seed

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each holding a donor's vectors."""
        own = self._contexts.build(samples)
        return [
            replace(context, entries=_with_vectors(context.entries, own[donor].entries))
            for context, donor in zip(own, donors(own, self._seed), strict=True)
        ]


def donors(contexts: Sequence[Context], seed: int) -> np.ndarray:
    """int64 (n,): for every context another user's, of the same category and not about the sample's own item.

    Where nobody of the category has history (and a difference), anybody else stands in: a wrong user who reviews other
    things would be wrong for that alone.

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


def _strange(donor: Context, context: Context) -> bool:
    """Whether the donor's history says nothing about the sample's item."""
    return all(entry.review.item != context.sample.item for entry in donor.entries)


def _with_vectors(entries: Sequence[Entry], donor: Sequence[Entry]) -> tuple[Entry, ...]:
    his = cycle([entry.e_his for entry in donor])
    differences = [entry.e_diff for entry in donor if entry.e_diff is not None]
    diff = cycle(differences)
    return tuple(
        replace(entry, e_his=next(his), e_diff=next(diff) if entry.e_diff is not None and differences else entry.e_diff)
        for entry in entries
    )
