"""A frozen causal language model of any family with an adapter that writes into its input (Eq. 7 and 11).

``insert_embeddings`` puts soft prompt embeddings (S, H) into token embeddings (B, T, H); ``SoftPromptModel`` computes
the training loss of a left-padded batch. Adapter and losses are float32, the backbone keeps its own type.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.errors import ConfigError
from idiolect.registry import imported
from idiolect.softprompt.artifact import SavedAdapter, read_config
from idiolect.softprompt.config import SoftPromptConfig
from idiolect.softprompt.memory import BatchLimit
from idiolect.softprompt.prefix import PrefixCache
from idiolect.softprompt.sae import Average, identity
from idiolect.softprompt.sharding import is_sharded


def insert_embeddings(inputs_embeds: Tensor, virtual_token_mask: Tensor, embeddings: Tensor) -> Tensor:
    """Token embeddings with a soft prompt embedding at every virtual token, in order; differentiable in both (Eq. 7).

    Args:
        inputs_embeds: float (B, T, H).
        virtual_token_mask: bool (B, T), True at virtual tokens.
        embeddings: float (S, H), in row order of the mask; cast to the type of ``inputs_embeds``.

    Returns:
        float (B, T, H), a new tensor.

    Raises:
        ValueError: The mask does not have exactly S virtual tokens (the scatter itself would silently drop embeddings).
    """
    n_virtual_tokens = int(virtual_token_mask.sum())
    if n_virtual_tokens != len(embeddings):
        raise ValueError(f"{len(embeddings)} soft prompt embeddings for {n_virtual_tokens} virtual tokens")
    return inputs_embeds.masked_scatter(virtual_token_mask[..., None], embeddings.to(inputs_embeds.dtype))


def per_layer_inputs(model: nn.Module, input_ids: Tensor) -> dict[str, Tensor]:
    """Inputs that the layers of some families (Gemma 4 E2B, Gemma 3n) compute from token ids.

    Such a model cannot derive them from ``inputs_embeds``, because soft prompt embeddings belong to no token.

    Args:
        model: A causal language model.
        input_ids: int64 (B, T), with any token, best the padding token, at virtual tokens.

    Returns:
        Further arguments of the model's ``forward``; empty for all other families.

    Raises:
        ConfigError: The family has such inputs, and no known way to pass them.
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


IGNORED = -100
"""Label of a position that is no target."""


class SoftPromptModel(nn.Module):
    """Backbone and adapter by composition: no subclass of a model family, no resized vocabulary.

    The backbone is frozen and stays in evaluation mode (no dropout), also while the adapter trains.

    Args:
        backbone: A Hugging Face causal language model; its parameters are frozen in place.
        adapter: Of the backbone's hidden size.
        average: Averages counts over processes while training.
        prefixes: For batches that are split before their first virtual token; see ``Collator.split_prefix``.

    Raises:
        ValueError: The hidden sizes differ.
    """

    accepts_loss_kwargs = False
    """The Trainer then divides the whole loss by the accumulation steps, once (Eq. 11 stays whole)."""

    def __init__(
        self,
        backbone: Any,
        adapter: SavedAdapter,
        average: Average = identity,
        prefixes: PrefixCache | None = None,
    ) -> None:
        super().__init__()
        width = backbone.get_input_embeddings().weight.shape[1]
        if width != adapter.config.hidden_size:
            raise ValueError(
                f"the adapter's embeddings have width {adapter.config.hidden_size}, the backbone's {width}"
            )
        self.backbone = backbone.requires_grad_(False)
        self.adapter = adapter
        self.average = average
        self.prefixes = prefixes
        accepted = inspect.signature(backbone.forward).parameters
        self._takes = {name for name in ("position_ids", "logits_to_keep", "use_cache") if name in accepted}
        self.sharded = is_sharded(backbone)
        hint = "fit.checkpointing=true, smaller token budgets, or a larger device"
        self._limit = BatchLimit("training", hint=hint, halves=not self.sharded)
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
        virtual_token_mask: Tensor,
        labels: Tensor,
        prefix_ids: Tensor | None = None,
        prefix_mask: Tensor | None = None,
        prefix_name: Tensor | None = None,
        **inputs: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of a left-padded batch whose targets end every row (Eq. 11).

        Args:
            input_ids: int64 (B, T), with any token at virtual tokens.
            attention_mask: int64 (B, T), 0 at padding.
            virtual_token_mask: bool (B, T).
            labels: int64 (B, L), L < T: the last L tokens of each row, ``IGNORED`` where they are no target.
            prefix_ids: int64 (B, P), the tokens before ``input_ids``, padded on the left; None: there are none.
            prefix_mask: int64 (B, P), 0 at padding.
            prefix_name: int64 (B,), see ``PrefixCache``.
            **inputs: From the adapter's ``collate``.

        Returns:
            ``loss``, with gradient; detached: ``generation`` (nats per target token), each weighted term and each
            statistic of the adapter.
        """
        average = self.average if self.training else identity
        rows, terms, stats = self.adapter.embed_batch(inputs, len(input_ids), average)
        tokens = average((labels != IGNORED).sum().float()).clamp(min=1e-9)
        batch = _Rows(input_ids, attention_mask, virtual_token_mask, labels)
        if prefix_ids is not None and prefix_mask is not None and prefix_name is not None:
            if self.prefixes is None:
                raise ValueError("a batch with prefixes needs a model with a PrefixCache")
            batch = batch._replace(prefix=_Prefix(prefix_ids, prefix_mask, prefix_name))
        generation = self._generation(batch, rows, tokens)
        loss = generation + sum(terms.values())
        reported = {"generation": generation, **terms, **stats}
        return {"loss": loss, **{name: value.detach() for name, value in reported.items()}}

    def _generation(self, batch: _Rows, rows: Tensor, tokens: Tensor) -> Tensor:
        """Nats per target token, in as many parts as memory needs.

        Each part is differentiated at once, down to the soft prompt embeddings, because its activations are what
        memory is short of. The adapter is differentiated once, for all rows, by the caller's backward pass: its
        losses are means over the batch, which parts would change.

        Args:
            batch: Of B rows.
            rows: float (S, H), soft prompt embeddings of all rows.
            tokens: float (), number of targets that the loss is divided by.
        """
        place = [0, *batch.virtual_token_mask.sum(dim=1).cumsum(dim=0).tolist()]
        learns = torch.is_grad_enabled() and rows.requires_grad

        def part(chosen: slice) -> tuple[Tensor, Tensor | None]:
            own = rows[place[chosen.start] : place[chosen.stop]].detach().requires_grad_(learns)
            loss = self._loss(batch.of(chosen).trimmed(), own) / tokens
            if not (learns and loss.requires_grad):
                return loss.detach(), None
            with torch.autocast(loss.device.type, enabled=False):
                loss.backward()  # reaches nothing but ``own``: the backbone is frozen
            return loss.detach(), own.grad

        if self._limit.rows is None:
            self._limit.rows = rows_at_once(batch.input_ids.device)
        parts = self._limit.run(len(batch.input_ids), part)
        total = torch.stack([loss for loss, _ in parts]).sum()
        known = [gradient for _, gradient in parts if gradient is not None]
        return total if not known else _WithGradient.apply(rows, torch.cat(known), total)

    def _loss(self, batch: _Rows, rows: Tensor) -> Tensor:
        """Nats of all targets of a part."""
        ids, mask, n_labels = batch.input_ids, batch.attention_mask, batch.labels.shape[1]
        embeds = insert_embeddings(self.backbone.get_input_embeddings()(ids), batch.virtual_token_mask, rows)
        extra: dict[str, Any] = per_layer_inputs(self.backbone, ids)
        if self.prefixes is not None and batch.prefix is not None:
            mask = torch.cat([batch.prefix.mask, mask], dim=1)
            extra["past_key_values"] = self.prefixes(*batch.prefix)
        options: dict[str, Any] = {
            "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -embeds.shape[1] :],
            "logits_to_keep": n_labels + 1,
            "use_cache": "past_key_values" in extra,
        }
        options = {name: value for name, value in options.items() if name in self._takes}
        padded = None if bool(mask.all()) else mask  # without a mask, attention has faster ways
        logits = self.backbone(inputs_embeds=embeds, attention_mask=padded, **extra, **options).logits
        # A position predicts the token after it, so the logits that count end one before the last.
        logits = logits[:, -n_labels - 1 : -1].float()
        return F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="sum")


def rows_at_once(device: torch.device) -> int | None:
    """Rows that are computed together; None: all of a batch.

    One on a CPU: it gains nothing by more, and computes padding like text, which is half of a batch of long reviews.
    """
    return 1 if device.type == "cpu" else None


class _Prefix(NamedTuple):
    """Arguments of ``PrefixCache``."""

    ids: Tensor
    mask: Tensor
    name: Tensor


class _Rows(NamedTuple):
    """Rows of a batch; see ``SoftPromptModel.forward``."""

    input_ids: Tensor
    attention_mask: Tensor
    virtual_token_mask: Tensor
    labels: Tensor
    prefix: _Prefix | None = None

    def of(self, rows: slice) -> _Rows:
        """Some of the rows."""
        own = [value[rows] for value in self[:4]]
        return _Rows(*own, prefix=self.prefix and _Prefix(*(value[rows] for value in self.prefix)))

    def trimmed(self) -> _Rows:
        """Without columns that are padding in every row."""
        start, first = _first(self.attention_mask), _first(self.labels != IGNORED)
        own = [value[:, start:] for value in self[:3]]
        prefix = self.prefix
        if prefix is not None:
            begin = _first(prefix.mask)
            prefix = _Prefix(prefix.ids[:, begin:], prefix.mask[:, begin:], prefix.name)
        return _Rows(*own, labels=self.labels[:, first:], prefix=prefix)


def _first(used: Tensor) -> int:
    """The first column that some row uses; the last one if none does."""
    columns = used.bool().any(dim=0)
    return int(columns.int().argmax()) if bool(columns.any()) else used.shape[1] - 1


class _WithGradient(torch.autograd.Function):
    """A value whose gradient is known already."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        """``value``, with ``gradient`` in ``inputs``."""
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        """The known gradient, times what follows."""
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0], None, None


def make_adapter(
    config: SoftPromptConfig, generator: torch.Generator | None = None, *, model: nn.Module | None = None
) -> SavedAdapter:
    """A new adapter of the configuration's kind.

    Args:
        config: What to build.
        generator: Draws the initial weights; None: torch's global one.
        model: The text encoder's model, for an adapter that trains a copy of it.
    """
    return _class_of(config).build(config, generator, model=model)


def load_adapter(
    folder: Path, *, model: nn.Module | None = None, expected: type[SoftPromptConfig] | None = None
) -> SavedAdapter:
    """The adapter saved in ``folder``, of the kind that it names, on the CPU, ready for inference.

    Args:
        folder: Of the adapter.
        model: See ``make_adapter``.
        expected: See ``read_config``.

    Raises:
        NotFoundError: There is none.
        ArtifactError: It is damaged, weights and configuration do not fit, or it trains an encoder that is not given.
    """
    return _class_of(read_config(folder, expected)).from_pretrained(folder, model=model)


def _class_of(config: SoftPromptConfig) -> type[SavedAdapter]:
    return imported(type(config).adapter_class)
