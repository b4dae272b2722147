"""How an adapter is fitted; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest

LOWER_IS_BETTER = frozenset({"nll", "loss", "perplexity"})
"""Validation metrics of which the least is the best."""


class FitConfig(Config):
    """AdamW with linear decay. The defaults suit small backbones; ``preset("paper")`` is the DEP paper, appendix C."""

    epochs: int = Field(default=5, gt=0)
    """Passes over the examples."""
    max_steps: int | None = Field(default=None, gt=0)
    """Optimiser steps, instead of epochs."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak; the paper's 1e-5 moves nothing on a small backbone."""
    weight_decay: float = Field(default=0.025, ge=0)
    """Of AdamW, on all but biases."""
    warmup_ratio: float = Field(default=0.01, ge=0, lt=1)
    """Share of the steps over which the rate rises."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient is clipped to it."""
    batch_size: int = Field(default=8, gt=0)
    """Examples a device and a forward pass."""
    accumulation: int = Field(default=1, gt=0)
    """Forward passes an optimiser step."""
    bf16: Literal["auto", "on", "off"] = "auto"
    """Autocast of the backbone; ``auto``: on a GPU that has it. The adapter always computes in float32."""
    checkpointing: bool = False
    """Recompute the backbone's activations: slower, far less memory."""
    seed: int = 0
    """Of the order of the examples."""
    every: int | None = Field(default=None, gt=0)
    """Steps between validations and checkpoints; None: once an epoch."""
    log_every: int = Field(default=10, gt=0)
    """Steps between lines of ``log.jsonl``."""
    metric: str = "meteor"
    """Key of what ``validate`` returns by which the best checkpoint is chosen."""
    patience: int | None = Field(default=None, gt=0)
    """Stop after so many validations without a better one; None: never."""
    set_statistics: bool = True
    """Take the adapter's scales from the examples; False when an adapter is trained further."""

    @property
    def greater_is_better(self) -> bool:
        """Whether more of ``metric`` is better."""
        return self.metric not in LOWER_IS_BETTER

    @classmethod
    def preset(cls, name: str, /, **settings: Any) -> FitConfig:
        """The configuration called ``name`` with ``settings`` laid on top.

        Raises:
            ConfigError: There is no such preset, or a setting is wrong.
        """
        if name not in PRESETS:
            raise ConfigError(f"unknown fit preset {name!r}", hint=suggest(name, PRESETS))
        return build(cls, {**PRESETS[name], **settings}, where=f"fit preset {name!r}")


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "small": {},
        "paper": {"learning_rate": 1e-5, "batch_size": 1, "accumulation": 16, "epochs": 5, "seed": 42},
    }
)
"""``paper``: batch 16 as one example a forward pass; on several devices lower ``accumulation`` accordingly."""
