"""What a checkpoint, its tokenizer and its chat template say of prompts and completions, for all local backends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from idiolect.encoders import folder_digest
from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import Completion
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.streaming import Listener, TokenListener
from idiolect.llm.thinking import Tag, part, part_completion
from idiolect.prompts.tokenization import ControlTokens, EncodedPrompt, PromptTokenizer
from idiolect.types import Prompt

_log = logging.getLogger(__name__)


def model_name(model: str, where: Path, commit: str | None) -> str:
    """Model and revision, for records. A folder counts by its name and digest, not its path, so that it may be moved.

    Args:
        model: As configured: a folder, a hub name or ``sandbox``.
        where: The folder, if it is one.
        commit: Commit of a hub model.
    """
    if where.is_dir():
        return f"{Path(model).name}@{folder_digest(where)}"
    return f"{model}@{(commit or '')[:12]}".removesuffix("@")


def checked_soft(prompt: Prompt, width: int) -> np.ndarray:
    """``prompt.soft``, one row per virtual token, after a check of its shape.

    Raises:
        ArtifactError: The shape is not (virtual tokens, ``width``).
    """
    soft, n_tokens = prompt.soft, len(prompt.virtual_tokens)
    if soft is None or soft.shape != (n_tokens, width):
        raise ArtifactError(
            f"soft prompt embeddings of shape {getattr(soft, 'shape', ())} "
            f"for {n_tokens} virtual tokens of a model of width {width}",
            hint="use the adapter that was fitted on this backbone",
        )
    return soft


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How thinking is separated from answers."""

    always: bool = False
    """Whether the model thinks before every answer."""
    tags: tuple[Tag, ...] = ()
    """Further tags around thinking."""

    @classmethod
    def of(cls, config: BackboneConfig) -> Self:
        """From the settings."""
        return cls(always=config.reasoning_model, tags=config.thinking_tags)

    @property
    def identity(self) -> dict[str, Any]:
        """Its part of the cache key; empty for the defaults."""
        return {"thinks": self.always, "thinking_tags": self.tags} if self != type(self)() else {}


def checkpoint_stops(config: Any, generation: Any, tokenizer: Any) -> tuple[int, ...]:
    """The end-of-text ids of a checkpoint's settings, each once.

    Args:
        config: The model's configuration, nested ones included.
        generation: Its ``GenerationConfig``, if it has one.
        tokenizer: Ids that are only in ``config`` count if they are control tokens, because configuration classes have
            defaults from other vocabularies.
    """
    stated = [] if generation is None or getattr(generation, "_from_model_config", False) else [generation]
    configs = [config, config.get_text_config()]
    control = ControlTokens(tokenizer)
    found = [id for one in stated for id in _ids(one)]
    found += [id for one in configs for id in _ids(one) if control.is_control(id)]
    # A checkpoint may have more embeddings than its tokenizer has tokens.
    known = max(len(tokenizer), int(getattr(config.get_text_config(), "vocab_size", 0)))
    return tuple(dict.fromkeys(id for id in found if id < known))


def _ids(settings: Any) -> list[int]:
    stated = getattr(settings, "eos_token_id", None)
    listed = stated if isinstance(stated, list | tuple) else [stated]
    return [id for id in listed if type(id) is int and id >= 0]


def own_identity(prompts: PromptTokenizer, thinking: Thinking) -> dict[str, Any]:
    """The part of the cache key from settings and checkpoint; empty for the defaults."""
    usual = {prompts.end_id, prompts.tokenizer.eos_token_id}
    stops = {} if usual >= set(prompts.stop_ids) else {"stops": prompts.stop_ids}
    template = {"chat_template_kwargs": prompts.template_arguments} if prompts.template_arguments else {}
    return {**stops, **template, **thinking.identity}


def refuse_encoder_decoder(config: Any, name: str) -> None:
    """Check that a model is a causal language model.

    Raises:
        ConfigError: It is an encoder with a decoder.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"{name!r} is an encoder-decoder model, which does not continue a prompt",
            hint="use a causal (decoder-only) language model",
        )


def warn_of_template(tokenizer: Any, arguments: Mapping[str, Any], name: str) -> None:
    """Warn if there is no chat template, or if it does not read an argument."""
    template = tokenizer.chat_template
    if template is None:
        _log.warning("%s has no chat template: turns are separated by blank lines, as for a base model", name)
    written = template if isinstance(template, str) else str(template or "")
    for argument in arguments:
        if argument not in written:
            _log.warning("the chat template of %s does not read %r: it changes nothing", name, argument)


def completion(
    prompts: PromptTokenizer, encoded: EncodedPrompt, row: Sequence[int], seconds: float, thinking: Thinking
) -> Completion:
    """The completion of generated ids, with thinking separated and usage.

    Args:
        prompts: The model's prompt tokenizer.
        encoded: The encoded prompt.
        row: Generated ids, with the end token if there is one.
        seconds: Time of the generation.
        thinking: How thinking is separated; with a chat template that opens thinking, ``always`` holds.
    """
    written = prompts.length(row)
    found = Completion(
        text=prompts.decode(row),
        prompt_tokens=len(encoded.ids),
        completion_tokens=min(written + 1, len(row)),
        kept_entries=encoded.kept_entries,
        seconds=seconds,
        truncated=written == len(row),
    )
    return part_completion(found, always=_thinks(encoded, thinking), tags=thinking.tags)


def token_listener(
    prompts: PromptTokenizer, encoded: EncodedPrompt, listener: Listener, thinking: Thinking
) -> TokenListener:
    """Turns generated ids into what ``listener`` receives; arguments are those of ``completion``."""
    always = _thinks(encoded, thinking)
    return TokenListener(prompts.tokenizer, prompts.decode, listener, always=always, tags=thinking.tags)


def _thinks(encoded: EncodedPrompt, thinking: Thinking) -> bool:
    return thinking.always or not part(encoded.opening, tags=thinking.tags).finished
