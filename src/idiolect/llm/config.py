"""Which backbone and how it is run; free of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from idiolect.config import Config
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.thinking import Tags

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
"""Arguments of ``apply_chat_template`` that are no business of the template, or that prompts set themselves."""

SANDBOX_BACKBONE = Path(__file__).parents[1] / "sandbox" / "backbone"
"""The small model that ships with the package; ``pretrain.json`` beside it is its recipe and log."""


class BackboneConfig(Config):
    """Which model, and how it is run."""

    model: str = "sandbox"
    """Folder, hub name, ``sandbox`` for the small model that ships with the package, or ``fake`` for none at all."""
    backend: str = "auto"
    """What runs it: ``transformers``; ``vllm``, faster on a GPU, without likelihoods; ``openai``, which asks
    ``endpoint``; or ``fake``, which needs no weights and no torch and repeats what it is shown. auto tells it from the
    model and the endpoint, and is never vLLM."""
    endpoint: OpenAIConfig | None = None
    """An OpenAI-compatible endpoint instead of a model in this process; it names its own model, and of the settings
    here no other one concerns it. It takes no soft prompts, so there is no DEP with it."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    device: str = "auto"
    """``cpu``, ``cuda``, ...; auto: a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: the checkpoint's own on a GPU, float32 on a CPU."""
    max_prompt_tokens: int | None = Field(default=None, gt=0)
    """Budget of a prompt; history that does not fit is dropped, last entry first. None: 2048 (DEP paper, appendix
    C.2.3), or what the model has positions for; of a model that ``pretrain`` made, the shipped one among them, history
    is kept only as far as the documents that it learnt from were long."""
    batch_size: int = Field(default=16, gt=0)
    """Prompts computed together."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Further arguments of the model's chat template, for instance ``{"enable_thinking": false}``; they hold wherever a
    prompt is made for the model: for generation, for likelihoods and for fitting."""
    thinks: bool = False
    """The model thinks before every answer: a reply without a closing tag is then unfinished thinking. Not needed where
    the chat template opens the thinking."""
    thinking_tags: Tags = ()
    """Further tags around thoughts, beside the known ones: ``plan`` for ``<plan>...</plan>``, ``[PLAN]``, or a pair of
    an opening and a closing mark."""
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
        if self.backend == "openai" and self.endpoint is None:
            raise ValueError("the backend openai needs an endpoint: set endpoint.model and endpoint.base_url")
        if self.endpoint is not None and self.chat_template_kwargs:
            raise ValueError("an endpoint fills in its chat template itself: leave out chat_template_kwargs")
        if self.endpoint is not None and (self.thinks or self.thinking_tags):
            raise ValueError("of an endpoint, set endpoint.thinks and endpoint.thinking_tags instead")
        if self.endpoint is not None and self.backend not in ("auto", "openai"):
            raise ValueError(f"the backend {self.backend} asks no endpoint; leave out one of the two")
        if self.endpoint is not None and self.model != type(self).model_fields["model"].default:
            raise ValueError("an endpoint names its own model: set endpoint.model, and leave out model")
        return self
