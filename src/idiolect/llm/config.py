"""Which backbone and how it is run; free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from idiolect.config import Config

SANDBOX_BACKBONE = Path(__file__).parents[1] / "sandbox" / "backbone"
"""The small model that ships with the package; ``pretrain.json`` beside it is its recipe and log."""


class BackboneConfig(Config):
    """Which model, and how it is run."""

    model: str = "sandbox"
    """Folder, hub name, ``sandbox`` for the small model that ships with the package, or ``fake`` for none at all."""
    backend: str = "auto"
    """What runs it: ``transformers``, or ``fake``, which needs no weights and no torch and repeats what it is shown;
    auto tells it from the model."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    device: str = "auto"
    """``cpu``, ``cuda``, ...; auto: a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: the checkpoint's own on a GPU, float32 on a CPU."""
    max_prompt_tokens: int = Field(default=2048, gt=0)
    """Budget of a prompt (DEP paper, appendix C.2.3); history that does not fit is dropped, last entry first."""
    batch_size: int = Field(default=16, gt=0)
    """Prompts computed together."""
