"""What an adapter is made of; free of torch, so that it can be read and checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from pydantic import Field

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.types import Slot, Stream

STREAMS: tuple[Stream, Stream] = ("his", "diff")
"""A stream's place here is its code in every tensor."""

Pooling = Literal["sample", "batch", "streams"]
Activation = Literal["relu", "sigmoid", "topk", "gelu"]


class AdapterConfig(Config):
    """Shape and losses of an adapter. The defaults suit small backbones; ``preset("paper", ...)`` is the DEP paper."""

    kind: Literal["dep", "constant"] = "dep"
    """``dep``: rows computed from vectors; ``constant``: one trained row per stream and entry, a control."""
    d_in: int = Field(gt=0)
    """Width of the embeddings ``e_his`` and ``e_diff``."""
    hidden_size: int = Field(gt=0)
    """Width of the backbone's token embeddings."""
    d_sae: int | None = Field(default=None, gt=0)
    """Width of the code; None: half of ``d_in``, as in the paper (1024 to 512)."""
    streams: Literal["both", "his", "diff"] = "both"
    """Which streams have slots."""
    refine: Literal["sae", "ae", "none"] = "sae"
    """``ae`` drops the sparsity loss, ``none`` projects the vectors themselves (the paper's Table 3)."""
    activation: Activation = "relu"
    """Of the code."""
    k: int = Field(default=32, gt=0)
    """Units kept by ``activation: topk``."""
    decoder_activation: Literal["linear", "gelu"] = "linear"
    """``gelu`` is what the authors' released weights were trained with."""
    standardise: bool = True
    """Centre and scale each stream by its training mean and standard deviation; raw unit vectors do not learn."""
    match_norm: bool = True
    """Scale each row to the mean token-embedding norm, times a learned gain per stream."""
    rho: float = Field(default=0.05, gt=0, lt=1)
    """Target mean activation of a code unit."""
    recon_weight: float = Field(default=0.2, ge=0)
    """Lambda of Eq. 11, on the per-element mean."""
    sparsity_weight: float = Field(default=1e-3, ge=0)
    """Gamma of Eq. 11, inside lambda."""
    pooling: Pooling = "sample"
    """What Eq. 9 averages over: one sample's entries by stream, the whole batch by stream, or (``streams``, what the
    authors' program does) one sample's entries of both streams together, which also halves the reconstruction loss."""
    max_entries: int = Field(default=32, gt=0)
    """Rows per stream of ``kind: constant``."""

    @property
    def width(self) -> int:
        """Width of what is projected: the code, or the vector itself where nothing refines it."""
        return self.d_in if self.refine == "none" else (self.d_sae or max(1, self.d_in // 2))

    @property
    def kept_streams(self) -> tuple[Stream, ...]:
        """The streams that have slots, in the order of their codes."""
        return tuple(stream for stream in STREAMS if self.streams in ("both", stream))

    @classmethod
    def preset(cls, name: str, /, **settings: Any) -> AdapterConfig:
        """The configuration called ``name`` with ``settings`` laid on top.

        Raises:
            ConfigError: There is no such preset, or a setting is wrong.
        """
        if name not in PRESETS:
            raise ConfigError(f"unknown adapter preset {name!r}", hint=suggest(name, PRESETS))
        return build(cls, {**PRESETS[name], **settings}, where=f"adapter preset {name!r}")


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "small": {},
        "paper": {"standardise": False, "match_norm": False, "recon_weight": 100.0, "sparsity_weight": 1e-3},
    }
)
"""``small``: the defaults. ``paper``: raw scale and the weights of the DEP paper, section 4.1."""


def stream_codes(slots: Iterable[Slot]) -> np.ndarray:
    """int64 (n,): the code of each slot's stream."""
    return np.array([STREAMS.index(slot.stream) for slot in slots], dtype=np.int64)
