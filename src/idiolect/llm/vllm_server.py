"""A vLLM server as a language model that takes soft prompts: whole prompts travel as embeddings.

The server must run the checkpoint that ``backbone.model`` names, with ``--enable-prompt-embeds``, and nobody else may
reach it: vLLM takes embeddings from trusted clients only. Prompts are tokenized here, by the checkpoint's own tokenizer
and chat template, and sent to ``/v1/completions`` as one tensor each. So the tokens are those that an adapter was
fitted with, and no text of a user reaches the server as text, in which it could look for placeholders.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from idiolect.errors import ConfigError, NotFoundError, require
from idiolect.llm.base import Capability, Completion, Failure, SamplingParams, Schema, budget, one_line
from idiolect.llm.checkpoint import (
    Thinking,
    checked_soft,
    checkpoint_stops,
    completion,
    model_name,
    own_identity,
    token_listener,
)
from idiolect.llm.registry import BackboneConfig, PromptEmbedsServer
from idiolect.llm.streaming import Listener, TokenListener
from idiolect.llm.vllm import InputEmbeddings, checkpoint_commit, generation_settings, load_tokenizer
from idiolect.prompts.tokenization import EncodedPrompt, PromptTokenizer
from idiolect.types import FailureKind, Prompt

_KINDS: Mapping[int, FailureKind] = {400: "refused", 401: "denied", 403: "denied", 404: "denied", 429: "rate_limited"}
_REPLY_BYTES = 16 * 2**20


class VllmServerLLM:
    """Asks a vLLM server for completions of prompt embeddings. Threads may share one.

    Args:
        server: Where, and what it calls the model.
        tokenizer: The checkpoint's tokenizer.
        embeddings: The checkpoint's input embeddings.
        name: Model and revision, for records.
        max_prompt_tokens: See ``BackboneConfig``.
        history_tokens: See ``PromptTokenizer``.
        stops: Ids that end a text by the model's own settings.
        template_arguments: See ``prompts.tokenization.chat_template_parts``.
        thinking: How thinking is separated from answers.
        cache_salt: Prompts of another salt share no cached blocks with these.
    """

    supports: frozenset[Capability] = frozenset({"soft", "seed"})

    def __init__(
        self,
        server: PromptEmbedsServer,
        tokenizer: Any,
        embeddings: InputEmbeddings,
        *,
        name: str,
        max_prompt_tokens: int = 2048,
        history_tokens: int | None = None,
        stops: Sequence[int] = (),
        template_arguments: Mapping[str, Any] | None = None,
        thinking: Thinking | None = None,
        cache_salt: str = "",
    ) -> None:
        self.server, self.embeddings, self.name, self.cache_salt = server, embeddings, name, cache_salt
        self.prompts = PromptTokenizer(
            tokenizer,
            max_tokens=max_prompt_tokens,
            history_tokens=history_tokens,
            stops=stops,
            template_arguments=template_arguments,
        )
        self._thinking = thinking or Thinking()
        self._n_tokens = len(tokenizer)
        self._httpx = require("httpx2", extra="openai")

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> VllmServerLLM:
        """Read the checkpoint's tokenizer and input embeddings, and ask the server how long a prompt may be.

        Raises:
            ConfigError: The settings name no server.
            NotFoundError: There is no such model here, or the server does not serve it.
        """
        if (server := config.prompt_embeds) is None:
            raise ConfigError("the backend vllm-server needs a server", hint="set backbone.prompt_embeds.base_url")
        where, settings, tokenizer = load_tokenizer(config)
        made = cls(
            server,
            tokenizer,
            InputEmbeddings.load(where, config.revision),
            name=model_name(config.model, Path(where), config.revision or checkpoint_commit(where)),
            stops=checkpoint_stops(settings, generation_settings(where, config.revision), tokenizer),
            template_arguments=config.chat_template_kwargs,
            thinking=Thinking.of(config),
        )
        room = made.longest() - 1
        allowed = budget(config.max_prompt_tokens, Path(where), room)
        made.prompts.max_tokens = min(allowed.prompt, room)
        made.prompts.history_tokens = allowed.history
        return made

    def longest(self) -> int:
        """How many tokens a prompt and its answer may have together.

        Raises:
            NotFoundError: The server does not answer, or does not serve the model.
        """
        try:
            listed = self._http.get("/models").json()["data"]
            found = next(one for one in listed if one["id"] == self.server.model)
            return int(found["max_model_len"])
        except (self._httpx.HTTPError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise NotFoundError(
                f"no vLLM server with the model {self.server.model!r} answers ({type(error).__name__})",
                hint="check backbone.prompt_embeds, and vLLM's --served-model-name",
            ) from error

    def salted(self, cache_salt: str) -> Self:
        """The same model with another ``cache_salt``; tokenizer, embeddings and connections are shared."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, _http=self._http, cache_salt=cache_salt)
        return made

    @property
    def identity(self) -> str:
        """What answers depend on, except prompt and parameters; part of the cache keys."""
        limits = {"max_prompt_tokens": self.prompts.max_tokens, "history_tokens": self.prompts.history_tokens}
        how = own_identity(self.prompts, self._thinking)
        return json.dumps({"backend": "vllm-server", "model": self.name, **limits, **how}, sort_keys=True, default=str)

    @property
    def hidden_size(self) -> int:
        """Width of the model's input embeddings, and so of soft prompt embeddings."""
        return self.embeddings.hidden_size

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. A prompt that could not be answered has a ``Completion.failure``.

        Raises:
            ConfigError: A schema is asked for.
            ArtifactError: The soft prompt embeddings are of another shape.
        """
        if schema is not None:
            raise ConfigError(f"{self.name} cannot be held to a schema", hint="use the backend 'openai'")
        if len(prompts) < 2:
            return [self._answer(prompt, params) for prompt in prompts]
        with ThreadPoolExecutor(min(self.server.concurrency, len(prompts))) as pool:
            return list(pool.map(lambda prompt: self._answer(prompt, params), prompts))

    def stream_text(self, prompt: Prompt, params: SamplingParams, listener: Listener) -> Completion:
        """See ``TextStreamer.stream_text``. If the listener ends the reply, the connection is closed, and vLLM stops.

        Raises:
            ArtifactError: The soft prompt embeddings are of another shape.
        """
        encoded = self.prompts.encode(prompt)
        started, on_tokens = time.perf_counter(), token_listener(self.prompts, encoded, listener, self._thinking)
        found = self._streamed({**self._request(encoded, prompt, params), "stream": True}, on_tokens)
        return self._completion(encoded, found, time.perf_counter() - started)

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """Not to be had for prompt embeddings, so not offered at all, as ``supports`` says.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.name}: vLLM gives no likelihoods here", hint="use the backend 'transformers'")

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _http(self) -> Any:
        key = os.environ.get(self.server.api_key_env) or "none"
        return self._httpx.Client(
            base_url=self.server.base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=self._httpx.Timeout(self.server.timeout_s, connect=10),
        )

    def _answer(self, prompt: Prompt, params: SamplingParams) -> Completion:
        encoded = self.prompts.encode(prompt)
        started = time.perf_counter()
        found = self._asked(self._request(encoded, prompt, params))
        return self._completion(encoded, found, time.perf_counter() - started)

    def _completion(self, encoded: EncodedPrompt, found: list[int] | Failure, seconds: float) -> Completion:
        if isinstance(found, Failure):
            return Completion(text="", prompt_tokens=0, completion_tokens=0, seconds=seconds, failure=found)
        return completion(self.prompts, encoded, found, seconds, self._thinking)

    def _request(self, encoded: EncodedPrompt, prompt: Prompt, params: SamplingParams) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.server.model,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_new_tokens,
            "seed": params.seed,
            "stop_token_ids": list(self.prompts.stop_ids),
            "return_token_ids": True,
            **({"cache_salt": self.cache_salt} if self.cache_salt else {}),
        }
        if prompt.soft is None:
            return {**body, "prompt": encoded.ids.tolist()}
        soft = checked_soft(prompt, self.hidden_size)[encoded.virtual_token_indices]
        return {**body, "prompt": None, "prompt_embeds": packed(self.embeddings.embed(
            encoded.ids, encoded.virtual_token_positions, soft))}  # fmt: skip

    def _asked(self, body: dict[str, Any]) -> list[int] | Failure:
        """The ids of the answer, or why there is none; nothing of the reply is trusted."""
        try:
            reply = self._http.post("/completions", json=body)
        except self._httpx.TimeoutException:
            return Failure(kind="timeout", message="no reply in time")
        except self._httpx.HTTPError as error:
            return Failure(kind="connection", message=type(error).__name__)
        if reply.status_code != 200:
            return _refusal(reply.status_code, reply.content)
        if len(reply.content) > _REPLY_BYTES:
            return Failure(kind="oversized", message=f"{len(reply.content)} bytes")
        try:
            return self._ids(json.loads(reply.content)["choices"][0])
        except _MALFORMED:
            return _NO_IDS

    def _streamed(self, body: dict[str, Any], on_tokens: TokenListener) -> list[int] | Failure:
        """The ids of a streamed answer until it ends or ``on_tokens`` ends it, or why there is none."""
        ids: list[int] = []
        try:
            with self._http.stream("POST", "/completions", json=body) as reply:
                if reply.status_code != 200:
                    return _refusal(reply.status_code, reply.read())
                for line in reply.iter_lines():
                    name, _, value = line.partition(":")
                    if name != "data":
                        continue
                    if value.strip() == "[DONE]":
                        return ids
                    choice = json.loads(value)["choices"][0]
                    ids += self._ids(choice)
                    if len(ids) > body["max_tokens"]:
                        return Failure(kind="oversized", message=f"more than {body['max_tokens']} tokens")
                    if not on_tokens(ids):
                        return ids
        except self._httpx.TimeoutException:
            return Failure(kind="timeout", message="no reply in time")
        except self._httpx.HTTPError as error:
            return Failure(kind="connection", message=type(error).__name__)
        except _MALFORMED:
            return _NO_IDS
        return Failure(kind="connection", message="the reply broke off")

    def _ids(self, choice: Any) -> list[int]:
        """The token ids of a choice of a reply; TypeError or KeyError if there are none."""
        ids = choice["token_ids"]
        if not isinstance(ids, list) or not all(type(id) is int and 0 <= id < self._n_tokens for id in ids):
            raise TypeError
        return ids


_MALFORMED = (ValueError, KeyError, IndexError, TypeError, RecursionError)
_NO_IDS = Failure(kind="malformed", message="the reply has no token ids", hint="vLLM 0.11 or later is needed")


def _refusal(status: int, content: bytes) -> Failure:
    kind = _KINDS.get(status, "server_error")
    return Failure(kind=kind, message=one_line(f"status {status}: {_said(content)}"))


def packed(tensor: torch.Tensor) -> str:
    """A tensor as vLLM reads it: saved by torch, in base64.

    Args:
        tensor: float (n, hidden).
    """
    file = io.BytesIO()
    torch.save(tensor.contiguous().clone(), file)  # a view would bring its whole storage along
    return base64.b64encode(file.getvalue()).decode()


def _said(content: bytes) -> str:
    try:
        body = json.loads(content[:65536])
        error = body.get("error", body)
        return str(error["message"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "no reason is given"
