"""What the backends that run a model in this process share: its name, the check of soft rows, the finished answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from idiolect.encoders.digest import folder_digest
from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import Completion
from idiolect.llm.config import BackboneConfig
from idiolect.llm.thinking import Tag, part, part_completion
from idiolect.prompts.control import ControlTokens
from idiolect.prompts.tokenize import EncodedPrompt, PromptTokenizer
from idiolect.types import Prompt

_log = logging.getLogger(__name__)


def model_name(model: str, where: Path, commit: str | None) -> str:
    """Model and revision, for records; of a folder its own name, not its path, for an adapter moves with its backbone.

    Args:
        model: As configured: a folder, a hub name or ``sandbox``.
        where: The folder, if it is one.
        commit: Of a hub model.
    """
    if where.is_dir():
        return f"{Path(model).name}@{folder_digest(where)}"
    return f"{model}@{(commit or '')[:12]}".removesuffix("@")


def soft_rows(prompt: Prompt, width: int) -> np.ndarray | None:
    """The prompt's soft rows, one a slot; splicing itself would take too many, or too wide ones, in silence.

    Raises:
        ArtifactError: There are more or fewer than slots, or they are not ``width`` wide.
    """
    wanted = (len(prompt.slots), width)
    if prompt.soft is not None and prompt.soft.shape != wanted:
        raise ArtifactError(
            f"soft rows of shape {prompt.soft.shape} for {wanted[0]} slots of a model of width {wanted[1]}",
            hint="use the adapter that was fitted on this backbone",
        )
    return prompt.soft


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How a model's thinking is told from its answers."""

    always: bool = False
    """It thinks before every answer."""
    tags: tuple[Tag, ...] = ()
    """Further tags around thoughts."""

    @classmethod
    def of(cls, config: BackboneConfig) -> Self:
        """As the settings say."""
        return cls(always=config.thinks, tags=config.thinking_tags)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells records of answers apart; empty where nothing is set."""
        return {"thinks": self.always, "thinking_tags": self.tags} if self != type(self)() else {}


def checkpoint_stops(config: Any, generation: Any, tokenizer: Any) -> tuple[int, ...]:
    """The ids that end a text by a checkpoint's own settings, each once.

    Args:
        config: The model's configuration, nested ones included.
        generation: Its ``GenerationConfig``, if it has one.
        tokenizer: Of what stands in ``config`` alone only its control tokens count, because configuration classes have
            defaults that are some word of another vocabulary.
    """
    stated = [] if generation is None or getattr(generation, "_from_model_config", False) else [generation]
    configs = [config, config.get_text_config()]
    control = ControlTokens(tokenizer)
    found = [id for one in stated for id in _ids(one)]
    found += [id for one in configs for id in _ids(one) if control.is_control(id)]
    # A checkpoint may have room for more tokens than its tokenizer knows.
    known = max(len(tokenizer), int(getattr(config.get_text_config(), "vocab_size", 0)))
    return tuple(dict.fromkeys(id for id in found if id < known))


def _ids(settings: Any) -> list[int]:
    stated = getattr(settings, "eos_token_id", None)
    listed = stated if isinstance(stated, list | tuple) else [stated]
    return [id for id in listed if type(id) is int and id >= 0]


def own_identity(prompts: PromptTokenizer, thinking: Thinking) -> dict[str, Any]:
    """What settings and checkpoint add to the identity of a model's answers; empty where they change nothing."""
    usual = {prompts.end_id, prompts.tokenizer.eos_token_id}
    stops = {} if usual >= set(prompts.stop_ids) else {"stops": prompts.stop_ids}
    template = {"chat_template_kwargs": prompts.template_arguments} if prompts.template_arguments else {}
    return {**stops, **template, **thinking.identity}


def refuse_encoder_decoder(config: Any, name: str) -> None:
    """Refuse a model that does not continue its prompt.

    Raises:
        ConfigError: It is an encoder with a decoder.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"{name!r} is an encoder-decoder model, which does not continue a prompt",
            hint="use a causal (decoder-only) language model",
        )


def warn_of_template(tokenizer: Any, arguments: Mapping[str, Any], name: str) -> None:
    """Say what a user may not expect of a chat template: that there is none, or that it does not read an argument."""
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
    """An answer as ids, its thoughts apart, with what it took.

    Args:
        prompts: The model's.
        encoded: What was answered.
        row: Ids of the answer, its end included where there is one.
        seconds: It took.
        thinking: How thoughts are told from the answer. A chat template that opens thinking counts as always thinking.
    """
    written = prompts.length(row)
    always = thinking.always or not part(encoded.opening, tags=thinking.tags).finished
    found = Completion(
        text=prompts.decode(row),
        prompt_tokens=len(encoded.ids),
        completion_tokens=min(written + 1, len(row)),
        kept_entries=encoded.kept_entries,
        seconds=seconds,
        truncated=written == len(row),
    )
    return part_completion(found, always=always, tags=thinking.tags)
