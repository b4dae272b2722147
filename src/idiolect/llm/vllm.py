"""Any model that vLLM runs, in this process, with soft prompts as prompt embeddings: stock vLLM, no fork."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from idiolect.errors import ConfigError, NotFoundError, require
from idiolect.llm.base import Capability, Completion, SamplingParams, Schema
from idiolect.llm.budget import budget
from idiolect.llm.config import SANDBOX_BACKBONE, BackboneConfig
from idiolect.llm.input_embeddings import InputEmbeddings
from idiolect.llm.local import (
    Thinking,
    checkpoint_stops,
    completion,
    model_name,
    own_identity,
    refuse_encoder_decoder,
    soft_rows,
    warn_of_template,
)
from idiolect.prompts.tokenize import EncodedPrompt, PromptTokenizer
from idiolect.types import Prompt

EXTRA = "vllm"


class VllmLLM:
    """A causal language model behind vLLM's engine, which batches and schedules by itself.

    A prompt without slots is sent as token ids, one with slots as embeddings: rows of the checkpoint's table with the
    soft rows between them.

    Args:
        engine: A ``vllm.LLM`` made with ``enable_prompt_embeds`` and without prefix caching.
        tokenizer: The model's tokenizer.
        embeddings: The model's input embeddings; only asked for where a prompt has slots.
        sampling: ``vllm.SamplingParams``.
        name: Model and revision, for records.
        settings: Of the engine, beside the model's own; they tell one record of answers from another.
        max_prompt_tokens: See ``BackboneConfig``.
        history_tokens: See ``PromptTokenizer``.
        progress: Show a bar while generating.
        stops: Ids that end a text by the model's own settings.
        template_arguments: See ``chat.frames``.
        thinking: How thoughts are told from answers.
    """

    supports: frozenset[Capability] = frozenset({"soft", "seed"})

    def __init__(
        self,
        engine: Any,
        tokenizer: Any,
        embeddings: InputEmbeddings,
        *,
        sampling: Callable[..., Any],
        name: str,
        settings: Mapping[str, Any] | None = None,
        max_prompt_tokens: int = 2048,
        history_tokens: int | None = None,
        progress: bool = False,
        stops: Sequence[int] = (),
        template_arguments: Mapping[str, Any] | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        self.engine, self.embeddings, self.name, self.progress = engine, embeddings, name, progress
        self.prompts = PromptTokenizer(
            tokenizer,
            max_tokens=max_prompt_tokens,
            history_tokens=history_tokens,
            stops=stops,
            template_arguments=template_arguments,
        )
        self._thinking = thinking or Thinking()
        self._sampling, self._settings = sampling, dict(settings or {})
        self._dtype = engine.llm_engine.model_config.dtype

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> VllmLLM:
        """Load a model into an engine; a prompt's budget is at most what the model's context leaves for an answer.

        Raises:
            MissingDependencyError: vLLM is not installed.
            ConfigError: A device is named; vLLM is built for one.
            NotFoundError: Neither a folder nor a name that can be fetched from here.
            ArtifactError: The model's embeddings are more than a table.
        """
        vllm = require("vllm", extra=EXTRA)
        if config.device != "auto":
            raise ConfigError(f"vLLM chooses its device, not {config.device!r}", hint="leave out backbone.device")
        where = str(SANDBOX_BACKBONE) if config.model == "sandbox" else config.model
        try:
            settings = AutoConfig.from_pretrained(where, revision=config.revision, trust_remote_code=False)
            refuse_encoder_decoder(settings, config.model)
            tokenizer = AutoTokenizer.from_pretrained(where, revision=config.revision)
            embeddings = InputEmbeddings.load(where, config.revision)
        except (OSError, ValueError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise NotFoundError(
                f"cannot load the model {config.model!r}: {reason}", hint="give a folder, or a hub name with network"
            ) from error
        warn_of_template(tokenizer, config.chat_template_kwargs, config.model)
        engine = vllm.LLM(
            model=where,
            revision=config.revision,
            tokenizer_revision=config.revision,
            dtype=config.dtype,
            enable_prompt_embeds=True,
            # Blocks of embeddings have no token ids to be told apart by, and a wrong hit is a wrong answer.
            enable_prefix_caching=False,
            **{"disable_log_stats": True, **config.engine},
        )
        room = int(engine.llm_engine.model_config.max_model_len) - 1
        allowed = budget(config.max_prompt_tokens, Path(where), room)
        return cls(
            engine,
            tokenizer,
            embeddings,
            sampling=vllm.SamplingParams,
            name=model_name(config.model, Path(where), config.revision or _commit(where)),
            settings=config.engine,
            max_prompt_tokens=min(allowed.prompt, room),
            history_tokens=allowed.history,
            progress=progress,
            stops=checkpoint_stops(settings, _generation(where, config.revision), tokenizer),
            template_arguments=config.chat_template_kwargs,
            thinking=Thinking.of(config),
        )

    @property
    def identity(self) -> str:
        """What its answers depend on beside prompt and parameters: what a record of them is kept under."""
        limits = {"max_prompt_tokens": self.prompts.max_tokens, "history_tokens": self.prompts.history_tokens}
        how = {"dtype": str(self._dtype), "engine": self._settings, **own_identity(self.prompts, self._thinking)}
        return json.dumps({"backend": "vllm", "model": self.name, **limits, **how}, sort_keys=True, default=str)

    @property
    def hidden_size(self) -> int:
        """Width of the model's input space: what soft rows must have."""
        return self.embeddings.hidden_size

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. Every prompt is sampled with the seed itself, whatever is computed beside it.

        Raises:
            ConfigError: A schema is asked for.
            ArtifactError: The soft rows are another model's.
        """
        if schema is not None:
            raise ConfigError(f"{self.name} cannot be held to a schema", hint="use the backend 'openai'")
        if not prompts:
            return []
        encoded = [self.prompts.encode(prompt) for prompt in prompts]
        asked = [self._request(one, prompt) for one, prompt in zip(encoded, prompts, strict=True)]
        started = time.perf_counter()
        outputs = self.engine.generate(asked, self._params(params), use_tqdm=self.progress and sys.stderr.isatty())
        seconds = (time.perf_counter() - started) / len(prompts)
        return [
            completion(self.prompts, one, list(output.outputs[0].token_ids), seconds, self._thinking)
            for one, output in zip(encoded, outputs, strict=True)
        ]

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """Not to be had for prompt embeddings, so not offered at all, as ``supports`` says.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.name}: vLLM gives no likelihoods here", hint="use the backend 'transformers'")

    def close(self) -> None:
        """End the engine's process and free its memory; nothing can be asked afterwards."""
        self.engine.llm_engine.engine_core.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, encoded: EncodedPrompt, prompt: Prompt) -> dict[str, Any]:
        soft = soft_rows(prompt, self.hidden_size)
        if soft is None:
            return {"prompt_token_ids": encoded.ids.tolist()}
        return {
            "prompt_embeds": self.embeddings.embed(encoded.ids, encoded.slot_positions, soft[encoded.slot_rows]).to(
                self._dtype
            )
        }

    def _params(self, params: SamplingParams) -> Any:
        return self._sampling(
            temperature=params.temperature,
            top_p=params.top_p,
            max_tokens=params.max_new_tokens,
            seed=params.seed,
            stop_token_ids=list(self.prompts.stop_ids),
            detokenize=False,
        )


def _generation(where: str, revision: str | None) -> GenerationConfig | None:
    try:
        return GenerationConfig.from_pretrained(where, revision=revision or "main")
    except (OSError, ValueError):  # most have one, none must
        return None


def _commit(where: str) -> str | None:
    """Of a hub model, as its configuration tells it."""
    return None if Path(where).is_dir() else getattr(AutoConfig.from_pretrained(where), "_commit_hash", None)
