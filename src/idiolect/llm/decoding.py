"""Generation for models with an ordinary key-value cache: the tokens that ``generate`` of transformers gives, sooner.

- Keys and values are written into buffers with room for the answer. ``DynamicCache`` copies all of them for every new
  token.
- Rows that have ended leave the batch; ``generate`` computes them until the last row has ended.
- On a CPU prompts are computed one by one, without padding and so without an attention mask, which for long prompts
  takes a third less. What is known of the beginning of a prompt is not computed again (``llm.prompt_states``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

_LEFT = 0.75
"""Rows are removed once at most this share of those in the batch is still being written: removing copies the rest."""

Choose = Callable[[Tensor], Tensor]
"""From float32 logits (B, vocabulary) of the rows that are left, the next token of each: int64 (B,)."""
States = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of one sequence, per layer: (1, heads, n, d) each."""


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer in buffers that are allocated once.

    Args:
        room: Tokens that the buffers hold.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append states (B, heads, n, d), and return views of all so far."""
        before = self.get_seq_length()
        now = before + key_states.shape[-2]
        keys, values = self._buffers or self._allocate(key_states, value_states)
        keys[:, :, before:now] = key_states
        values[:, :, before:now] = value_states
        self.keys, self.values = keys[:, :, :now], values[:, :, :now]
        return self.keys, self.values

    def keep(self, rows: Tensor) -> None:
        """Keep these rows (int64) of the batch."""
        states = [states.index_select(0, rows) for states in (self.keys, self.values) if states is not None]
        self._buffers, self.keys, self.values, self.is_initialized = None, None, None, False
        if states:
            self.update(*states)

    def _allocate(self, *states: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = (one.new_empty((*one.shape[:2], self._room, one.shape[3])) for one in states)
        self._buffers = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        return self._buffers


class Begun(NamedTuple):
    """A batch of prompts that the model has read."""

    cache: Any
    """A ``DynamicCache`` of ``RoomyLayer``."""
    mask: Tensor
    """int64 (B, T), 0 at padding, which is on the left."""
    logits: Tensor
    """(B, vocabulary): of the first new token."""


def begin(model: Any, inputs: Mapping[str, Tensor], mask: Tensor, room: int) -> Begun:
    """Read a batch of prompts at once.

    Args:
        model: A causal language model for which ``supports_prefix`` holds.
        inputs: ``input_ids`` (B, T) or ``inputs_embeds`` (B, T, H), padded on the left.
        mask: int64 (B, T), 0 at padding.
        room: Most new tokens.
    """
    cache = _roomy(model, mask.shape[1] + room)
    how = {"attention_mask": mask, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0), "past_key_values": cache}
    logits = model(**inputs, **how, use_cache=True, logits_to_keep=1).logits[:, -1]
    return Begun(cache, mask, logits)


def joined(model: Any, rows: Sequence[tuple[States, Tensor]], room: int) -> Begun:
    """Prompts that were read one by one as a batch.

    Args:
        model: The model that read them.
        rows: States and logits (vocabulary,) of each prompt.
        room: Most new tokens.
    """
    lengths = [states[0][0].shape[2] for states, _ in rows]
    width = max(lengths)
    cache = _roomy(model, width + room)
    for place, layer in enumerate(cache.layers):
        both = []
        for kind in (0, 1):
            first = rows[0][0][place][kind]
            padded = first.new_zeros((len(rows), first.shape[1], width, first.shape[3]))
            for k, ((states, _), n) in enumerate(zip(rows, lengths, strict=True)):
                padded[k, :, width - n :] = states[place][kind][0]
            both.append(padded)
        layer.update(*both)
    columns = torch.arange(width, device=rows[0][1].device)
    mask = (columns >= width - torch.tensor(lengths, device=columns.device)[:, None]).long()
    return Begun(cache, mask, torch.stack([logits for _, logits in rows]))


def decode(
    model: Any,
    begun: Begun,
    choose: Choose,
    *,
    keep: Callable[[list[int]], None],
    stops: Collection[int],
    limit: int,
    on_tokens: Callable[[Sequence[int]], bool] | None = None,
) -> list[list[int]]:
    """The new tokens of every prompt, the one that ends it included.

    Args:
        model: The model that read the prompts.
        begun: The prompts.
        choose: Gives the next tokens.
        keep: Called with the places (among the rows that are left) of those that stay, before others are removed.
        stops: Tokens that end a text.
        limit: Most new tokens of a prompt, at least 1 and at most the room of ``begun``.
        on_tokens: For a batch of one prompt: called with its new tokens after each of them; whether to go on.
    """
    cache, mask, logits = begun
    positions = mask.sum(dim=1, keepdim=True)
    rows = list(range(len(mask)))
    written: list[list[int]] = [[] for _ in rows]
    unfinished = set(rows)
    while True:
        tokens = choose(logits.float())
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row in unfinished:
                written[row].append(token)
                if token in stops or len(written[row]) == limit:
                    unfinished.discard(row)
        if (on_tokens is not None and not on_tokens(written[0])) or not unfinished:
            return written
        if len(unfinished) <= _LEFT * len(rows):
            places = [place for place, row in enumerate(rows) if row in unfinished]
            keep(places)
            chosen = torch.tensor(places, device=mask.device)
            for layer in cache.layers:
                layer.keep(chosen)
            rows = [rows[place] for place in places]
            mask, positions, tokens = mask[chosen], positions[chosen], tokens[chosen]
        mask = torch.cat([mask, mask.new_ones((len(mask), 1))], dim=1)
        how = {"attention_mask": mask, "position_ids": positions, "past_key_values": cache, "use_cache": True}
        logits = model(input_ids=tokens[:, None], **how).logits[:, -1]
        positions = positions + 1


def _roomy(model: Any, room: int) -> Any:
    cache: Any = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer(room) for _ in cache.layers]
    return cache
