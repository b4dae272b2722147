"""Soft rows into the backbone's input space."""

from __future__ import annotations

from torch import Tensor


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
