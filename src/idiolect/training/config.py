"""Settings of fitting and of pretraining. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from idiolect.config import ANY_VALUE, Config, Retired, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.training.documents import DocumentConfig

LOWER_IS_BETTER = frozenset({"nll", "loss", "perplexity"})
"""Validation metrics of which less is better."""


MAX_GRAD_NORM = 1.0
"""The gradient is clipped to it, in fitting and in pretraining: the default of the Trainer, which the papers keep."""
SAVE_MINUTES = 3.0
"""Minutes between checkpoints of a fit or a pretraining run; an interrupted one loses no more."""
LOG_EVERY = 10
"""Steps between lines of a fit's ``log.jsonl``: a few hundred lines for the longest fit of the papers."""


PREFIX_CACHE_GB = 2.0
"""Host memory for keys and values of the text before the first soft prompt, which are the same in every epoch; what
does not fit is computed again. A machine that fits an adapter has as much to spare in addition to the backbone."""


class FitConfig(Config):
    """AdamW with linear decay. The defaults suit small backbones; ``preset("paper")`` is the DEP paper, appendix C."""

    epochs: int = Field(default=5, gt=0)
    """Passes over the examples."""
    max_steps: int | None = Field(default=None, gt=0)
    """Optimiser steps, instead of epochs."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; the paper's 1e-5 is too small for a small backbone."""
    weight_decay: float = Field(default=0.025, ge=0)
    """Weight decay of AdamW, for all parameters but biases."""
    warmup_ratio: float = Field(default=0.01, ge=0, lt=1)
    """Share of the steps for warm-up."""
    batch_size: int = Field(default=8, gt=0)
    """Examples per device and forward pass."""
    accumulation: int = Field(default=1, gt=0)
    """Forward passes per optimiser step."""
    bf16: Literal["auto", "on", "off"] = "auto"
    """Autocast of the backbone to bfloat16; ``auto``: on GPUs that support it. The adapter always uses float32."""
    checkpointing: bool = False
    """Recompute the backbone's activations: slower, far less memory."""
    sharded: bool = False
    """Spread the backbone's layers over the processes of ``torchrun``, for a backbone that does not fit one device."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order of the examples."""
    every: int | None = Field(default=None, gt=0)
    """Steps between validations; None: once an epoch. Checkpoints are also saved every three minutes."""
    max_target_tokens: int | None = Field(default=None, gt=0)
    """Tokens of a training target; a longer one is cut. None: whole."""
    metric: str = "meteor"
    """Validation score by which the best checkpoint is chosen."""
    patience: int | None = Field(default=None, gt=0)
    """Validations in a row without a better score after which a fit ends early; None: it never does."""

    retired: ClassVar = {
        "max_grad_norm": MAX_GRAD_NORM,
        "log_every": LOG_EVERY,
        "prefix_cache_gb": PREFIX_CACHE_GB,
        "set_statistics": ANY_VALUE,
    }

    @property
    def greater_is_better(self) -> bool:
        """Whether a higher ``metric`` is better."""
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
"""``paper``: batch 16 as one example per forward pass; on several devices lower ``accumulation`` accordingly."""


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


TOKENIZER_REVIEWS = 20_000
"""Reviews the tokenizer is trained on: of a vocabulary of a few thousand entries more of them change nothing."""
WARMUP_RATIO = 0.02
"""Share of a pretraining run's steps spent warming up: some twenty steps, enough for the optimizer's averages."""
WEIGHT_DECAY = 0.05
"""Of the layers' matrices in pretraining. Runs read their text about once, so that little depends on it."""


class PretrainConfig(Config):
    """Model, data and budget of a pretraining run."""

    initial: str | None = None
    """Folder of an earlier backbone to continue from, with its tokenizer and shape; None: from scratch."""
    size: Size = "3m"
    """Shape of the model: approximate number of parameters."""
    vocab_size: int = 2048
    """Entries of the tokenizer."""
    documents: DocumentConfig = DocumentConfig()
    """The mixture of prompt formats."""
    max_reviews: int | None = Field(default=None, gt=0)
    """Approximate number of reviews, all of randomly drawn users; None: all."""
    answers_only: bool = False
    """Compute the loss on the reviews only, not on their prompts: for a run that continues from one that learned
    them."""
    max_tokens: int = 1024
    """Longest document; its prompt loses history, last entry first, to fit."""
    reference_tokens: int = 256
    """Part of ``max_tokens`` that is reserved for the review; longer reviews are cut, in pretraining only."""
    tokens_per_step: int = 4096
    """Target tokens per step, padding included; documents of similar length share a step."""
    max_steps: int = -1
    """Stop after so many steps; -1: after one pass over the documents."""
    stop_after: int | None = Field(default=None, gt=0)
    """End at this step although the learning rate is planned for ``max_steps``, so that another run can continue."""
    learning_rate: float = 4e-3
    """Peak, after warm-up, with cosine decay to a tenth. Muon trains the layers' matrices, AdamW the rest."""
    held_out: int = 200
    """Documents kept for the reported perplexity."""
    seed: int = Field(default=0, ge=0)
    """Seed of initialisation, formats and order."""

    retired: ClassVar = {
        "tokenizer_reviews": TOKENIZER_REVIEWS,
        "epochs": Retired(1.0, "say how long with max_steps"),
        "optimizer": "muon",
        "warmup_ratio": WARMUP_RATIO,
        "weight_decay": WEIGHT_DECAY,
        "bf16": "auto",
        "save_minutes": SAVE_MINUTES,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainReport:
    """Figures of a pretraining run."""

    parameters: int
    documents: int
    tokens_seen: int
    steps: int
    seconds: float
    held_out_perplexity: float
    """Per token, over whole documents."""
    held_out_review_nats: float
    """Mean nats of the review given its prompt."""
    held_out_review_perplexity: float | None = None
    """Per token of these reviews, which is what methods are compared by; None in records of earlier versions."""
