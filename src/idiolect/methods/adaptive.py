"""Extraction that goes on while it pays: the papers' open question of how many calls a user's differences are worth.

Calls go through the anchors, best first, and then through them again as further independent draws. The result comes
with its curve of quality against cost, and with why it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from idiolect.difference.language.feature import Feature
from idiolect.difference.language.schema import FEATURES_SCHEMA
from idiolect.errors import ConfigError
from idiolect.llm.usage import price_of
from idiolect.methods.allowance import AdaptiveConfig
from idiolect.methods.census import Census, Question
from idiolect.methods.comparison import Case
from idiolect.methods.extraction import Extraction, claim_of
from idiolect.methods.portrait import Portrait
from idiolect.methods.roles import Answer
from idiolect.methods.validation import Checks


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveExtraction:
    """Draws in rounds; each round asks the next calls of every sample that is still worth some, in one batch.

    A call that gave no answer counts as a call that found nothing.

    Raises:
        ConfigError: Money is bounded and nothing is known of what a call costs.
    """

    once: Extraction
    checks: Checks | None = field(default_factory=Checks)
    """What makes a difference valid while counting."""
    config: AdaptiveConfig = field(default_factory=AdaptiveConfig)

    def __post_init__(self) -> None:
        if self.config.max_cost is not None and price_of(self.once.role.llm) is None:
            raise ConfigError(
                f"adaptive.max_cost bounds money, and {self.once.role.llm.name} has no price",
                hint="set the extractor's endpoint.price, or bound max_calls or max_tokens instead",
            )

    def __call__(self, portraits: Sequence[Portrait]) -> list[Portrait]:
        """See ``portrait.Stage``; recorded are the stages ``curve`` and ``extract (end)``."""
        censuses = [Census(portrait, self.config, self.once) for portrait in portraits]
        while wanted := [(census, question) for census in censuses for question in census.wanted()]:
            for (census, question), answer in zip(wanted, self._ask([one for _, one in wanted]), strict=True):
                census.hear(question, answer)
            self._count(censuses)
        return [census.portrait() for census in censuses]

    def _ask(self, wanted: Sequence[Question]) -> list[Answer]:
        """An answer each, in order; calls that are made in the same way go together."""
        answers: dict[int, Answer] = {}
        role = self.once.role
        for replicate, new_tokens in sorted({(one.replicate, one.new_tokens) for one in wanted}):
            places = [k for k, one in enumerate(wanted) if (one.replicate, one.new_tokens) == (replicate, new_tokens)]
            # Whether thinking goes on is for the census to decide, which knows the budget.
            params = role.params.model_copy(update={"max_new_tokens": new_tokens})
            asked = replace(role, params=params, thinking_limit=1)
            found = asked.ask([wanted[k].prompt for k in places], schema=FEATURES_SCHEMA, replicate=replicate)
            answers |= dict(zip(places, found, strict=True))
        return [answers[k] for k in range(len(wanted))]

    def _count(self, censuses: Sequence[Census]) -> None:
        """Every finished draw, its claims checked; all of a round together."""
        draws = [(census, *one) for census in censuses for one in census.finished()]
        valid = self._valid([case for _, case, _, _ in draws], [draw.features for *_, draw in draws])
        for (census, _, replicate, draw), claims in zip(draws, valid, strict=True):
            census.add(replicate, draw, claims)

    def _valid(self, cases: Sequence[Case], features: Sequence[Sequence[Feature]]) -> list[set[object]]:
        checked = features if self.checks is None else self.checks(cases, features)
        return [{claim_of(feature) for feature in own if feature.valid} for own in checked]
