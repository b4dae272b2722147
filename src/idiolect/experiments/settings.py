"""Everything a run depends on, in one file: what ``fit`` and ``evaluate`` read and record."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from idiolect.config import Config
from idiolect.context.builder import ContextConfig
from idiolect.evaluation.table import METRICS
from idiolect.llm.base import SamplingParams
from idiolect.llm.config import BackboneConfig
from idiolect.prompts.render import PromptConfig
from idiolect.registry import Registry, suggest
from idiolect.retrieval.table import RETRIEVERS
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.config import FitConfig


class TargetConfig(Config):
    """Which of a split's targets are used."""

    train_per_user: Literal["last", "all"] = "last"
    """``last``: every user's most recent train target in each category (DEP paper, section 4.1)."""
    max_validation: int | None = Field(default=512, gt=0)
    """Validation targets drawn at random (DEP paper: 512); None: all."""
    max_test: int | None = Field(default=None, gt=0)
    """Test targets drawn at random; None: all."""
    seed: int = 42
    """Of the draws."""


class Settings(Config):
    """A run from store to table. The defaults are the embedded, offline ones."""

    encoder: str = "minilm"
    """Text encoder: ``minilm``, ``hash``, or any sentence-transformers name or folder (the paper: ``BAAI/bge-m3``)."""
    peers: Literal["corpus", "split"] = "corpus"
    """Whose reviews an item's peers are: everybody's in the store, or only the split's users'. ``write`` reads the live
    store, where everybody is a peer."""
    backbone: BackboneConfig = BackboneConfig()
    """The frozen language model."""
    context: ContextConfig = ContextConfig()
    """What a sample is written from."""
    prompt: PromptConfig = PromptConfig()
    """What of it is shown."""
    targets: TargetConfig = TargetConfig()
    """Which samples."""
    adapter_preset: Literal["small", "paper"] = "small"
    """Starting point of the adapter's settings."""
    adapter: dict[str, Any] = Field(default_factory=dict)
    """Settings of the adapter laid on its preset (``activation``, ``refine``, ``streams``, ...)."""
    fit: FitConfig = FitConfig()
    """How the adapter is trained."""
    constant_control: bool = True
    """Also train a constant soft prompt with as many slots and steps: what training as such gains."""
    sampling: SamplingParams = SamplingParams()
    """How tokens are drawn."""
    metrics: tuple[str, ...] = ("rouge1", "rougeL", "meteor", "bleu")
    """Text metrics; ``bertscore`` needs its extra."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples over users."""
    seed: int = 0
    """Of adapter initialisation, donors of the controls, and the bootstrap."""

    def adapter_config(self, *, d_in: int, hidden_size: int, kind: Literal["dep", "constant"] = "dep") -> AdapterConfig:
        """The adapter's configuration: preset, then these settings, then what encoder, backbone and context dictate.

        Raises:
            ConfigError: An unknown or wrong setting under ``adapter``.
        """
        dictated = {"d_in": d_in, "hidden_size": hidden_size, "kind": kind, "max_entries": max(1, self.context.k)}
        return AdapterConfig.preset(self.adapter_preset, **{**self.adapter, **dictated})

    @model_validator(mode="after")
    def _fail_early(self) -> Self:
        """Refuse now what would be refused, or ignored, after hours."""
        taken = {"d_in", "hidden_size", "kind", "max_entries"} & self.adapter.keys()
        if taken:
            raise ValueError(f"adapter.{min(taken)} follows from encoder, backbone and context; leave it out")
        streams = self.adapter_config(d_in=1, hidden_size=1).streams
        if self.prompt.streams not in ("both", streams):
            raise ValueError("prompt.streams follows the adapter; set adapter.streams")
        if self.constant_control and self.context.k == 0:
            raise ValueError("context.k = 0 (whole histories) needs constant_control = false: its rows are numbered")
        if self.fit.metric not in ("meteor", "nll"):
            raise ValueError(f"fit.metric is meteor or nll, not {self.fit.metric!r}")
        _check_known(RETRIEVERS, self.context.retriever)
        for metric in self.metrics:
            _check_known(METRICS, metric)
        return self


def _check_known(registry: Registry[Any], name: str) -> None:
    if name not in registry:
        raise ValueError(f"unknown {registry.kind} {name!r}: {suggest(name, registry)}")
