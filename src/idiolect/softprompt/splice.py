"""Soft rows into the backbone's input space."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from idiolect.errors import ConfigError


def splice(inputs_embeds: Tensor, slot_mask: Tensor, rows: Tensor) -> Tensor:
    """Token embeddings with a row at every slot, in order; differentiable in both (Eq. 7).

    Args:
        inputs_embeds: float (B, T, H).
        slot_mask: bool (B, T), True at slots.
        rows: float (S, H), one a True, row by row of the mask; cast to the type of ``inputs_embeds``.

    Returns:
        float (B, T, H), a new tensor.

    Raises:
        ValueError: The mask does not have exactly S slots (the scatter itself would drop rows in silence).
    """
    n_slots = int(slot_mask.sum())
    if n_slots != len(rows):
        raise ValueError(f"{len(rows)} soft rows for {n_slots} slots")
    return inputs_embeds.masked_scatter(slot_mask[..., None], rows.to(inputs_embeds.dtype))


def per_layer_inputs(model: nn.Module, input_ids: Tensor) -> dict[str, Tensor]:
    """What the layers of some families (Gemma 4 E2B, Gemma 3n) read of the token ids beside the input embeddings.

    Such a model cannot tell it from ``inputs_embeds``: soft rows are no token's embedding.

    Args:
        model: A causal language model.
        input_ids: int64 (B, T), with any token, best the padding token, at slots.

    Returns:
        Further arguments of the model's ``forward`` beside ``inputs_embeds``; none for all other families.

    Raises:
        ConfigError: The family has such inputs, and there is no known way to pass them.
    """
    config: Any = model.config
    if not getattr(config.get_text_config(), "hidden_size_per_layer_input", 0):
        return {}
    owners = [module for module in model.modules() if hasattr(type(module), "get_per_layer_inputs")]
    owner: Any = next((one for one in owners if hasattr(one, "embed_tokens_per_layer")), None)
    taken = inspect.signature(model.forward).parameters
    passes = "per_layer_inputs" in taken or any(one.kind == one.VAR_KEYWORD for one in taken.values())
    if owner is None or not passes:
        raise ConfigError(
            f"{type(model).__name__} has embeddings in every layer that soft prompts cannot reach",
            hint="use another backbone, or a method without soft prompts",
        )
    nothing = [None] * (len(inspect.signature(owner.get_per_layer_inputs).parameters) - 1)
    return {"per_layer_inputs": owner.get_per_layer_inputs(input_ids, *nothing)}
