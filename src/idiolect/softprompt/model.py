"""A frozen causal language model of any family, with an adapter that writes into its input."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.slots import Average, SlotBatch, own
from idiolect.softprompt.splice import per_layer_inputs, splice

IGNORED = -100
"""Label of a position that is no target."""


class SoftPromptModel(nn.Module):
    """Backbone and adapter by composition: no subclass of a model family, no resized vocabulary.

    The backbone is frozen and stays in evaluation mode (no dropout), also while the adapter trains.

    Args:
        backbone: A Hugging Face causal language model; its parameters are frozen in place.
        adapter: Of the backbone's hidden size.
        average: Averages counts over processes while training.

    Raises:
        ValueError: The hidden sizes differ.
    """

    accepts_loss_kwargs = False
    """The Trainer then divides the whole loss by the accumulation steps, once (Eq. 11 stays whole)."""

    def __init__(self, backbone: Any, adapter: Adapter, average: Average = own) -> None:
        super().__init__()
        width = backbone.get_input_embeddings().weight.shape[1]
        if width != adapter.config.hidden_size:
            raise ValueError(f"the adapter writes rows of {adapter.config.hidden_size}, the backbone reads {width}")
        self.backbone = backbone.requires_grad_(False)
        self.adapter = adapter
        self.average = average
        accepted = inspect.signature(backbone.forward).parameters
        self._takes = {name for name in ("position_ids", "logits_to_keep", "use_cache") if name in accepted}
        self._checkpointing = False
        self.train()

    def train(self, mode: bool = True) -> SoftPromptModel:
        """Set the adapter's mode; the backbone never has dropout, and leaves evaluation only for checkpointing."""
        super().train(mode)
        self.backbone.train(mode and self._checkpointing)
        for module in self.backbone.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        return self

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Recompute the backbone's activations in the backward pass: slower, far less memory on long prompts."""
        enable = getattr(self.backbone, "activation_checkpointing_enable", None)
        (enable or self.backbone.gradient_checkpointing_enable)(**options)
        self._checkpointing = True
        self.train(self.training)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        slot_mask: Tensor,
        labels: Tensor,
        slot_vectors: Tensor,
        slot_stream: Tensor,
        slot_entry: Tensor,
        slot_sample: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of a left-padded batch whose targets end every row (Eq. 11).

        Args:
            input_ids: int64 (B, T); what stands at slots does not matter.
            attention_mask: int64 (B, T), 0 at padding.
            slot_mask: bool (B, T).
            labels: int64 (B, L), L < T: the last L tokens of each row, ``IGNORED`` where they are no target.
            slot_vectors: float32 (S, d_in).
            slot_stream: int64 (S,).
            slot_entry: int64 (S,).
            slot_sample: int64 (S,), row of the batch.

        Returns:
            ``loss``, with gradient; detached: ``generation`` (nats a target token), each weighted term of the adapter,
            and its statistics.
        """
        average = self.average if self.training else own
        slots = SlotBatch(slot_vectors, slot_stream, slot_entry, slot_sample, n_samples=len(input_ids))
        rows, terms, stats = self.adapter(slots, average)
        embeds = splice(self.backbone.get_input_embeddings()(input_ids), slot_mask, rows)
        beside = per_layer_inputs(self.backbone, input_ids)
        generation = self._generation_loss(embeds, beside, attention_mask, labels, average)
        loss = generation + sum(terms.values())
        reported = {"generation": generation, **terms, **stats}
        return {"loss": loss, **{name: value.detach() for name, value in reported.items()}}

    def _generation_loss(
        self, embeds: Tensor, beside: dict[str, Tensor], attention_mask: Tensor, labels: Tensor, average: Average
    ) -> Tensor:
        n_labels = labels.shape[1]
        options: dict[str, Any] = {
            "position_ids": (attention_mask.cumsum(dim=1) - 1).clamp(min=0),
            "logits_to_keep": n_labels + 1,
            "use_cache": False,
        }
        options = {name: value for name, value in options.items() if name in self._takes}
        logits = self.backbone(inputs_embeds=embeds, attention_mask=attention_mask, **beside, **options).logits
        # A position predicts the token after it, so the logits that count end one before the last.
        logits = logits[:, -n_labels - 1 : -1].float()
        total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        tokens = average((labels != IGNORED).sum().float())
        return total / tokens.clamp(min=1e-9)
