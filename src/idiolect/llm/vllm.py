"""Any model that vLLM runs, in this process, with soft prompts as prompt embeddings; no fork of vLLM.

``InputEmbeddings`` reads a checkpoint's input embeddings, from which prompt embeddings are made.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.hub import cached_file

from idiolect.errors import ArtifactError, ConfigError, NotFoundError, require
from idiolect.hub import only_cached
from idiolect.llm.base import Capability, Completion, SamplingParams, Schema, budget
from idiolect.llm.checkpoint import (
    Thinking,
    checked_soft,
    checkpoint_stops,
    completion,
    model_name,
    own_identity,
    refuse_encoder_decoder,
    warn_of_template,
)
from idiolect.llm.registry import SANDBOX_BACKBONE, BackboneConfig
from idiolect.prompts.tokenization import EncodedPrompt, PromptTokenizer
from idiolect.types import Prompt

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


class InputEmbeddings:
    """Maps token ids to the inputs of a model's first layer.

    Args:
        table: float (vocabulary, hidden): one row per token.
    """

    def __init__(self, table: torch.Tensor) -> None:
        self._table = table

    @classmethod
    def load(cls, model: str, revision: str | None = None) -> InputEmbeddings:
        """Read the embedding tensor of a folder or a hub model.

        Raises:
            ArtifactError: The model transforms its embeddings, or has no such tensor.
            NotFoundError: There are no safetensors.
        """
        name = _layer_name(model, revision)
        for file in _files(model, revision, name):
            with safe_open(file, framework="pt") as tensors:
                # Checkpoints of a base model leave out the prefix of the causal model's names.
                known: list[str] = tensors.keys()
                stored = next((key for key in known if name == key or name.endswith(f".{key}")), None)
                if stored is not None:
                    return cls(tensors.get_tensor(stored))
        raise ArtifactError(f"{model!r} has no tensor {name!r}", hint="use the backend 'transformers'")

    @property
    def hidden_size(self) -> int:
        """Width of the model's input space: what soft prompt embeddings must have."""
        return int(self._table.shape[1])

    def embed(self, ids: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> torch.Tensor:
        """(n, hidden), of the table's dtype: the embeddings of ``ids``, with ``rows`` at the virtual tokens.

        Args:
            ids: int (n,): token ids, any at the virtual tokens.
            positions: int (n_virtual_tokens,): indices of the virtual tokens.
            rows: float (n_virtual_tokens, hidden): their soft prompt embeddings.
        """
        embeds = self._table[torch.from_numpy(ids.astype(np.int64))]
        embeds[torch.from_numpy(positions)] = torch.from_numpy(rows.astype(np.float32)).to(embeds.dtype)
        return embeds


def _layer_name(model: str, revision: str | None) -> str:
    """The name of the table among the model's parameters, from the model's class without its weights."""
    config = AutoConfig.from_pretrained(model, revision=revision)
    with torch.device("meta"):
        empty: Any = AutoModelForCausalLM.from_config(config)
    layer = empty.get_input_embeddings()
    if type(layer) is not torch.nn.Embedding:
        raise ArtifactError(
            f"{model!r} scales or shifts its embeddings, so rows of the table are not what its layers see",
            hint="use the backend 'transformers'",
        )
    return next(name for name, weight in empty.named_parameters(remove_duplicate=False) if weight is layer.weight)


def _files(model: str, revision: str | None, name: str) -> Iterator[Path]:
    """The files that may hold a tensor: for a sharded checkpoint the one in its index."""
    found = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    index = cached_file(model, _INDEX, **found)
    parts = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"] if index else {}
    wanted = {file for key, file in parts.items() if name == key or name.endswith(f".{key}")} if index else {_WHOLE}
    for file in sorted(wanted):
        path = cached_file(model, file, **found)
        if path is None:
            raise NotFoundError(f"{model!r} has no {file}", hint="prompt embeddings need a checkpoint in safetensors")
        yield Path(path)


EXTRA = "vllm"


def load_tokenizer(config: BackboneConfig) -> tuple[str, Any, Any]:
    """Where a checkpoint is, its configuration and its tokenizer; the weights are not loaded.

    Raises:
        ConfigError: It is an encoder-decoder.
        NotFoundError: Neither a folder nor a model that can be downloaded.
    """
    where = str(SANDBOX_BACKBONE) if config.model == "sandbox" else config.model
    try:
        found: dict[str, Any] = {"revision": config.revision, "local_files_only": only_cached(where)}
        settings = AutoConfig.from_pretrained(where, trust_remote_code=False, **found)
        refuse_encoder_decoder(settings, config.model)
        tokenizer = AutoTokenizer.from_pretrained(where, **found)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise NotFoundError(
            f"cannot load the model {config.model!r}: {reason}", hint="give a folder, or a hub name with network"
        ) from error
    warn_of_template(tokenizer, config.chat_template_kwargs, config.model)
    return where, settings, tokenizer


class VllmLLM:
    """A causal language model in vLLM's engine, which batches and schedules.

    A prompt without virtual tokens is sent as token ids, one with virtual tokens as embeddings: those of the
    checkpoint's table with the soft prompt embeddings inserted.

    Args:
        engine: A ``vllm.LLM`` made with ``enable_prompt_embeds`` and without prefix caching.
        tokenizer: The model's tokenizer.
        embeddings: Loads the model's input embeddings; called at the first soft prompt.
        sampling: ``vllm.SamplingParams``.
        name: Model and revision, for records.
        settings: Further settings of the engine; part of the cache keys.
        max_prompt_tokens: See ``BackboneConfig``.
        history_tokens: See ``PromptTokenizer``.
        progress: Show a bar while generating.
        stops: End-of-text ids of the model's settings.
        template_arguments: See ``prompts.tokenization.chat_template_parts``.
        thinking: How thinking is separated from answers.
    """

    supports: frozenset[Capability] = frozenset({"soft", "seed"})

    def __init__(
        self,
        engine: Any,
        tokenizer: Any,
        embeddings: Callable[[], InputEmbeddings],
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
        self.engine, self.embeddings, self.name, self.progress = engine, cache(embeddings), name, progress
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
            ConfigError: A device is named; vLLM is built for a single kind of device.
            NotFoundError: Neither a folder nor a model that can be downloaded.
        """
        vllm = require("vllm", extra=EXTRA)
        if config.device != "auto":
            raise ConfigError(f"vLLM chooses its device, not {config.device!r}", hint="leave out backbone.device")
        where, settings, tokenizer = load_tokenizer(config)
        engine = vllm.LLM(
            model=where,
            revision=config.revision,
            tokenizer_revision=config.revision,
            dtype=config.dtype,
            enable_prompt_embeds=True,
            # Blocks of embeddings have no token ids as keys, and a wrong hit would give a wrong answer.
            enable_prefix_caching=False,
            **{"disable_log_stats": True, **config.engine},
        )
        room = int(engine.llm_engine.model_config.max_model_len) - 1
        allowed = budget(config.max_prompt_tokens, Path(where), room)
        return cls(
            engine,
            tokenizer,
            partial(InputEmbeddings.load, where, config.revision),
            sampling=vllm.SamplingParams,
            name=model_name(config.model, Path(where), config.revision or checkpoint_commit(where)),
            settings=config.engine,
            max_prompt_tokens=min(allowed.prompt, room),
            history_tokens=allowed.history,
            progress=progress,
            stops=checkpoint_stops(settings, generation_settings(where, config.revision), tokenizer),
            template_arguments=config.chat_template_kwargs,
            thinking=Thinking.of(config),
        )

    @property
    def identity(self) -> str:
        """What answers depend on, except prompt and parameters; part of the cache keys."""
        limits = {"max_prompt_tokens": self.prompts.max_tokens, "history_tokens": self.prompts.history_tokens}
        how = {"dtype": str(self._dtype), "engine": self._settings, **own_identity(self.prompts, self._thinking)}
        return json.dumps({"backend": "vllm", "model": self.name, **limits, **how}, sort_keys=True, default=str)

    @property
    def hidden_size(self) -> int:
        """Width of the model's input embeddings, and so of soft prompt embeddings.

        Raises:
            ArtifactError: The model takes no soft prompts (see ``InputEmbeddings.load``).
        """
        return self.embeddings().hidden_size

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. Every prompt is sampled with the seed, independently of the rest of the batch.

        Raises:
            ConfigError: A schema is given.
            ArtifactError: The soft prompt embeddings are of another shape, or the model takes none.
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
        """Not supported, because vLLM gives no likelihoods for prompt embeddings.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.name}: vLLM gives no likelihoods here", hint="use the backend 'transformers'")

    def close(self) -> None:
        """End the engine's process and free its memory; the model cannot be used afterwards."""
        self.engine.llm_engine.engine_core.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, encoded: EncodedPrompt, prompt: Prompt) -> dict[str, Any]:
        if prompt.soft is None:
            return {"prompt_token_ids": encoded.ids.tolist()}
        soft = checked_soft(prompt, self.hidden_size)[encoded.virtual_token_indices]
        embeds = self.embeddings().embed(encoded.ids, encoded.virtual_token_positions, soft)
        return {"prompt_embeds": embeds.to(self._dtype)}

    def _params(self, params: SamplingParams) -> Any:
        return self._sampling(
            temperature=params.temperature,
            top_p=params.top_p,
            max_tokens=params.max_new_tokens,
            seed=params.seed,
            stop_token_ids=list(self.prompts.stop_ids),
            detokenize=False,
        )


def generation_settings(where: str, revision: str | None) -> GenerationConfig | None:
    """A model's ``GenerationConfig``, if it has one."""
    try:
        return GenerationConfig.from_pretrained(where, revision=revision or "main")
    except (OSError, ValueError):  # most have one, none must
        return None


def checkpoint_commit(where: str) -> str | None:
    """Of a hub model, as its configuration tells it."""
    return None if Path(where).is_dir() else getattr(AutoConfig.from_pretrained(where), "_commit_hash", None)
