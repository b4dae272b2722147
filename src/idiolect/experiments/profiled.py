"""PAG, DPL and DRP in a table: a user is studied once for all that is asked of a method, its control included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from idiolect.experiments.controls import donors
from idiolect.llm.usage import Usage
from idiolect.methods.dpl import DPL
from idiolect.methods.drp import DRP
from idiolect.methods.pag import PAG
from idiolect.methods.portrait import Portrait
from idiolect.methods.writing import final_prompts, write_profiled
from idiolect.types import Prediction, Prompt, Sample

Portraits = Callable[[Sequence[Sample]], list[Portrait]]
"""What is known of every sample's user, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """The last step of a method: it writes from portraits that come from anywhere."""

    method: PAG | DPL | DRP
    """Whose prompt and writer are used."""
    portraits: Portraits
    name: str
    """For tables."""
    needs: frozenset[str] = frozenset()

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return final_prompts(self.method.name, self.portraits(samples), self.method.prompt)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        portraits = self.portraits(samples)
        prompts = final_prompts(self.method.name, portraits, self.method.prompt)
        return write_profiled(self.name, self.method.writer, portraits, prompts)


class Once:
    """Portraits that are made when they are first asked for and then kept, for E, V and S are what a method costs.

    Args:
        portraits: Makes them.
    """

    def __init__(self, portraits: Portraits) -> None:
        self._make = portraits
        self._made: tuple[tuple[Sample, ...], list[Portrait]] = ((), [])

    def __call__(self, samples: Sequence[Sample]) -> list[Portrait]:
        """Of the samples that were asked about last; others are studied anew."""
        asked = tuple(samples)
        if self._made[0] != asked:
            self._made = (asked, self._make(asked))
        return self._made[1]


class WrongUsers:
    """Another user's portrait for every sample: their past reviews, how they differ, their profile.

    Args:
        portraits: Of the right users.
        seed: Of who stands in for whom.
    """

    def __init__(self, portraits: Portraits, *, seed: int) -> None:
        self._portraits, self._seed = portraits, seed

    def __call__(self, samples: Sequence[Sample]) -> list[Portrait]:
        """The donors' portraits, each made about the sample's own item.

        Raises:
            InputError: No two users have history.
        """
        own = self._portraits(samples)
        chosen = donors([portrait.context for portrait in own], self._seed)
        return [_lent(own[donor], to=portrait) for portrait, donor in zip(own, chosen, strict=True)]


def _lent(donor: Portrait, *, to: Portrait) -> Portrait:
    """The donor's portrait with the sample of another; what it took was paid for when it was made."""
    context = replace(to.context, entries=donor.context.entries)
    return replace(donor, context=context, usage={stage: _paid(took) for stage, took in donor.usage.items()})


def _paid(usage: Usage) -> Usage:
    return replace(usage, cached=usage.calls, spent=0.0)
