"""Keys and values of the frozen text before the first virtual token.

Neither backbone nor text changes while an adapter is fitted, so what the backbone computes for the tokens before the
first virtual token is the same in every epoch and needs no gradient. It is computed without a graph, and kept over
epochs as far as memory allows. With the soft prompts after the past reviews (``prompt.layout = "grouped"``) this is
most of a prompt. Losses and gradients are those of the whole prompt, up to rounding.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer


def supports_prefix(backbone: nn.Module) -> bool:
    """Whether all of a backbone's layers attend to all earlier tokens through an ordinary cache.

    Args:
        backbone: A Hugging Face causal language model.
    """
    accepted = inspect.signature(backbone.forward).parameters
    config: Any = getattr(backbone, "config", None)
    if config is None or not {"past_key_values", "use_cache", "position_ids"} <= accepted.keys():
        return False
    if getattr(config.get_text_config(), "hidden_size_per_layer_input", 0):
        return False
    try:
        layers = DynamicCache(config=config).layers
    except (KeyError, TypeError, ValueError, AttributeError):  # layers of another kind, such as a state space's
        return False
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


class PrefixCache:
    """Keys and values of prefixes by a number that names them.

    Args:
        backbone: A Hugging Face causal language model for which ``supports_prefix`` holds; frozen.
        max_bytes: Host memory for what is kept. A batch with a prefix that is not kept is computed anew.
    """

    def __init__(self, backbone: Any, max_bytes: int) -> None:
        self._backbone, self._free = backbone, max_bytes
        self._kept: dict[int, Tensor] = {}

    def __call__(self, ids: Tensor, mask: Tensor, names: Tensor) -> DynamicCache:
        """A new cache with the keys and values of a batch of prefixes; the caller may extend it.

        Args:
            ids: int64 (B, P), padded on the left.
            mask: int64 (B, P), 0 at padding.
            names: int64 (B,), equal for equal prefixes only.
        """
        kept = [self._kept.get(name) for name in names.tolist()]
        states = [one for one in kept if one is not None]
        if len(states) == len(kept):
            return _padded(states, ids.shape[1], ids.device)
        cache = self._compute(ids, mask)
        for row, (name, length) in enumerate(zip(names.tolist(), mask.sum(dim=1).tolist(), strict=True)):
            self._keep(name, cache, row, length)
        return cache

    @torch.no_grad()
    def _compute(self, ids: Tensor, mask: Tensor) -> DynamicCache:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        # The body of the model alone: its states are wanted, not logits.
        body = self._backbone.base_model
        options = {"position_ids": positions, "past_key_values": DynamicCache(), "use_cache": True}
        return body(input_ids=ids, attention_mask=mask, **options).past_key_values

    def _keep(self, name: int, cache: DynamicCache, row: int, length: int) -> None:
        """Keep the states of one row, without padding, if they fit: (layers, 2, heads, length, d)."""
        states: list[Any] = list(cache.layers)  # of the kind that ``supports_prefix`` checks
        size = length * sum(2 * one.keys[0, :, 0].nbytes for one in states)
        if name in self._kept or size > self._free:
            return
        start = cache.get_seq_length() - length
        layers = [torch.stack([one.keys[row, :, start:], one.values[row, :, start:]]) for one in states]
        self._kept[name] = torch.stack(layers).cpu()
        self._free -= size


def _padded(rows: list[Tensor], width: int, device: torch.device) -> DynamicCache:
    """The states of several prefixes as one cache, padded on the left to ``width`` tokens."""
    layers, _, heads, _, d = rows[0].shape
    states = rows[0].new_zeros((layers, 2, len(rows), heads, width, d))
    for k, row in enumerate(rows):
        states[:, :, k, :, width - row.shape[3] :] = row
    return DynamicCache(ddp_cache_data=[(keys, values) for keys, values in states.to(device)])
