"""The adapter on disk: ``config.json``, ``adapter.safetensors``, ``README.md``; strict to read, whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from idiolect.config import build, read_json
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.softprompt.config import ADAPTERS, SoftPromptConfig, adapter_config_class
from idiolect.softprompt.sae import identity

CONFIG, WEIGHTS, README = "config.json", "adapter.safetensors", "README.md"
_MAX_CONFIG_BYTES = 2**16


class SavedAdapter(nn.Module):
    """Base of adapters: what is trained, saved and served. The backbone is not part of it."""

    config: Any
    config_class: ClassVar[type[SoftPromptConfig]]
    """What ``config`` is an instance of."""

    @classmethod
    def build(cls, config: Any, generator: torch.Generator | None = None, *, model: nn.Module | None = None) -> Self:
        """A new adapter; see ``softprompt.model.make_adapter``. Override it to use ``model``."""
        return cls(config, generator)

    def collate(self, inputs: Sequence[Any]) -> dict[str, Tensor]:
        """Tensors of the inputs of a batch, for ``embed_batch``."""
        raise NotImplementedError

    def embed_batch(self, batch: Mapping[str, Tensor], n_samples: int, average: Any) -> Any:
        """``AdapterOutput`` for a batch from ``collate``; ``average`` averages counts over processes."""
        raise NotImplementedError

    def check_inputs(self, inputs: Any) -> None:
        """Refuse inputs of a sample that the adapter has no weights for, by ``ValueError``."""
        raise NotImplementedError

    @torch.no_grad()
    def embeddings(self, inputs: Sequence[Any], *, batch_size: int = 32) -> list[np.ndarray]:
        """Embeddings for inference: float32 (s, hidden_size) per sample, one row per virtual token.

        Raises:
            ValueError: See ``check_inputs``.
        """
        for one in inputs:
            self.check_inputs(one)
        device, found = next(self.parameters()).device, []
        for start in range(0, len(inputs), batch_size):
            some = inputs[start : start + batch_size]
            batch = {name: tensor.to(device) for name, tensor in self.collate(some).items()}
            rows = self.embed_batch(batch, len(some), identity).embeddings.cpu().numpy()
            found += np.split(rows, np.cumsum([len(one.stream) for one in some])[:-1])
        return found

    def fit_statistics(self, inputs: Sequence[Any], *, token_norm: float) -> None:
        """Take scales from the inputs of training samples and the mean norm of the backbone's token embeddings."""
        raise NotImplementedError

    def scale_units(self, factors: Mapping[int, float]) -> None:
        """Multiply units of the code before it is projected, until the next call: 0 mutes a unit, 2 doubles it.

        Args:
            factors: By the unit's number, each finite and >= 0; empty: none.

        Raises:
            ConfigError: The adapter has no autoencoder, or no such unit, or a factor is out of range.
        """
        if factors:
            raise ConfigError(
                f"an adapter of the kind {self.config.kind!r} has no units", hint="use one of DEP's with an autoencoder"
            )

    def save_pretrained(
        self, folder: Path, *, provenance: Mapping[str, Any] | None = None, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """Write ``config.json``, ``adapter.safetensors`` and ``README.md``; nothing is pickled.

        Args:
            folder: Created if absent.
            provenance: What the adapter was made from and measured at (backbone and revision, encoder, data,
                visibility, cold-start scope, metrics), for the README.
            weights: The state to write; None: the adapter's own (sharded training gathers it first).
        """
        write_artifact(folder, self.config, weights or self.state_dict(), provenance or {})

    def load(self, folder: Path) -> None:
        """Take the weights of a saved adapter of the same shape.

        Raises:
            NotFoundError: There is none in ``folder``.
            ArtifactError: It is damaged, or of another shape.
        """
        self.load_state_dict(read_weights(folder, expected=self.state_dict()))

    @classmethod
    def from_pretrained(cls, folder: Path, *, model: nn.Module | None = None) -> Self:
        """The adapter saved in ``folder``, on the CPU, ready for inference.

        Args:
            folder: Of the adapter.
            model: The text encoder's model, for an adapter that trained a copy of it.

        Raises:
            NotFoundError: There is none.
            ArtifactError: It is damaged, of another kind, or weights and configuration do not fit.
        """
        config, kinds = read_config(folder, cls.config_class), cls.config_class.kinds()
        if config.kind not in kinds:
            raise ArtifactError(
                f"the adapter in {str(folder)!r} is of the kind {config.kind!r}",
                hint=f"use one of {' or '.join(kinds)}",
            )
        check_size(folder, config)
        adapter = cls.build(config, torch.Generator(), model=model)
        adapter.load(folder)
        return adapter.eval()


def write_artifact(
    folder: Path, config: SoftPromptConfig, weights: Mapping[str, Tensor], provenance: Mapping[str, Any]
) -> None:
    """Write the three files, the weights through a temporary one so that an interrupt leaves no half of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / README).write_text(_readme(config, weights, provenance), encoding="utf-8")
    partial = folder / f"{WEIGHTS}.partial"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, partial)
    os.replace(partial, folder / WEIGHTS)


def read_config(folder: Path, expected: type[SoftPromptConfig] | None = None) -> SoftPromptConfig:
    """The configuration in ``folder``, of the kind that it names.

    The file is data: its kind is looked up among the registered ones and ``expected``, and never imported.

    Args:
        folder: Of the adapter.
        expected: The kind that the method in use declares; needed only for a kind that is not registered.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: It is not a configuration of an adapter.
    """
    path = _existing(folder / CONFIG)
    try:
        given = read_json(path, max_bytes=_MAX_CONFIG_BYTES)
        known = [*([] if expected is None else [expected]), *map(adapter_config_class, ADAPTERS)]
        by_kind = {kind: made for made in reversed(known) for kind in made.kinds()}
        kind = given.get("kind", "dep")  # files of older versions name none
        if kind not in by_kind:
            raise ConfigError(f"unknown kind {str(kind)[:80]!r}", hint=f"one of: {', '.join(sorted(by_kind))}")
        return build(by_kind[kind], given, where=str(path))
    except (ConfigError, ValueError, TypeError, AttributeError, OSError) as error:
        raise ArtifactError(f"{str(path)!r} does not describe an adapter: {error}", hint="fit it again") from error


def check_size(folder: Path, config: SoftPromptConfig) -> None:
    """Refuse a configuration that asks for other sizes than the weights have, before anything is allocated for it.

    Raises:
        NotFoundError: There are no weights.
        ArtifactError: The configuration is of more numbers than the file can hold, at 4 bytes each.
    """
    path = _existing(folder / WEIGHTS)
    if 4 * config.min_parameters > path.stat().st_size:
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


def _readme(config: SoftPromptConfig, weights: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> str:
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
        "from idiolect.softprompt.model import load_adapter",
        "",
        'adapter = load_adapter(Path("this/folder"))',
        "```",
    ]
    return "\n".join(lines) + "\n"
