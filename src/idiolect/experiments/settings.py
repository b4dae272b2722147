"""Everything a run depends on, in one file: what ``fit`` and ``evaluate`` read and record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from idiolect.config import Config
from idiolect.context.builder import ContextConfig
from idiolect.llm.base import SamplingParams
from idiolect.llm.config import BackboneConfig
from idiolect.prompts.render import PromptConfig
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
    """Whose reviews an item's peers are: everybody's in the store, or only the split's users'."""
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
    """Settings of the adapter laid on its preset (``activation``, ``refine``, ``d_sae``, ...)."""
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
