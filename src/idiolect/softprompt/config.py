"""Configurations of adapters, and the registry of kinds of adapter.

Does not import torch, so that an adapter can be checked before torch is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import Field

from idiolect.config import Config, build
from idiolect.errors import ConfigError
from idiolect.registry import Registry, suggest
from idiolect.types import Stream, VirtualToken

STREAMS: tuple[Stream, Stream] = ("his", "diff")
"""A stream's index here is its id in every tensor."""
USER_STREAMS: tuple[Stream, Stream] = ("user", "instruction")
"""The same for PPlug."""

Pooling = Literal["sample", "batch", "streams"]
Activation = Literal["relu", "sigmoid", "topk", "gelu"]


DICTATED = frozenset({"kind", "d_in", "hidden_size", "max_entries"})
"""What follows from method, encoder, backbone and context; it is on record and no setting."""
RHO = 0.05
"""Target mean activation of a code unit (Eq. 9), as in the DEP paper, which does not vary it; ``sparsity_weight`` says
how much it counts."""


class SoftPromptConfig(Config):
    """Base of the configurations of adapters; a subclass is one kind of adapter.

    The class variables say how the adapter is built and used. See docs/extending.md for an adapter of your own.
    """

    adapter_class: ClassVar[str]
    """``"module:Class"`` of the ``softprompt.artifact.SavedAdapter`` that it configures; imported with torch."""
    constant: ClassVar[str | None] = None
    """The ``kind`` of its trained constant, a control; None: it has none."""
    reads_differences: ClassVar[bool] = False
    """Whether it reads ``e_diff``, so that the controls that replace it apply."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"small": {}})
    """Settings by preset (``adapter_preset``); ``small``: the defaults."""

    kind: str
    """Which kind of adapter, as recorded in ``config.json``."""
    d_in: int = Field(gt=0)
    """Width of the text encoder's vectors."""
    hidden_size: int = Field(gt=0)
    """Width of the backbone's token embeddings."""

    @property
    def min_parameters(self) -> int:
        """A lower bound of the numbers that its weights hold; a smaller file is refused before memory is allocated."""
        return 0

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """What ``kind`` may be: the adapter, then its trained constant."""
        own = cls.model_fields["kind"].default
        return (own,) if cls.constant is None else (own, cls.constant)

    @classmethod
    def preset(cls, name: str, /, **settings: Any) -> Self:
        """The configuration called ``name`` with ``settings`` laid on top.

        Raises:
            ConfigError: There is no such preset, or a setting is wrong.
        """
        if name not in cls.presets:
            raise ConfigError(f"unknown adapter preset {name!r}", hint=suggest(name, cls.presets))
        return build(cls, {**cls.presets[name], **settings}, where=f"adapter preset {name!r}")

    def resolved(self, encoder: str, *, trainable: bool) -> Self:
        """The configuration with every ``auto`` replaced by what it means for a text encoder.

        Args:
            encoder: The encoder's name.
            trainable: Whether the encoder is a model that can be trained.

        Raises:
            ConfigError: The encoder would have to be trained and cannot be.
        """
        return self


_PAPER = {"standardise": False, "match_norm": False, "recon_weight": 100.0, "sparsity_weight": 1e-3}


class AdapterConfig(SoftPromptConfig):
    """Shape and losses of an adapter. The defaults suit small backbones; ``preset("paper", ...)`` is the DEP paper."""

    adapter_class: ClassVar[str] = "idiolect.softprompt.adapter:Adapter"
    constant: ClassVar[str | None] = "constant"
    reads_differences: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "small": {},
            "paper": _PAPER,
            "authors": {**_PAPER, "activation": "gelu", "decoder_activation": "gelu", "pooling": "streams"},
        }
    )
    """``small``: the defaults. ``paper``: raw scale and the weights of the DEP paper, section 4.1. ``authors``: the
    same with the activations and the pooling of the authors' program."""

    kind: Literal["dep", "constant"] = "dep"  # pyright: ignore[reportIncompatibleVariableOverride]
    """``dep``: embeddings computed from vectors; ``constant``: a trained one per stream and entry, a control."""
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
    recon_weight: float = Field(default=0.2, ge=0)
    """Lambda of Eq. 11, on the per-element mean."""
    sparsity_weight: float = Field(default=1e-3, ge=0)
    """Gamma of Eq. 11, inside lambda."""
    pooling: Pooling = "sample"
    """What Eq. 9 averages over: one sample's entries by stream, the whole batch by stream, or (``streams``, what the
    authors' program does) one sample's entries of both streams together, which also halves the reconstruction loss."""
    max_entries: int = Field(default=32, gt=0)
    """Embeddings per stream of ``kind: constant``."""

    retired: ClassVar = {"rho": RHO}

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


class PPlugConfig(SoftPromptConfig):
    """What PPlug's adapter is made of. The defaults suit small backbones; ``preset("paper", ...)`` is the paper."""

    adapter_class: ClassVar[str] = "idiolect.softprompt.pplug:PPlugAdapter"
    constant: ClassVar[str | None] = "pplug_constant"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"small": {}, "paper": {"standardise": False}}
    )
    """``small``: the defaults. ``paper``: as in the paper and the authors' program."""

    kind: Literal["pplug", "pplug_constant"] = "pplug"  # pyright: ignore[reportIncompatibleVariableOverride]
    """``pplug``: embeddings computed from the user's history; ``pplug_constant``: two trained embeddings, a control."""
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

    retired: ClassVar = {"match_norm": True}

    @property
    def min_parameters(self) -> int:
        """A lower bound of the numbers that its weights hold."""
        if self.kind == "pplug_constant":
            return 2 * self.hidden_size
        moved = 2 * self.d_in * self.d_in if self.input_encoder == "mlp" else 0
        return 2 * (self.d_in + self.hidden_size) * self.hidden_size + moved

    def resolved(self, encoder: str, *, trainable: bool) -> Self:
        """See ``SoftPromptConfig.resolved``: the input encoder, and the instruction before its text."""
        if self.input_encoder == "encoder" and not trainable:
            raise ConfigError(f"the encoder {encoder} has no weights to train", hint="set adapter.input_encoder=mlp")
        chosen: dict[str, str] = {}
        if self.input_encoder == "auto":
            chosen["input_encoder"] = "encoder" if trainable else "mlp"
        if self.query_instruction == "auto":
            chosen["query_instruction"] = "bge" if _ENGLISH_BGE.search(encoder) else "none"
        return self.model_copy(update=chosen)


_ENGLISH_BGE = re.compile(r"\bbge-(small|base|large)-en\b")
QUERY_INSTRUCTIONS = {"none": "", "bge": "Represent this sentence for searching relevant passages: "}
"""By ``PPlugConfig.query_instruction``."""

ADAPTERS: Registry[type[SoftPromptConfig]] = Registry(
    "adapter",
    {"dep": "idiolect.softprompt.config:AdapterConfig", "pplug": "idiolect.softprompt.config:PPlugConfig"},
    group="idiolect.adapters",
)
"""Kinds of adapter, by the name that ``Requirements.adapter`` gives; ``module:ConfigClass`` names one of your own."""


def adapter_config_class(name: str) -> type[SoftPromptConfig]:
    """The configuration of the kind of adapter called ``name``.

    Raises:
        ConfigError: There is none of that name, or it is no ``SoftPromptConfig``.
    """
    found: Any = ADAPTERS.get(name)
    if not (isinstance(found, type) and issubclass(found, SoftPromptConfig)):
        hint = "derive its configuration from idiolect.softprompt.config.SoftPromptConfig"
        raise ConfigError(f"{name!r} is no kind of adapter", hint=hint)
    return found


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
