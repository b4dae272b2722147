"""Backends by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from idiolect.errors import require
from idiolect.llm.base import LLM
from idiolect.llm.cache import Cache
from idiolect.llm.cached import CachedLLM
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
        "openai": "idiolect.llm.openai:OpenAILLM",
        "transformers": "idiolect.llm.transformers:TransformersLLM",
        "vllm": "idiolect.llm.vllm:VllmLLM",
    },
)
"""What runs a model; ``register`` adds one."""

PACKAGES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "openai": ("openai", ("openai", "httpx2")),
        "transformers": ("train", ("torch", "transformers", "accelerate", "safetensors")),
        "vllm": ("vllm", ("vllm", "torch", "transformers", "safetensors")),
    }
)
"""The extra of a backend and what has to be there of it."""


def backend_of(config: BackboneConfig) -> str:
    """The backend's name, ``auto`` resolved.

    An endpoint is asked, the model ``fake`` has its own, all others are Hugging Face models.
    """
    if config.backend != "auto":
        return config.backend
    if config.endpoint is not None:
        return "openai"
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


@contextmanager
def open_llm(config: BackboneConfig, *, cache: Path | None = None, progress: bool = False) -> Iterator[LLM]:
    """The language model that the settings name; what it holds open is closed at the end.

    Args:
        config: Which, and how it is run.
        cache: File of its recorded answers, made where absent; None: every question is asked anew.
        progress: Show bars while it works.

    Raises:
        ArtifactError: The file is no cache.
        IdiolectError: See ``load_llm``.
    """
    with ExitStack() as stack:
        record = None if cache is None else stack.enter_context(Cache(cache))
        llm = load_llm(config, progress=progress)
        if isinstance(llm, AbstractContextManager):
            stack.enter_context(llm)
        yield llm if record is None else CachedLLM(llm, record)
