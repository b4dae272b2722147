"""Configurations of adapters. Does not import torch, so that an adapter can be checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import Field

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.types import Stream, VirtualToken

STREAMS: tuple[Stream, Stream] = ("his", "diff")
"""A stream's index here is its id in every tensor."""
USER_STREAMS: tuple[Stream, Stream] = ("user", "instruction")
"""The same for PPlug."""

Pooling = Literal["sample", "batch", "streams"]
Activation = Literal["relu", "sigmoid", "topk", "gelu"]


class AdapterConfig(Config):
    """Shape and losses of an adapter. The defaults suit small backbones; ``preset("paper", ...)`` is the DEP paper."""

    kind: Literal["dep", "constant"] = "dep"
    """``dep``: embeddings computed from vectors; ``constant``: a trained one per stream and entry, a control."""
    d_in: int = Field(gt=0)
    """Width of the embeddings ``e_his`` and ``e_diff``."""
    hidden_size: int = Field(gt=0)
    """Width of the backbone's token embeddings."""
    d_sae: int | None = Field(default=None, gt=0)
    """Width of the code; None: half of ``d_in``, as in the paper (1024 to 512)."""
    streams: Literal["both", "his", "diff"] = "both"
    """Which streams have virtual tokens."""
    refine: Literal["sae", "ae", "none"] = "sae"
    """``ae`` drops the sparsity loss, ``none`` projects the vectors themselves (the paper's Table 3)."""
    activation: Activation = "relu"
    """Of the code."""
    k: int = Field(default=32, gt=0)
    """Units kept by ``activation: topk``."""
    decoder_activation: Literal["linear", "gelu"] = "linear"
    """``gelu``: as the authors' released weights."""
    standardise: bool = True
    """Centre and scale each stream by its training mean and standard deviation; raw unit vectors do not learn."""
    match_norm: bool = True
    """Scale each embedding to the mean norm of token embeddings, times a learned gain per stream."""
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
    """Embeddings per stream of ``kind: constant``."""

    @property
    def width(self) -> int:
        """Width of what is projected: the code, or the vector itself if ``refine`` is ``none``."""
        return self.d_in if self.refine == "none" else (self.d_sae or max(1, self.d_in // 2))

    @property
    def min_parameters(self) -> int:
        """A lower bound of the numbers that its weights hold."""
        if self.kind == "constant":
            return 2 * self.max_entries * self.hidden_size
        autoencoder = 0 if self.refine == "none" else 2 * self.d_in * self.width
        return (self.width + self.hidden_size) * self.hidden_size + autoencoder

    @property
    def kept_streams(self) -> tuple[Stream, ...]:
        """The streams that have virtual tokens, in the order of their ids."""
        return tuple(stream for stream in STREAMS if self.streams in ("both", stream))

    @classmethod
    def preset(cls, name: str, /, **settings: Any) -> AdapterConfig:
        """The configuration called ``name`` with ``settings`` laid on top.

        Raises:
            ConfigError: There is no such preset, or a setting is wrong.
        """
        return _from_preset(cls, PRESETS, name, settings)


_PAPER = {"standardise": False, "match_norm": False, "recon_weight": 100.0, "sparsity_weight": 1e-3}
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "small": {},
        "paper": _PAPER,
        "authors": {**_PAPER, "activation": "gelu", "decoder_activation": "gelu", "pooling": "streams"},
    }
)
"""``small``: the defaults. ``paper``: raw scale and the weights of the DEP paper, section 4.1. ``authors``: the same
with the activations and the pooling of the authors' program."""


class PPlugConfig(Config):
    """What PPlug's adapter is made of. The defaults suit small backbones; ``PPLUG_PRESETS["paper"]`` is the paper."""

    kind: Literal["pplug", "pplug_constant"] = "pplug"
    """``pplug``: embeddings computed from the user's history; ``pplug_constant``: two trained embeddings, a control."""
    d_in: int = Field(gt=0)
    """Width of the history's vectors, of the input's and of the instruction vector."""
    hidden_size: int = Field(gt=0)
    """Width of the backbone's token embeddings."""
    input_encoder: Literal["auto", "encoder", "mlp"] = "auto"
    """What is trained to read the task: ``encoder``: a copy of the text encoder, as in the paper; ``mlp``: a small
    network over its vectors, which stay frozen; ``auto``: ``encoder`` if the text encoder is a model."""
    query_instruction: Literal["auto", "none", "bge"] = "auto"
    """Put before the text of the task (``input_encoder: encoder``): BGE's retrieval instruction, as in the paper, or
    nothing; ``auto``: the instruction if the encoder is an English BGE."""
    masked: bool = True
    """Padding takes no part in the attention. False: it does, up to ``max_history``, as in the DEP authors' fork."""
    max_history: int = Field(default=512, gt=0, le=4096)
    """Past reviews that are attended to, the latest ones."""
    sub_histories: int = Field(default=10, ge=0, le=100)
    """Random parts of its history with which each training sample is repeated."""
    past_texts: int = Field(default=0, ge=0)
    """Past reviews whose text is in the prompt (PPlug + retrieval); they are the best of ``context``."""
    standardise: bool = True
    """Centre and scale what the projector reads by its training mean and standard deviation; not in the paper."""
    match_norm: bool = True
    """Scale both embeddings by the ratio of the token embeddings' mean norm to their own before training."""

    @classmethod
    def preset(cls, name: str, /, **settings: Any) -> PPlugConfig:
        """The configuration called ``name`` with ``settings`` laid on top.

        Raises:
            ConfigError: There is no such preset, or a setting is wrong.
        """
        return _from_preset(cls, PPLUG_PRESETS, name, settings)

    @property
    def min_parameters(self) -> int:
        """A lower bound of the numbers that its weights hold."""
        if self.kind == "pplug_constant":
            return 2 * self.hidden_size
        moved = 2 * self.d_in * self.d_in if self.input_encoder == "mlp" else 0
        return 2 * (self.d_in + self.hidden_size) * self.hidden_size + moved


CONFIGS: Mapping[str, type[AdapterConfig] | type[PPlugConfig]] = MappingProxyType(
    {"dep": AdapterConfig, "constant": AdapterConfig, "pplug": PPlugConfig, "pplug_constant": PPlugConfig}
)
"""By the ``kind`` that an adapter's ``config.json`` names."""
CONSTANTS: Mapping[str, Any] = MappingProxyType({"dep": "constant", "pplug": "pplug_constant"})
"""The kinds of adapter that methods declare, and the kind of each one's trained constant."""
QUERY_INSTRUCTIONS = {"none": "", "bge": "Represent this sentence for searching relevant passages: "}
"""By ``PPlugConfig.query_instruction``."""
_Made = TypeVar("_Made", bound=Config)


def _from_preset(
    made: type[_Made], presets: Mapping[str, Mapping[str, Any]], name: str, settings: Mapping[str, Any]
) -> _Made:
    if name not in presets:
        raise ConfigError(f"unknown adapter preset {name!r}", hint=suggest(name, presets))
    return build(made, {**presets[name], **settings}, where=f"adapter preset {name!r}")


PPLUG_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({"small": {}, "paper": {"standardise": False}})
"""``small``: the defaults. ``paper``: as in the paper and the authors' program."""


class Inputs(Protocol):
    """What an adapter reads of one sample."""

    @property
    def stream(self) -> np.ndarray:
        """int64 (s,): the stream's id of each virtual token, in the order of the text."""
        ...

    def arrays(self) -> Iterator[np.ndarray]:
        """Everything that it holds, for a digest."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VectorInputs:
    """One vector per virtual token, of one sample."""

    stream: np.ndarray
    """int64 (s,): 0 his, 1 diff."""
    entry: np.ndarray
    """int64 (s,): index of the history entry."""
    vectors: np.ndarray
    """float32 (s, d_in): ``e_his`` or ``e_diff`` of the entry; (0, 0) for a prompt without virtual tokens."""

    def arrays(self) -> Iterator[np.ndarray]:
        """See ``Inputs.arrays``."""
        yield from (self.stream, self.entry, self.vectors)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UserInputs:
    """A user's history and what is to be written, of one sample (PPlug)."""

    stream: np.ndarray
    """int64 (s,): of each virtual token, its place in ``USER_STREAMS``."""
    history: np.ndarray
    """float32 (n, d_in): vectors of the user's past reviews, oldest first; any n."""
    query: str | np.ndarray
    """The text of the task, or its vector float32 (d_in,)."""

    def arrays(self) -> Iterator[np.ndarray]:
        """See ``Inputs.arrays``."""
        query = np.frombuffer(self.query.encode(), dtype=np.uint8) if isinstance(self.query, str) else self.query
        yield from (self.stream, self.history, query)


def stream_ids(virtual_tokens: Iterable[VirtualToken], streams: Sequence[Stream] = STREAMS) -> np.ndarray:
    """int64 (n,): the id of each virtual token's stream, its place in ``streams``."""
    return np.array([streams.index(token.stream) for token in virtual_tokens], dtype=np.int64)
