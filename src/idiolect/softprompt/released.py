"""Adapter weights that the DEP authors' program wrote (SnowCharmQ/DEP, ``SparseAutoEncoder`` and ``align_mlp_*``).

Their checkpoint is the whole language model with the adapter's twelve tensors among its own; only these are read. The
program computes as ``adapter_preset: authors`` does: raw vectors, GELU on code and reconstruction, no norm matching.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from idiolect.config import read_json
from idiolect.errors import ArtifactError, NotFoundError
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig

_MODULES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sae.encoder.0": ("source.sae.W_enc", "source.sae.b_enc"),
        "sae.decoder.0": ("source.sae.W_dec", "source.sae.b_dec"),
        **{
            f"align_mlp_{stream}.{number}": (
                f"source.projectors.{stream}.{layer}.weight",
                f"source.projectors.{stream}.{layer}.bias",
            )
            for stream in ("his", "diff")
            for number, layer in ((0, "inner"), (2, "outer"))
        },
    }
)
"""The program's linear layers, and the names of their weight and bias here."""
NAMES: Mapping[str, str] = MappingProxyType(
    {
        f"{module}.{part}": ours
        for module, both in _MODULES.items()
        for part, ours in zip(("weight", "bias"), both, strict=True)
    }
)
"""The program's tensors by ours."""
_INDEX, _WEIGHTS = "model.safetensors.index.json", "model.safetensors"
_GET = "name the folder of the checkpoint, with its model*.safetensors"


def read_released(source: Path) -> Adapter:
    """The adapter in a checkpoint of the authors' program, in float32, on the CPU, ready for inference.

    Args:
        source: Folder of the checkpoint (one file, or shards with their index), or a safetensors file.

    Raises:
        NotFoundError: There are no safetensors files.
        ArtifactError: They are damaged, lack a tensor, or tensors do not fit each other.

    Example:
        >>> read_released(Path("DEP-model")).config.activation  # doctest: +SKIP
        'gelu'
    """
    found = {NAMES[name]: tensor.float() for name, tensor in _tensors(source).items()}
    encoder, outer = found["source.sae.W_enc"], found["source.projectors.his.outer.weight"]
    if encoder.dim() != 2 or outer.dim() != 2:
        raise ArtifactError(f"the tensors in {str(source)!r} are no matrices", hint=_GET)
    config = AdapterConfig.preset("authors", d_in=encoder.shape[1], d_sae=encoder.shape[0], hidden_size=outer.shape[0])
    adapter = Adapter(config, torch.Generator())
    expected = adapter.state_dict()
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape or not bool(tensor.isfinite().all()):
            shapes = f"{tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            raise ArtifactError(f"{name} in {str(source)!r} is of shape {shapes}, or not finite", hint=_GET)
    adapter.load_state_dict(found)
    return adapter.eval()


def _tensors(source: Path) -> dict[str, Tensor]:
    places = _places(source)
    if missing := sorted(NAMES.keys() - places.keys()):
        raise ArtifactError(f"{str(source)!r} is no checkpoint of DEP: it lacks {', '.join(missing[:3])}", hint=_GET)
    found: dict[str, Tensor] = {}
    try:
        for path in sorted({places[name] for name in NAMES}):
            with safe_open(path, framework="pt") as file:
                for name in NAMES:
                    if places[name] == path:
                        found[name] = file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{str(source)!r} is damaged: {error}", hint="download it again") from error
    return found


def _places(source: Path) -> dict[str, Path]:
    """The file of every tensor of the checkpoint."""
    index, one = source / _INDEX, source if source.is_file() else source / _WEIGHTS
    try:
        if index.is_file():
            shards = read_json(index)["weight_map"]
            # A shard is in the folder of its index: a path in it would lead elsewhere.
            return {name: source / Path(shards[name]).name for name in NAMES if name in shards}
        if not one.is_file():
            raise NotFoundError(f"no {_WEIGHTS} in {str(source)!r}", hint=f"{_GET}; pickled weights are not read")
        with safe_open(one, framework="pt") as file:
            return dict.fromkeys(file.keys(), one)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{str(source)!r} is damaged: {error}", hint="download it again") from error
