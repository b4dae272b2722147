"""Methods with ground truth as input: upper references for what text, and what soft vectors, say about a user.

Sanity check: can the backbone be steered by words, and by soft vectors, when both say the truth?

Asked before any adapter is fitted to embeddings: a backbone that does not follow an oracle shows nothing about DEP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from idiolect.context import Context
from idiolect.evaluation.significance import Comparison, Resamples, compare
from idiolect.experiments.study.arms import SeedWorld
from idiolect.experiments.study.config import StudyConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import Contexts
from idiolect.methods.dep import DEP
from idiolect.methods.drp import DRP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.metrics.base import Mean
from idiolect.pipeline.fit import make_examples
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.sandbox.annotations import sentence
from idiolect.sandbox.traits import describe
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.fit import fit_adapter
from idiolect.types import Prompt, Sample


class OracleProfile:
    """DRP's prompt without history, its profile the user's true traits in plain words.

    Args:
        contexts: Only their items are used.
        effects: User to true effect, float (n_traits,).
        prompt: How the prompt is rendered.
        traits: How many of the strongest are named.
    """

    def __init__(
        self, contexts: Contexts, effects: Mapping[str, np.ndarray], *, prompt: PromptConfig, traits: int
    ) -> None:
        self._contexts, self._effects, self._prompt, self._traits = contexts, effects, prompt, traits

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """One prompt a sample."""
        return [
            render(DRP.template, replace(context, entries=()), self._prompt, profile=self._profile(context.sample.user))
            for context in self._contexts.build(samples)
        ]

    def _profile(self, user: str) -> str:
        return sentence(describe(self._effects[user], k=self._traits))


class OracleVectors:
    """The user's true effect instead of every vector: what a perfect encoder and difference would give.

    Args:
        contexts: Where the right contexts come from.
        effects: User to true effect, float (n_traits,).
    """

    def __init__(self, contexts: Contexts, effects: Mapping[str, np.ndarray]) -> None:
        self._contexts, self._effects = contexts, effects

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The samples with their own entries, each holding the truth."""
        return [self._told(context) for context in self._contexts.build(samples)]

    def _told(self, context: Context) -> Context:
        effect = self._effects[context.sample.user].astype(np.float32)
        entries = (replace(e, e_his=effect, e_diff=None if e.e_diff is None else effect) for e in context.entries)
        return replace(context, entries=tuple(entries))


PLAIN, TEXT, SOFT = "Non-Perso", "oracle profile", "oracle vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Nats a review, and what each oracle gains over Non-Perso."""

    nats: Mapping[str, float]
    gains: Mapping[str, Comparison]
    threshold: float
    samples: int

    @property
    def passed(self) -> bool:
        """Whether both oracles gain at least the threshold."""
        return all(gain.difference >= self.threshold for gain in self.gains.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a result file."""
        gains = {name: gain._asdict() for name, gain in self.gains.items()}
        return {**asdict(self), "gains": gains, "passed": self.passed}


def run_sanity_check(world: SeedWorld, llm: TransformersLLM, config: StudyConfig) -> GateResult:
    """Measure both oracles against Non-Perso on the test samples of one seed.

    Args:
        world: The seed.
        llm: The backbone.
        config: The study; the oracle's soft prompt is fitted like an adapter without text.
        progress: Show bars.
    """
    settings = config.settings.model_copy(
        update={"prompt": config.settings.prompt.model_copy(update={"with_text": False})}
    )
    data = world.data(settings)
    samples, contexts = data.samples("test"), data.contexts("test")
    effects = dict(zip(world.truth.users, world.truth.user_effects, strict=True))
    adapter = _fit(world, llm, config, OracleVectors(data.contexts("fit"), effects))
    methods = {
        PLAIN: NonPersonalized(llm, contexts, prompt=settings.prompt),
        TEXT: OracleProfile(contexts, effects, prompt=settings.prompt, traits=config.sanity_check.traits),
        SOFT: DEP(llm, OracleVectors(contexts, effects), adapter, prompt=settings.prompt),
    }
    references = [sample.reference or "" for sample in samples]
    nats = {name: llm.negative_log_likelihood(m.prompts(samples), references) for name, m in methods.items()}
    return _result(nats, [sample.user for sample in samples], config)


def _fit(world: SeedWorld, llm: TransformersLLM, config: StudyConfig, contexts: OracleVectors) -> Adapter:
    """A soft prompt of the true effects: projected without refinement."""
    settings = config.settings.model_copy(
        update={"prompt": config.settings.prompt.model_copy(update={"with_text": False})}
    )
    data = world.data(settings)
    shape = AdapterConfig(d_in=world.truth.user_effects.shape[1], hidden_size=llm.hidden_size, refine="none")
    adapter = Adapter(shape, torch.Generator().manual_seed(world.seed))
    fit_adapter(
        llm.model,
        adapter,
        make_examples(DEP(llm, contexts, adapter, prompt=settings.prompt), llm.prompts, data.samples("fit")),
        config=settings.fit.model_copy(update={"max_steps": config.sanity_check.max_steps}),
        folder=_folder(world),
        pad_id=llm.prompts.pad_id,
        depends={"backbone": llm.name},
    )
    return adapter


def _folder(world: SeedWorld) -> Path:
    return world.folder / "adapters" / "oracle"


def _result(nats: Mapping[str, np.ndarray], users: list[str], config: StudyConfig) -> GateResult:
    rng = np.random.default_rng([config.settings.seed, 11])
    draws = Resamples(len(users), rng, clusters=users, resamples=config.settings.resamples)
    gained = Mean("nats", greater_is_better=True)
    scored = {name: draws.score(gained, -values) for name, values in nats.items()}
    return GateResult(
        nats={name: float(values.mean()) for name, values in nats.items()},
        gains={name: compare(scored[name], scored[PLAIN]) for name in (TEXT, SOFT)},
        threshold=config.sanity_check.nats,
        samples=len(users),
    )
