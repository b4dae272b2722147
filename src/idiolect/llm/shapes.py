"""Dimensions of decoder-only language models, without their weights: parameters and activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from idiolect.config import read_json
from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.registry import SANDBOX_BACKBONE, BackboneConfig, backend_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Dimensions of a decoder-only language model with gated feed-forward layers (Qwen2, Llama)."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool = False
    """Whether input and output embeddings are one matrix."""
    attention_bias: bool = True
    """Whether query, key and value projections have biases, as in Qwen2."""

    @property
    def query(self) -> int:
        """Width of a layer's queries."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of a layer's keys, and of its values."""
        return self.kv_heads * self.head_dim

    @property
    def layer_parameters(self) -> int:
        """Parameters of all layers and norms, without embeddings: what each token is multiplied with."""
        attention = self.hidden * (2 * self.query + 2 * self.key)
        biases = self.query + 2 * self.key if self.attention_bias else 0
        return self.layers * (attention + biases + 3 * self.hidden * self.intermediate + 2 * self.hidden) + self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layer_parameters + self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def activation_bytes(self) -> Mapping[int, int]:
        """Bytes that the backward pass keeps per token and layer, by bytes per number (2 or 4); weights are frozen.

        Two norms keep their input in float32 (8 H). Attention keeps queries, keys and values, repeated for all heads,
        and its output. The feed-forward layer keeps gate, activated gate and up.
        """
        return {b: 8 * self.hidden + b * (4 * self.query + 3 * self.intermediate) for b in (2, 4)}


def _qwen(name: str, layers: int, hidden: int, heads: int, kv: int, inner: int, *, tied: bool = False) -> Shape:
    vocabulary = 151_936 if tied or hidden < 3584 else 152_064
    return Shape(
        name=name, layers=layers, hidden=hidden, heads=heads, kv_heads=kv, head_dim=hidden // heads, intermediate=inner,
        vocabulary=vocabulary, tied=tied,
    )  # fmt: skip


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "0.5b": _qwen("Qwen2.5-0.5B", 24, 896, 14, 2, 4864, tied=True),
        "1.5b": _qwen("Qwen2.5-1.5B", 28, 1536, 12, 2, 8960, tied=True),
        "3b": _qwen("Qwen2.5-3B", 36, 2048, 16, 2, 11_008, tied=True),
        "7b": _qwen("Qwen2.5-7B", 28, 3584, 28, 4, 18_944),
        "14b": _qwen("Qwen2.5-14B", 48, 5120, 40, 8, 13_824),
        "32b": _qwen("Qwen2.5-32B", 64, 5120, 40, 8, 27_648),
        "72b": _qwen("Qwen2.5-72B", 80, 8192, 64, 8, 29_568),
    }
)
"""Qwen2.5 by size. A name that ends in a size, such as Qwen/Qwen2.5-7B-Instruct, has its shape."""


def shape_of(backbone: BackboneConfig) -> Shape:
    """The dimensions of a backbone: by its size, or from the configuration in its folder.

    Raises:
        ConfigError: It is behind an endpoint, or ``fake``.
        NotFoundError: Its dimensions are not known here.
    """
    if backend_of(backbone) in ("openai", "fake"):
        raise ConfigError("a model behind an endpoint takes no memory here", hint="plan for a model in this process")
    name = backbone.model
    folder = SANDBOX_BACKBONE if name == "sandbox" else Path(name)
    if (folder / "config.json").is_file():
        return _read_shape(name, folder / "config.json")
    size = next((part for part in reversed(name.lower().replace("_", "-").split("-")) if part in SHAPES), None)
    if size is None or not ("qwen2.5" in name.lower() or name.lower() in SHAPES):
        known = f"a Qwen2.5 size ({', '.join(SHAPES)}), or a folder with config.json"
        raise NotFoundError(f"the shape of {name!r} is not known", hint=known)
    return SHAPES[size]


def _read_shape(name: str, path: Path) -> Shape:
    try:
        stated = read_json(path)
        heads, hidden = int(stated["num_attention_heads"]), int(stated["hidden_size"])
        shape = Shape(
            name=name,
            layers=int(stated["num_hidden_layers"]),
            hidden=hidden,
            heads=heads,
            kv_heads=int(stated.get("num_key_value_heads") or heads),
            head_dim=int(stated.get("head_dim") or hidden // heads),
            intermediate=int(stated["intermediate_size"]),
            vocabulary=int(stated["vocab_size"]),
            tied=bool(stated.get("tie_word_embeddings", False)),
            attention_bias=stated.get("model_type") == "qwen2" or bool(stated.get("attention_bias", False)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise NotFoundError(f"{str(path)!r} states no shape of a decoder: {error!r}", hint="name a size: 7b") from error
    return shape
