"""PAG, DPL and DRP as settings name them: who plays which role, what is compared, how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field

from idiolect.config import Config
from idiolect.llm.base import SamplingParams
from idiolect.llm.config import BackboneConfig
from idiolect.methods.comparison import ComparisonConfig
from idiolect.methods.dimensions import Dimensions
from idiolect.methods.pipeline import StageConfig
from idiolect.retrieval.table import encodes

DifferenceMethod = Literal["pag", "dpl", "drp"]
"""The methods that put a user into words before they write."""

DIFFERENCE_METHODS: tuple[DifferenceMethod, ...] = get_args(DifferenceMethod)

ROLES = ("extractor", "validator", "summarizer", "generator")
"""E, V, S and G: the fields of ``DifferenceConfig`` that hold a ``RoleConfig``."""


class RoleSampling(SamplingParams):
    """How a role's tokens are drawn: greedily, as in the DRP program."""

    temperature: float = Field(default=0, ge=0)
    """0 is greedy."""
    max_new_tokens: int = Field(default=2048, gt=0)


class RoleConfig(Config):
    """Who plays a role: the run's own model unless another one is named."""

    backbone: BackboneConfig | None = None
    """A model of its own, in this process or behind an endpoint; None: the run's own."""
    sampling: RoleSampling = RoleSampling()
    """How its tokens are drawn."""
    thinks: bool = False
    """The model, in this process, thinks before every answer; an endpoint has this setting itself."""
    thinking_limit: int = Field(default=16_384, gt=0)
    """Most new tokens for thinking that did not end: it is asked for again with twice as many up to here."""


class DifferenceConfig(Config):
    """How PAG, DPL and DRP work. By default only the writer is a model, so that they run anywhere.

    ``extractor: {}`` gives a role to the run's own model.
    """

    extractor: RoleConfig | None = None
    """E; None: differences are measured (stylometry)."""
    validator: RoleConfig | None = None
    """V, for DRP; None: only the checks that cost no call."""
    summarizer: RoleConfig | None = None
    """S; None: a template puts what was found into a sentence."""
    generator: RoleConfig | None = None
    """G; None: the run's own model, sampled as everywhere in the run."""
    judge: RoleConfig | None = None
    """Counts what an evaluation's methods found (UVQ), and has no part in what they write; None: the validated
    differences are counted as they are."""
    comparison: ComparisonConfig = ComparisonConfig()
    """Which reviews are compared with whose."""
    dimensions: Dimensions | None = None
    """What E compares along: ``fixed``, ``auto`` or a list; None: fixed for DPL, auto for DRP."""
    stages: StageConfig = StageConfig()
    """How differences are found and told."""
    norm_users: int = Field(default=200, ge=2)
    """Users whose reviews are the norm for PAG without a summarizer."""

    @property
    def roles(self) -> Mapping[str, RoleConfig]:
        """The roles that a model plays, by their fields' names."""
        given = {name: getattr(self, name) for name in ROLES}
        return {name: role for name, role in given.items() if role is not None}

    @property
    def asked(self) -> Mapping[str, RoleConfig]:
        """The same, and the judge where there is one."""
        return {**self.roles, **({} if self.judge is None else {"judge": self.judge})}

    @property
    def clusters(self) -> bool:
        """Whether representatives are chosen by their vectors: not where no model reads them, or they are drawn."""
        shown = self.extractor is not None or self.validator is not None
        return shown and self.comparison.selector != "random"

    @property
    def reads_vectors(self) -> bool:
        """Whether DPL and DRP choose representatives or anchors by vectors."""
        return self.clusters or encodes(self.comparison.retriever)

    @property
    def backbones(self) -> tuple[BackboneConfig, ...]:
        """The models that some role, or the judge, has to itself."""
        return tuple(role.backbone for role in self.asked.values() if role.backbone is not None)
