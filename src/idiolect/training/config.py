"""How an adapter is fitted; free of torch.

What a pretraining run is made of; free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import Field

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.training.documents import DocumentConfig

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
    prefix_cache_gb: float = Field(default=2.0, ge=0)
    """Host memory for keys and values of the text before the first soft prompt, which are the same in every epoch."""
    seed: int = 0
    """Of the order of the examples."""
    every: int | None = Field(default=None, gt=0)
    """Steps between validations and checkpoints; None: once an epoch."""
    max_target_tokens: int | None = Field(default=None, gt=0)
    """Tokens of a training target; a longer one is cut. None: whole."""
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


Size = Literal["1m", "3m", "9m", "27m"]


class Shape(NamedTuple):
    """The dimensions of a Qwen2 model."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int


SHAPES: Mapping[Size, Shape] = {
    "1m": Shape(128, 4, 4, 2, 352),
    "3m": Shape(192, 6, 6, 2, 544),
    "9m": Shape(320, 7, 8, 4, 960),
    "27m": Shape(512, 9, 8, 4, 1536),
}
"""Parameters without the embedding matrix, roughly; it adds ``vocab_size * hidden`` (input and output are tied)."""


class PretrainConfig(Config):
    """Model, data and budget of a pretraining run."""

    initial: str | None = None
    """Folder of an earlier backbone to go on from, its tokenizer and shape included; None: from scratch."""
    size: Size = "3m"
    """Shape of the model: about that many parameters."""
    vocab_size: int = 2048
    """Entries of the tokenizer."""
    tokenizer_reviews: int = 20_000
    """Reviews the tokenizer is trained on."""
    documents: DocumentConfig = DocumentConfig()
    """The mixture of prompt formats."""
    max_reviews: int | None = Field(default=None, gt=0)
    """About so many reviews, all those of users drawn at random; None: all."""
    answers_only: bool = False
    """Learn the reviews alone, not the prompts before them: for a part that goes on from one that knows them."""
    max_tokens: int = 1024
    """Longest document; its prompt loses history, last entry first, to fit."""
    reference_tokens: int = 256
    """Of ``max_tokens``, kept free for the review itself; longer reviews are cut in pretraining only."""
    tokens_per_step: int = 4096
    """Target tokens a step, padding included; documents of like length share a step."""
    epochs: float = 1.0
    """Passes over the documents."""
    max_steps: int = -1
    """Stop after so many steps; -1: as ``epochs`` says."""
    stop_after: int | None = Field(default=None, gt=0)
    """End at this step although the learning rate is planned for ``max_steps``: a part that another goes on from."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for the layers' matrices and AdamW for the rest, or AdamW for everything."""
    learning_rate: float = 4e-3
    """Peak, after warm-up; cosine to a tenth. AdamW alone wants about half."""
    warmup_ratio: float = 0.02
    """Share of the steps spent warming up."""
    weight_decay: float = 0.05
    """Of what the optimizer decays."""
    held_out: int = 200
    """Documents kept for the reported perplexity."""
    bf16: bool | Literal["auto"] = "auto"
    """Autocast to bfloat16; auto: on GPUs that have it (on CPUs without AMX it is slower)."""
    save_minutes: float = 3.0
    """Minutes between checkpoints; an interrupted run resumes from the last."""
    seed: int = 0
    """Of initialisation, formats, and order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainReport:
    """What a pretraining run did."""

    parameters: int
    documents: int
    tokens_seen: int
    steps: int
    seconds: float
    held_out_perplexity: float
    """Per token, over whole documents."""
    held_out_review_nats: float
    """Mean nats of the review given its prompt."""
