"""The adapter on disk: ``config.json``, ``adapter.safetensors``, ``README.md``; strict to read, whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from idiolect.config import build
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.softprompt.config import AdapterConfig

CONFIG, WEIGHTS, README = "config.json", "adapter.safetensors", "README.md"


def write_artifact(
    folder: Path, config: AdapterConfig, weights: Mapping[str, Tensor], provenance: Mapping[str, Any]
) -> None:
    """Write the three files, the weights through a temporary one so that an interrupt leaves no half of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / README).write_text(_readme(config, weights, provenance), encoding="utf-8")
    partial = folder / f"{WEIGHTS}.partial"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, partial)
    os.replace(partial, folder / WEIGHTS)


def read_config(folder: Path) -> AdapterConfig:
    """The configuration in ``folder``.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: It is not a configuration of an adapter.
    """
    path = _existing(folder / CONFIG)
    try:
        return build(AdapterConfig, json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except (ConfigError, ValueError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} does not describe an adapter: {error}", hint="fit it again") from error


def read_weights(folder: Path, *, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in ``folder``, each of the name, shape and type expected.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: The file is damaged, or tensors are missing, unexpected or of another shape or type.
    """
    path = _existing(folder / WEIGHTS)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="fit it again, or restore the file") from error
    wrong = sorted(name for name in weights.keys() & expected.keys() if _kind(weights[name]) != _kind(expected[name]))
    problems = {
        "missing": sorted(expected.keys() - weights.keys()),
        "unexpected": sorted(weights.keys() - expected.keys()),
        "of another shape or type": [f"{n} {_kind(weights[n])}, expected {_kind(expected[n])}" for n in wrong],
    }
    if any(problems.values()):
        detail = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems.items() if names)
        raise ArtifactError(f"{str(path)!r} does not fit its configuration: {detail}", hint="use the files of one fit")
    return weights


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotFoundError(f"no adapter here: {str(path)!r} does not exist", hint="name the folder that a fit wrote")
    return path


def _kind(tensor: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(tensor.shape), tensor.dtype


def _readme(config: AdapterConfig, weights: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> str:
    size = sum(tensor.numel() for tensor in weights.values())
    lines = [
        "# Soft-prompt adapter",
        "",
        f"Turns {config.d_in}-dimensional user vectors into rows for a backbone of hidden size {config.hidden_size}. "
        f"{size:,} parameters; the backbone is not included.",
        "",
        *(f"- {name}: {value}" for name, value in provenance.items()),
        "",
        "```python",
        "from idiolect.softprompt.adapter import Adapter",
        "",
        'adapter = Adapter.from_pretrained(Path("this/folder"))',
        "```",
    ]
    return "\n".join(lines) + "\n"
