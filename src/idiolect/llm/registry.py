"""The backbone's settings, and the registry of backends. Does not import torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from idiolect.config import Config
from idiolect.errors import require
from idiolect.llm.base import LLM
from idiolect.llm.endpoint import OpenAIConfig, WebAddress
from idiolect.llm.thinking import Tags
from idiolect.registry import Registry

_OWN_ARGUMENTS = frozenset(
    [
        "conversation",
        "messages",
        "tokenize",
        "add_generation_prompt",
        "continue_final_message",
        "padding",
        "truncation",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "processor_kwargs",
    ]
)
"""Arguments of ``apply_chat_template`` that are not the template's, or that prompts set themselves."""

SANDBOX_BACKBONE = Path(__file__).parents[1] / "sandbox" / "backbone"
"""The small model that ships with the package; ``pretrain.json`` in the same folder is its recipe and log."""


class PromptEmbedsServer(Config):
    """A vLLM server that runs ``backbone.model`` with ``--enable-prompt-embeds``, for this program only."""

    base_url: WebAddress
    """Up to and with ``/v1``."""
    model: str
    """The server's name of the model."""
    api_key_env: str = "VLLM_API_KEY"
    """Environment variable with the key; a server that asks for none needs none."""
    timeout_s: float = Field(default=120, gt=0)
    """Seconds until an answer must arrive."""
    concurrency: int = Field(default=16, ge=1)
    """Requests at once."""


class BackboneConfig(Config):
    """The language model and how it runs."""

    model: str = "sandbox"
    """Folder, hub name, ``sandbox`` for the small model that ships with the package, or ``fake`` for none at all."""
    backend: str = "auto"
    """What runs it: ``transformers``; ``vllm``, faster on a GPU, without likelihoods; ``vllm-server``, which sends
    embeddings of whole prompts to ``prompt_embeds``; ``openai``, which asks ``endpoint``; or ``fake``, which needs no
    weights and no torch and repeats what it is shown. auto tells it from the model and the endpoint, and is never
    vLLM."""
    endpoint: OpenAIConfig | None = None
    """An OpenAI-compatible endpoint instead of a model in this process; it names its own model, and of the settings
    here no other one concerns it. It takes no soft prompts, so there is no DEP with it."""
    prompt_embeds: PromptEmbedsServer | None = None
    """The server of the backend ``vllm-server``. Unlike an endpoint it takes soft prompts."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    device: str = "auto"
    """``cpu``, ``cuda``, ...; auto: a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: the checkpoint's own on a GPU, float32 on a CPU."""
    max_prompt_tokens: int | None = Field(default=None, gt=0)
    """Budget of a prompt; history that does not fit is dropped, last entry first. None: 2048 (DEP paper, appendix
    C.2.3), or what the model has positions for. For a model made by ``pretrain``, such as the shipped one, history is
    limited to the length of its training documents."""
    batch_size: int = Field(default=16, gt=0)
    """Prompts computed together."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Further arguments of the model's chat template, for instance ``{"enable_thinking": false}``; used for generation,
    likelihoods and fitting."""
    reasoning_model: bool = False
    """The model thinks before every answer, so a reply without a closing tag is unfinished thinking. Not needed if the
    chat template opens the thinking."""
    thinking_tags: Tags = ()
    """Further tags around thinking, in addition to the known ones: ``plan`` for ``<plan>...</plan>``, ``[PLAN]``, or a
    pair of an opening and a closing mark."""
    engine: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of vLLM's ``LLM``, for instance ``gpu_memory_utilization`` or ``tensor_parallel_size``."""

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_arguments(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in value:
            if not name.isidentifier() or name in _OWN_ARGUMENTS:
                raise ValueError(f"{name!r} is no argument of a chat template that may be set")
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise ValueError("not plain JSON data") from error
        return value

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.engine and self.backend != "vllm":
            raise ValueError("engine has settings of vLLM: set backend to vllm, or leave them out")
        if (self.backend == "vllm-server") != (self.prompt_embeds is not None):
            raise ValueError("prompt_embeds and the backend vllm-server go together: set both, or none")
        if self.backend == "openai" and self.endpoint is None:
            raise ValueError("the backend openai needs an endpoint: set endpoint.model and endpoint.base_url")
        if self.endpoint is not None and self.chat_template_kwargs:
            raise ValueError("an endpoint fills in its chat template itself: leave out chat_template_kwargs")
        if self.endpoint is not None and (self.reasoning_model or self.thinking_tags):
            raise ValueError("with an endpoint, set endpoint.reasoning_model and endpoint.thinking_tags instead")
        if self.endpoint is not None and self.backend not in ("auto", "openai"):
            raise ValueError(f"the backend {self.backend} uses no endpoint; leave out one of the two")
        if self.endpoint is not None and self.model != type(self).model_fields["model"].default:
            raise ValueError("an endpoint names its own model: set endpoint.model, and leave out model")
        return self


class Backend(Protocol):
    """A class of language models that can be loaded from settings."""

    def load(self, config: BackboneConfig, *, progress: bool = False) -> LLM:
        """The model that the settings name; with ``progress`` it shows progress bars."""
        ...


BACKENDS: Registry[Backend] = Registry(
    "backend",
    {
        "fake": "idiolect.llm.fake:FakeLLM",
        "openai": "idiolect.llm.openai:OpenAILLM",
        "transformers": "idiolect.llm.transformers:TransformersLLM",
        "vllm": "idiolect.llm.vllm:VllmLLM",
        "vllm-server": "idiolect.llm.vllm_server:VllmServerLLM",
    },
)
"""Backends by name; ``register`` adds one."""

ENDPOINTS = frozenset({"openai", "vllm-server"})
"""Backends that ask a server."""

STREAMING = frozenset({"fake", "transformers", "vllm-server"})
"""Backends whose replies can be read while they are generated (``streaming.TextStreamer``)."""

PACKAGES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "openai": ("openai", ("openai", "httpx2")),
        "transformers": ("train", ("torch", "transformers", "accelerate", "safetensors")),
        "vllm": ("vllm", ("vllm", "torch", "transformers", "safetensors")),
        "vllm-server": ("train", ("torch", "transformers", "safetensors", "httpx2")),
    }
)
"""The extra of a backend and the packages that it needs."""


def backend_of(config: BackboneConfig) -> str:
    """The backend's name, ``auto`` resolved.

    ``openai`` with an endpoint, ``fake`` for the model ``fake``, ``transformers`` for all others.
    """
    if config.backend != "auto":
        return config.backend
    if config.endpoint is not None:
        return "openai"
    return "fake" if config.model == "fake" else "transformers"


def require_packages(backend: str) -> None:
    """Check that the backend's packages are installed, before anything is computed.

    Raises:
        MissingDependencyError: It needs an extra that is not installed.
    """
    extra, packages = PACKAGES.get(backend, ("", ()))
    for package in packages:
        require(package, extra=extra)


def load_llm(config: BackboneConfig, *, progress: bool = False) -> LLM:
    """The language model that the settings name.

    Args:
        config: The model and how it runs.
        progress: Show progress bars.

    Raises:
        ConfigError: There is no such backend.
        MissingDependencyError: The backend needs an extra that is not installed.
        NotFoundError: There is no such model, or it cannot be downloaded.
    """
    name = backend_of(config)
    require_packages(name)
    return BACKENDS.get(name).load(config, progress=progress)
