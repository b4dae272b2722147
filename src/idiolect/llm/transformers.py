"""Any Hugging Face causal language model, by folder or hub name, with soft prompts in its input embeddings."""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from idiolect.encoders import disable_progress_bars
from idiolect.errors import ConfigError, NotFoundError
from idiolect.hub import only_cached
from idiolect.llm.base import Capability, Completion, SamplingParams, Schema, TokenNats, budget
from idiolect.llm.checkpoint import (
    Thinking,
    checked_soft,
    checkpoint_stops,
    completion,
    model_name,
    own_identity,
    refuse_encoder_decoder,
    token_listener,
    warn_of_template,
)
from idiolect.llm.decoding import begin, decode, joined
from idiolect.llm.prompt_states import PromptInput, PromptStates
from idiolect.llm.registry import SANDBOX_BACKBONE, BackboneConfig
from idiolect.llm.sampling import GREEDY, OwnDraws, likeliest
from idiolect.llm.streaming import Listener, TokenListener
from idiolect.progress import Progress
from idiolect.prompts.tokenization import EncodedPrompt, PromptTokenizer
from idiolect.softprompt.memory import BatchLimit
from idiolect.softprompt.model import insert_embeddings, per_layer_inputs
from idiolect.softprompt.prefix import supports_prefix
from idiolect.softprompt.sharding import is_sharded, shard_layers
from idiolect.types import Prompt


class _Ends(StoppingCriteria):
    """Ends a batch of one row when its listener says so.

    Args:
        listener: Gets the generated ids.
        width: Positions at the beginning that repeat the input.
    """

    def __init__(self, listener: TokenListener, width: int) -> None:
        self._listener, self._width = listener, width

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Bool (1,): whether the row has ended.

        Args:
            input_ids: int64 (1, t): the tokens so far.
            scores: Ignored.
        """
        ended = not self._listener(input_ids[0, self._width :].tolist())
        return torch.full((len(input_ids),), ended, device=input_ids.device)


class _Batch(NamedTuple):
    inputs: dict[str, torch.Tensor]
    """Left-padded: ``input_ids`` (B, T), or ``inputs_embeds`` (B, T, H) if there are soft prompt embeddings."""
    mask: torch.Tensor
    """int64 (B, T)."""
    extra: dict[str, torch.Tensor]
    """See ``per_layer_inputs``."""
    width: int
    """Positions at the beginning of the output that repeat the input."""


class TransformersLLM:
    """A causal language model in this process.

    Args:
        model: The Hugging Face model; it is not changed.
        tokenizer: Its tokenizer.
        name: Model and revision, for records.
        max_prompt_tokens: See ``BackboneConfig``.
        history_tokens: See ``PromptTokenizer``.
        batch_size: See ``BackboneConfig``.
        progress: Show progress while generating.
        template_arguments: See ``prompts.tokenization.chat_template_parts``.
        thinking: How thinking is separated from answers.
        positions: Longest text, prompt included, that the model has positions for; None: unknown.
    """

    supports: frozenset[Capability] = frozenset({"soft", "likelihood", "seed"})

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        max_prompt_tokens: int = 2048,
        history_tokens: int | None = None,
        batch_size: int = 16,
        progress: bool = False,
        template_arguments: Mapping[str, Any] | None = None,
        thinking: Thinking | None = None,
        positions: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.prompts = PromptTokenizer(
            tokenizer,
            max_tokens=max_prompt_tokens,
            history_tokens=history_tokens,
            stops=checkpoint_stops(model.config, getattr(model, "generation_config", None), tokenizer),
            template_arguments=template_arguments,
        )
        self._thinking, self._positions = thinking or Thinking(), positions
        self.name = name
        accepted = inspect.signature(model.forward).parameters
        self._takes = {name for name in ("position_ids", "logits_to_keep", "use_cache") if name in accepted}
        self._decodes = "logits_to_keep" in self._takes and supports_prefix(self.model)
        # A GPU is idle between rows that are computed one by one; a CPU is not.
        self._states = PromptStates(self.model) if self._decodes and self.model.device.type == "cpu" else None
        self.batch_size = batch_size
        self.progress = progress
        hint = "a smaller max_prompt_tokens, fewer new tokens, or a larger device"
        halves = not is_sharded(model)
        self._limits = {what: BatchLimit(what, hint=hint, halves=halves) for what in ("generation", "likelihoods")}

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False, sharded: bool = False) -> TransformersLLM:
        """Load a model and its tokenizer.

        Args:
            config: Which model, and how.
            progress: Show progress while generating.
            sharded: Spread its layers over the processes of this run (``softprompt.sharding``).

        Raises:
            NotFoundError: Neither a folder nor a model that can be downloaded.
            ConfigError: The model is an encoder-decoder, or has no layers that can be spread.
        """
        where = str(SANDBOX_BACKBONE) if config.model == "sandbox" else config.model
        folder = Path(where)
        cuda = torch.cuda.is_available()
        device = ("cuda" if cuda else "cpu") if config.device == "auto" else config.device
        dtype = config.dtype if config.dtype != "auto" else ("auto" if device.startswith("cuda") else "float32")
        try:
            # A model is data: its own code is never run, and nothing is unpickled.
            given: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
            given["local_files_only"] = only_cached(where)
            refuse_encoder_decoder(AutoConfig.from_pretrained(where, **given), config.model)
            tokenizer = AutoTokenizer.from_pretrained(where, **given)
            with disable_progress_bars():
                model: Any = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, use_safetensors=True, **given)
            positions = _positions(model)
            allowed = budget(config.max_prompt_tokens, folder, positions)
        except (OSError, ValueError, SafetensorError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise NotFoundError(
                f"cannot load the model {config.model!r}: {reason}",
                hint="give a folder, a hub name with the network on, or 'sandbox'",
            ) from error
        warn_of_template(tokenizer, config.chat_template_kwargs, config.model)
        return cls(
            shard_layers(model, device) if sharded else model.to(device),
            tokenizer,
            name=model_name(config.model, folder, config.revision or getattr(model.config, "_commit_hash", None)),
            max_prompt_tokens=allowed.prompt,
            history_tokens=allowed.history,
            batch_size=config.batch_size,
            progress=progress,
            template_arguments=config.chat_template_kwargs,
            thinking=Thinking.of(config),
            # A larger configured budget is kept, for models with scaled rotary positions.
            positions=None if allowed.prompt >= (positions or sys.maxsize) else positions,
        )

    @property
    def identity(self) -> str:
        """What answers depend on, except prompt and parameters; part of the cache keys."""
        how = {"dtype": str(self.model.dtype), "device": self.model.device.type}
        limits = {"max_prompt_tokens": self.prompts.max_tokens, "history_tokens": self.prompts.history_tokens}
        return json.dumps({"model": self.name, **limits, **how, **own_identity(self.prompts, self._thinking)})

    @property
    def hidden_size(self) -> int:
        """Width of the model's input embeddings, and so of soft prompt embeddings."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. A sample depends on the seed and its prompt, not on the rest of the batch.

        Raises:
            ConfigError: A schema is given.
        """
        if schema is not None:
            raise ConfigError(f"{self.name} cannot be held to a schema", hint="use the backend 'openai'")
        return self._generate(prompts, params)

    @torch.inference_mode()
    def stream_text(self, prompt: Prompt, params: SamplingParams, listener: Listener) -> Completion:
        """See ``TextStreamer.stream_text``."""
        return self._generate([prompt], params, listener)[0]

    def _generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, listener: Listener | None = None
    ) -> list[Completion]:
        encoded = [self.prompts.encode(prompt) for prompt in prompts]
        soft = [None if p.soft is None else checked_soft(p, self.hidden_size) for p in prompts]
        done: list[Completion | None] = [None] * len(prompts)
        for chosen in self._batches([(len(e.ids), s is None) for e, s in zip(encoded, soft, strict=True)], "generate"):

            def write(rows: slice, chosen: list[int] = chosen) -> None:
                own = chosen[rows]
                answers = self._write([encoded[i] for i in own], [soft[i] for i in own], params, listener)
                for i, answer in zip(own, answers, strict=True):
                    done[i] = answer

            self._limits["generation"].run(len(chosen), write)
        return [completion for completion in done if completion is not None]

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """See ``LLM.negative_log_likelihood``."""
        return np.array([nats.sum() for nats in self._token_nats(prompts, references)], dtype=np.float64)

    def token_nats(self, prompts: Sequence[Prompt], references: Sequence[str]) -> list[TokenNats]:
        """See ``TokenLikelihood.token_nats``."""
        found = self._token_nats(prompts, references)
        return [
            TokenNats(nats, self.prompts.reference_spans(text)) for nats, text in zip(found, references, strict=True)
        ]

    @torch.inference_mode()
    def _token_nats(self, prompts: Sequence[Prompt], references: Sequence[str]) -> list[np.ndarray]:
        """float64 (n_tokens,) per reference."""
        if self._states is not None:
            self._states.new_call()
        encoded = [self.prompts.encode(prompt) for prompt in prompts]
        soft = [None if p.soft is None else checked_soft(p, self.hidden_size) for p in prompts]
        targets = [self.prompts.encode_reference(text) for text in references]
        lengths = [(len(e.ids) + len(t), s is None) for e, t, s in zip(encoded, targets, soft, strict=True)]
        nats = [np.zeros(0)] * len(prompts)
        for chosen in self._batches(lengths, "likelihood"):

            def compute(rows: slice, chosen: list[int] = chosen) -> list[np.ndarray]:
                own = chosen[rows]
                return self._nats([encoded[i] for i in own], [soft[i] for i in own], [targets[i] for i in own])

            found = [row for part in self._limits["likelihoods"].run(len(chosen), compute) for row in part]
            for i, row in zip(chosen, found, strict=True):
                nats[i] = row
        return nats

    def _write(
        self,
        encoded: Sequence[EncodedPrompt],
        soft: Sequence[np.ndarray | None],
        params: SamplingParams,
        listener: Listener | None,
    ) -> list[Completion]:
        started = time.perf_counter()
        rooms = [self._room(one) for one in encoded]
        on_tokens = None if listener is None else token_listener(self.prompts, encoded[0], listener, self._thinking)
        tokens = self._new_tokens(encoded, soft, params, max(rooms), on_tokens)
        seconds = (time.perf_counter() - started) / len(encoded)
        written = zip(encoded, tokens, rooms, strict=True)
        return [completion(self.prompts, one, row[:room], seconds, self._thinking) for one, row, room in written]

    def _nats(
        self, encoded: Sequence[EncodedPrompt], soft: Sequence[np.ndarray | None], targets: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        if self._states is not None:
            prompts = [self._prompt_input(*one) for one in zip(encoded, soft, strict=True)]
            return [self._states.nats(*one) for one in zip(prompts, targets, strict=True)]
        batch = self._inputs(encoded, soft, targets)
        longest = max(map(len, targets))
        # Left padding puts every target at the end, so only the logits of the last positions are needed.
        options: dict[str, Any] = {
            "position_ids": (batch.mask.cumsum(1) - 1).clamp(min=0),
            "logits_to_keep": longest + 1,
            "use_cache": False,
        }
        options = {name: value for name, value in options.items() if name in self._takes}
        logits = self.model(**batch.inputs, **batch.extra, attention_mask=batch.mask, **options).logits
        # A position predicts the next token, so the relevant logits end one before the last.
        logits = logits[:, -longest - 1 : -1]
        wanted = torch.full((len(targets), longest), -100, device=logits.device)
        for row, target in enumerate(targets):
            wanted[row, longest - len(target) :] = torch.from_numpy(target.astype(np.int64))
        # Row by row, because the float32 logits of a whole batch over a large vocabulary would not fit into memory.
        pairs = zip(logits, wanted, strict=True)
        nats = [torch.nn.functional.cross_entropy(row.float(), ids, reduction="none") for row, ids in pairs]
        rows = torch.stack(nats).cpu().double().numpy()
        return [row[longest - len(target) :] for row, target in zip(rows, targets, strict=True)]

    def _inputs(
        self,
        encoded: Sequence[EncodedPrompt],
        soft: Sequence[np.ndarray | None],
        targets: Sequence[np.ndarray] | None = None,
    ) -> _Batch:
        """Left-padded prompts (followed by targets): as token ids, or as input embeddings."""
        tails = targets if targets is not None else [np.zeros(0, np.int32)] * len(encoded)
        rows = [np.concatenate([e.ids, tail]) for e, tail in zip(encoded, tails, strict=True)]
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.prompts.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        virtual_tokens = np.zeros((len(rows), width), dtype=bool)
        for k, (e, row) in enumerate(zip(encoded, rows, strict=True)):
            ids[k, width - len(row) :] = row
            mask[k, width - len(row) :] = 1
            virtual_tokens[k, width - len(row) + e.virtual_token_positions] = True
        device = self.model.device
        tokens, attended = torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
        kept = [s[e.virtual_token_indices] for e, s in zip(encoded, soft, strict=True) if s is not None]
        if not kept:
            return _Batch({"input_ids": tokens}, attended, {}, width)
        values = torch.from_numpy(np.concatenate(kept).astype(np.float32)).to(device)
        filled = virtual_tokens & np.array([s is not None for s in soft])[:, None]
        embeds = insert_embeddings(
            self.model.get_input_embeddings()(tokens), torch.from_numpy(filled).to(device), values
        )
        return _Batch({"inputs_embeds": embeds}, attended, per_layer_inputs(self.model, tokens), 0)

    def _new_tokens(
        self,
        encoded: Sequence[EncodedPrompt],
        soft: Sequence[np.ndarray | None],
        params: SamplingParams,
        room: int,
        on_tokens: TokenListener | None,
    ) -> list[list[int]]:
        """The new token ids of every prompt of a batch; after the one that ends it, there may be others."""
        draws = OwnDraws(params, [one.ids for one in encoded]) if params.temperature >= GREEDY else None
        limit = min(params.max_new_tokens, room)
        if self._states is not None:
            prompts = [self._prompt_input(*one) for one in zip(encoded, soft, strict=True)]
            begun = joined(self.model, [self._states.read(prompt) for prompt in prompts], limit)
        else:
            batch = self._inputs(encoded, soft)
            if not self._decodes:
                with _given_once(self.model, batch.extra):
                    how = self._how(params, draws, room)
                    if on_tokens is not None:
                        how["stopping_criteria"] = StoppingCriteriaList([_Ends(on_tokens, batch.width)])
                    tokens = self.model.generate(**batch.inputs, attention_mask=batch.mask, **how)
                return tokens[:, batch.width :].tolist()
            begun = begin(self.model, batch.inputs, batch.mask, limit)
        return decode(
            self.model,
            begun,
            likeliest if draws is None else draws.draw,
            keep=(lambda places: None) if draws is None else draws.keep,
            stops=frozenset(self.prompts.stop_ids),
            limit=limit,
            on_tokens=on_tokens,
        )

    def _prompt_input(self, encoded: EncodedPrompt, soft: np.ndarray | None) -> PromptInput:
        embeds = self._inputs([encoded], [soft]).inputs.get("inputs_embeds")
        if embeds is None or soft is None:
            return PromptInput(encoded.ids, np.zeros(0, np.int64), np.zeros((0, 1)), None)
        rows = soft[encoded.virtual_token_indices]
        return PromptInput(encoded.ids, encoded.virtual_token_positions, rows, embeds[0])

    def _room(self, encoded: EncodedPrompt) -> int:
        """The number of new tokens that the model has positions for after a prompt."""
        return sys.maxsize if self._positions is None else max(1, self._positions - len(encoded.ids))

    def _batches(self, sizes: Sequence[tuple[int, bool]], what: str) -> Iterator[list[int]]:
        """Indices in batches of similar length, longest first, so that memory runs out at once or never.

        Args:
            sizes: Length of each prompt, and whether it has no soft prompt embeddings; a batch has one kind only.
            what: Label of the progress bar.
        """
        longest_first = sorted(range(len(sizes)), key=lambda i: (-sizes[i][0], i))
        with Progress(len(sizes), what, "review", shown=self.progress, keep=False) as bar:
            for order in ([i for i in longest_first if sizes[i][1] is bare] for bare in (False, True)):
                for start in range(0, len(order), self.batch_size):
                    chosen = order[start : start + self.batch_size]
                    yield chosen
                    bar.update(len(chosen))

    def _how(self, params: SamplingParams, draws: OwnDraws | None, room: int) -> dict[str, Any]:
        return {
            "logits_processor": LogitsProcessorList([] if draws is None else [draws]),
            "do_sample": False,
            **dict.fromkeys(("temperature", "top_p", "top_k")),
            "max_new_tokens": min(params.max_new_tokens, room),
            "pad_token_id": self.prompts.pad_id,
            "eos_token_id": list(self.prompts.stop_ids),
            # Some checkpoints set penalties and beams; only ``params`` may count.
            "repetition_penalty": 1.0,
            "no_repeat_ngram_size": 0,
            "num_beams": 1,
        }


@contextmanager
def _given_once(model: Any, extra: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Within the block, further inputs are passed with ``inputs_embeds`` only, not with the ids of later steps.

    ``generate`` alone would pass them at every step.
    """

    def add(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return (args, {**kwargs, **extra} if kwargs.get("inputs_embeds") is not None else kwargs)

    handle = model.register_forward_pre_hook(add, with_kwargs=True) if extra else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _positions(model: Any) -> int | None:
    """The number of positions of the model, if its configuration names it."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
