"""The adapter on disk: ``config.json``, ``adapter.safetensors``, ``README.md``; strict to read, whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from idiolect.config import build, read_json
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.softprompt.config import AdapterConfig

CONFIG, WEIGHTS, README = "config.json", "adapter.safetensors", "README.md"
_MAX_CONFIG_BYTES = 2**16


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
        return build(AdapterConfig, read_json(path, max_bytes=_MAX_CONFIG_BYTES), where=str(path))
    except (ConfigError, ValueError, TypeError, OSError) as error:
        raise ArtifactError(f"{str(path)!r} does not describe an adapter: {error}", hint="fit it again") from error


def check_size(folder: Path, config: AdapterConfig) -> None:
    """Refuse a configuration that asks for other sizes than the weights have, before anything is allocated for it.

    Raises:
        NotFoundError: There are no weights.
        ArtifactError: The configuration is of more numbers than the file can hold, at 4 bytes each.
    """
    path = _existing(folder / WEIGHTS)
    if config.kind == "constant":
        least = 2 * config.max_entries * config.hidden_size
    else:
        least = (config.width + config.hidden_size) * config.hidden_size
        least += 0 if config.refine == "none" else 2 * config.d_in * config.width
    if 4 * least > path.stat().st_size:
        raise ArtifactError(
            f"{str(path)!r} is damaged: it is smaller than the adapter that {CONFIG} describes",
            hint="use the files of one fit",
        )


def read_weights(folder: Path, *, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in ``folder``, each of the name, shape and type expected.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: The file is damaged, tensors are missing, unexpected or of another shape or type, or a number is
            not finite.
    """
    path = _existing(folder / WEIGHTS)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="fit it again, or restore the file") from error
    wrong = sorted(name for name in weights.keys() & expected.keys() if _kind(weights[name]) != _kind(expected[name]))
    problems = {
        "missing": sorted(expected.keys() - weights.keys()),
        "unexpected": sorted(repr(name)[1:-1] for name in weights.keys() - expected.keys()),
        "of another shape or type": [f"{n} {_kind(weights[n])}, expected {_kind(expected[n])}" for n in wrong],
        "not finite": sorted(name for name in weights.keys() & expected.keys() if not _finite(weights[name])),
    }
    if any(problems.values()):
        detail = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
        raise ArtifactError(f"{str(path)!r} does not fit its configuration: {detail}", hint="use the files of one fit")
    return weights


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _listed(names: list[str]) -> str:
    shown = [name if len(name) <= 80 else f"{name[:77]}..." for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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
