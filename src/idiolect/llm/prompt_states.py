"""What a model computed for prompts, to be used again for others that begin in the same way.

An evaluation shows a model the same text many times: the likelihood of the user's own text and the generated text have
one prompt; the controls of a method differ from it in a few vectors; all prompts of a method begin with the same words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from idiolect.llm.decoding import States

_BLOCK = 16
"""Prompts are compared by blocks of so many tokens."""
_LEAST_BYTES = 1 << 30


def _default_bytes() -> int:
    """An eighth of this machine's memory: prompts of the toy take 2 MB each, those of a thousand samples 2 GB."""
    known = getattr(os, "sysconf_names", {})  # there are none on Windows
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= known.keys():
        return _LEAST_BYTES
    return max(_LEAST_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8)


class PromptInput(NamedTuple):
    """A prompt as a model reads it."""

    ids: np.ndarray
    """int (n,): token ids."""
    virtual_tokens: np.ndarray
    """int64 (s,): places of the virtual tokens, ascending."""
    soft: np.ndarray
    """float (s, H): their embeddings."""
    embeds: Tensor | None
    """(n, H): the input embeddings of the prompt; None if there are no virtual tokens."""


@dataclass(slots=True, eq=False)
class _Known:
    states: States
    logits: Tensor
    """(vocabulary,): of the token after the last one."""
    keys: tuple[bytes, ...]
    call: int
    """The latest call that used it."""

    @property
    def nbytes(self) -> int:
        return sum(keys.nbytes + values.nbytes for keys, values in self.states) + self.logits.nbytes


class PromptStates:
    """Reads prompts one by one, each from the longest beginning that is known.

    Only prompts of likelihoods are kept, because nobody else asks for the same prompt twice: a server that writes
    texts keeps nothing of its users in memory. A prompt that is mostly known is not kept either: it costs little to
    read again, and would push out others. If room is needed, what the present call did not use is dropped, the prompts
    of the oldest call first.

    Args:
        model: A causal language model for which ``supports_prefix`` holds, and that takes ``logits_to_keep``.
        max_bytes: Memory for what is kept; None: an eighth of this machine's, at least 1 GiB.
    """

    def __init__(self, model: Any, max_bytes: int | None = None) -> None:
        self._model, self._max_bytes = model, _default_bytes() if max_bytes is None else max_bytes
        self._known: dict[bytes, tuple[_Known, int]] = {}
        self._entries: list[_Known] = []
        self._stale: list[_Known] = []
        self._used, self._call = 0, 0

    def new_call(self) -> None:
        """Say that other prompts follow; those so far are dropped when room is needed, unless they are used again."""
        self._call += 1
        # Prompts come in the same order in every call, so of one call the last ones are needed last.
        self._stale = sorted(self._entries, key=lambda known: -known.call)

    def read(self, prompt: PromptInput) -> tuple[States, Tensor]:
        """States of a whole prompt, and the logits (vocabulary,) of the token after it."""
        keys = _keys(prompt)
        if keys[-1] not in self._known:
            cache, logits, _ = self._forward(prompt, keys, np.zeros(0, dtype=np.int64))
            return [(layer.keys, layer.values) for layer in cache.layers], logits[0]
        known, _ = self._known[keys[-1]]
        known.call = self._call
        return known.states, known.logits

    def nats(self, prompt: PromptInput, target: np.ndarray) -> np.ndarray:
        """float64 (n_target,): negative log-likelihood of each token of a text after a prompt.

        Args:
            prompt: The prompt.
            target: int (n_target,), at least one token.
        """
        keys = _keys(prompt)
        cache, logits, start = self._forward(prompt, keys, target.astype(np.int64))
        if keys[-1] not in self._known and start <= len(prompt.ids) / 2:
            self._keep(cache, logits[0], keys, len(prompt.ids))
        wanted = torch.from_numpy(target.astype(np.int64)).to(logits.device)
        found = torch.nn.functional.cross_entropy(logits[:-1].float(), wanted, reduction="none")
        return found.cpu().double().numpy()

    def _forward(self, prompt: PromptInput, keys: tuple[bytes, ...], target: np.ndarray) -> tuple[Any, Tensor, int]:
        """Read a prompt and a target from what is known on.

        Returns:
            The cache of both, the logits (n_target + 1, vocabulary) from the prompt's last token on, and the number of
            tokens that were known.
        """
        cache, start = self._begin(keys)
        device, n = self._model.device, len(prompt.ids)
        rest = torch.from_numpy(np.concatenate([prompt.ids.astype(np.int64), target])[start:]).to(device)[None]
        inputs = {"input_ids": rest}
        if prompt.embeds is not None:
            after = self._model.get_input_embeddings()(rest[:, n - start :])
            inputs = {"inputs_embeds": torch.cat([prompt.embeds[None, start:], after], dim=1)}
        positions = torch.arange(start, start + rest.shape[1], device=device)[None]
        how = {"position_ids": positions, "past_key_values": cache, "use_cache": True}
        # Without an attention mask: all tokens count.
        logits = self._model(**inputs, **how, logits_to_keep=len(target) + 1).logits[0, -len(target) - 1 :]
        return cache, logits, start

    def _begin(self, keys: tuple[bytes, ...]) -> tuple[Any, int]:
        """A cache with the longest known beginning, and its length; at least one token is left to compute."""
        cache: Any = DynamicCache(config=self._model.config)
        for key in reversed(keys[:-1]):
            known, n = self._known.get(key, (None, 0))
            if known is not None:
                known.call = self._call
                for layer, (k, v) in zip(cache.layers, known.states, strict=True):
                    layer.update(k[:, :, :n], v[:, :, :n])  # copied before anything is appended
                return cache, n
        return cache, 0

    def _keep(self, cache: Any, logits: Tensor, keys: tuple[bytes, ...], length: int) -> None:
        states = [(layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone()) for layer in cache.layers]
        new = _Known(states, logits.clone(), keys, self._call)
        if self._make_room(new.nbytes):
            self._used += new.nbytes
            self._entries.append(new)
            for key, n in zip(keys, _ends(length), strict=True):
                self._known.setdefault(key, (new, n))

    def _make_room(self, needed: int) -> bool:
        while self._used + needed > self._max_bytes and self._stale:
            last = self._stale.pop()
            if last.call < self._call:
                self._drop(last)
        return self._used + needed <= self._max_bytes

    def _drop(self, known: _Known) -> None:
        for key in known.keys:
            if key in self._known and self._known[key][0] is known:
                del self._known[key]
        self._entries.remove(known)
        self._used -= known.nbytes


def _ends(length: int) -> Iterator[int]:
    """Where the blocks of a prompt end, and its own end."""
    yield from range(_BLOCK, length, _BLOCK)
    yield length


def _keys(prompt: PromptInput) -> tuple[bytes, ...]:
    """A digest of everything up to the end of each block, and one of the whole prompt."""
    digest, keys = blake2b(digest_size=16), []
    ids, rows = prompt.ids.astype(np.int64), np.ascontiguousarray(prompt.soft, dtype=np.float32)
    blocks = np.arange(0, len(ids), _BLOCK)
    first = np.searchsorted(prompt.virtual_tokens, blocks)
    for start, begin, end in zip(blocks, first, [*first[1:], len(prompt.virtual_tokens)], strict=True):
        digest.update(ids[start : start + _BLOCK].tobytes())
        if begin < end:
            digest.update(prompt.virtual_tokens[begin:end].tobytes() + rows[begin:end].tobytes())
        keys.append(digest.digest())
    digest.update(b"end")
    return (*keys[: (len(ids) - 1) // _BLOCK], digest.digest())
