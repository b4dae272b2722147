"""What the sandbox study is made of: the world, two disjoint sets of seeds, and the adapters that are compared."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from idiolect.config import Config, build, merge
from idiolect.context import ContextConfig
from idiolect.data.split_config import SplitConfig
from idiolect.experiments.study.probes import ProbeConfig
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig
from idiolect.methods.base import ADAPTER_METHOD
from idiolect.methods.controls import HISTORY_TWICE, SHUFFLED_PEERS
from idiolect.pipeline.settings import Settings, TargetConfig
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.training.config import FitConfig
from idiolect.types import ConditionId


class SanityCheckConfig(Config):
    """Whether the backbone can be steered at all: asked before any adapter is fitted."""

    nats: float = Field(default=2.0, ge=0)
    """Nats a review by which each oracle must beat Non-Perso."""
    traits: int = Field(default=16, ge=1)
    """Traits that the oracle's text profile names."""
    max_steps: int = Field(default=300, ge=1)
    """Steps of the oracle's soft prompt."""
    required: bool = True
    """Stop where the sanity check fails."""


class Arm(Config):
    """An adapter that is fitted, and what is run with it."""

    name: str
    """Of the method that it is, or whose control it is."""
    control: str | None = None
    """Which control of the method it is; None: the method itself."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings laid on the study's."""
    constant: bool = False
    """Also fit a constant soft prompt with as many virtual tokens and steps."""
    controls: bool = False
    """Also feed it another user's vectors, and another user's history."""
    main: bool = False
    """Fitted on every seed; the others on the first alone."""
    after: str | None = None
    """The method whose adapter it is trained on from; None: from scratch."""
    texts: bool = False
    """Whether it also writes texts, to be scored; the likelihood is always computed."""

    @property
    def id(self) -> ConditionId:
        """The key in tables and files."""
        return ConditionId(self.name, self.control)


_BARE: dict[str, Any] = {"prompt": {"with_text": False}}
ARMS: tuple[Arm, ...] = (
    Arm(name="dep without text", changes=_BARE, constant=True, controls=True, main=True, texts=True),
    Arm(name="dep without text", control=HISTORY_TWICE, changes={**_BARE, "vectors": "his_twice"}, main=True),
    Arm(name="dep without text", control=SHUFFLED_PEERS, changes={**_BARE, "vectors": "shuffled_peers"}, main=True),
    Arm(
        name=ADAPTER_METHOD,
        changes={"fit": {"max_steps": 50}},
        after="dep without text",
        constant=True,
        controls=True,
        main=True,
        texts=True,
    ),
    Arm(name="his without text", changes={**_BARE, "adapter": {"streams": "his"}}),
    Arm(name="diff without text", changes={**_BARE, "adapter": {"streams": "diff"}}),
)


class StudyConfig(Config):
    """The study as published; every figure of ``docs/study.md`` comes from these values."""

    world: WorldConfig = WorldConfig(n_users=600, n_items=320, reviews_per_user=(11, 15), user_sd=5.0)
    """Each seed is a world of its own: other users, other items, the same law of how genres make people write."""
    development_seeds: tuple[int, ...] = (11, 12, 13)
    """For looking, tuning and mending."""
    report_seeds: tuple[int, ...] = (201, 202, 203)
    """For the published figures; nothing is tuned on them."""
    phase: Literal["development", "report"] = "report"
    """Which seeds are run."""
    split: SplitConfig = SplitConfig.preset("small", train=4)
    """What is held out."""
    settings: Settings = Settings(
        encoder="style",
        adapter={"d_sae": 48},
        backbone=BackboneConfig(max_prompt_tokens=1024, batch_size=32),
        context=ContextConfig(k=3),
        prompt=PromptConfig(guidance=True),
        targets=TargetConfig(train_per_user="all", max_validation=48, max_test=320),
        fit=FitConfig(max_steps=200, learning_rate=5e-3, metric="nll"),
        sampling=SamplingParams(max_new_tokens=120),
        controls=(),
    )
    """Of every arm, before its own changes."""
    arms: tuple[Arm, ...] = ARMS
    """Fitted in this order."""
    sanity_check: SanityCheckConfig = SanityCheckConfig()
    """Steerability of the backbone."""
    probes: ProbeConfig = ProbeConfig()
    """Of the first seed's world, and of worlds of the same seed with other knobs."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of the phase; the first also runs the arms that are not main."""
        return self.report_seeds if self.phase == "report" else self.development_seeds

    def settings_of(self, arm: Arm) -> Settings:
        """The study's settings with an arm's changes.

        Raises:
            ConfigError: The arm changes a setting that there is not.
        """
        values = merge(self.settings.model_dump(), {"controls": ["constant"] if arm.constant else [], **arm.changes})
        return build(Settings, values, where=f"arm {str(arm.id)!r}")

    def arms_of(self, seed: int) -> tuple[Arm, ...]:
        """What is fitted on a seed."""
        return tuple(arm for arm in self.arms if arm.main or seed == self.seeds[0])

    @model_validator(mode="after")
    def _sound(self) -> Self:
        shared = set(self.development_seeds) & set(self.report_seeds)
        if shared:
            raise ValueError(f"seed {min(shared)} is both for development and for the report")
        seen: set[ConditionId] = set()
        for arm in self.arms:
            if arm.id in seen or (arm.after is not None and ConditionId(arm.after) not in seen):
                raise ValueError(f"arm {str(arm.id)!r}: names differ, and an arm comes after the one it goes on from")
            seen.add(arm.id)
        return self
