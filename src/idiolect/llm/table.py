"""Backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from idiolect.errors import require
from idiolect.llm.base import LLM
from idiolect.llm.config import BackboneConfig
from idiolect.registry import Registry


class Backend(Protocol):
    """A class of language models, as far as loading goes."""

    def load(self, config: BackboneConfig, *, progress: bool = False) -> LLM:
        """The model that the settings name; with ``progress`` it shows bars while it works."""
        ...


BACKENDS: Registry[Backend] = Registry(
    "backend",
    {
        "fake": "idiolect.llm.fake:FakeLLM",
        "transformers": "idiolect.llm.transformers:TransformersLLM",
    },
)
"""What runs a model; ``register`` adds one."""

PACKAGES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {"transformers": ("train", ("torch", "transformers", "accelerate", "safetensors"))}
)
"""The extra of a backend and what has to be there of it."""


def backend_of(config: BackboneConfig) -> str:
    """The backend's name, ``auto`` resolved: the model ``fake`` has its own, all others are Hugging Face models."""
    if config.backend != "auto":
        return config.backend
    return "fake" if config.model == "fake" else "transformers"


def require_packages(backend: str) -> None:
    """Refuse a backend before anything is computed where it cannot run.

    Raises:
        MissingDependencyError: It needs an extra that is not installed.
    """
    extra, packages = PACKAGES.get(backend, ("", ()))
    for package in packages:
        require(package, extra=extra)


def load_llm(config: BackboneConfig, *, progress: bool = False) -> LLM:
    """The language model that the settings name.

    Args:
        config: Which, and how it is run.
        progress: Show bars while it works.

    Raises:
        ConfigError: There is no such backend.
        MissingDependencyError: The backend needs an extra that is not installed.
        NotFoundError: There is no such model, or none that can be had from here.
    """
    name = backend_of(config)
    require_packages(name)
    return BACKENDS.get(name).load(config, progress=progress)
