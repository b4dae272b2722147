"""The Hugging Face Trainer, narrowed: it saves and loads adapters only, and validates by a given function."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, ProgressCallback, Trainer

from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.softprompt.model import SoftPromptModel
from idiolect.training.distributed import on_main, process_mean

Validate = Callable[[], dict[str, float]]


class AdapterTrainer(Trainer):
    """Trains the adapter of a ``SoftPromptModel``.

    Args:
        model: The model, on any device.
        validate: Scores the adapter as it stands; called on the main process. None: no validation.
        options: Of ``transformers.Trainer``.
    """

    model: SoftPromptModel

    def __init__(self, model: SoftPromptModel, *, validate: Validate | None = None, **options: Any) -> None:
        super().__init__(model, **options)
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self._validate = validate
        self._terms: dict[str, Tensor] = {}
        self._n_terms = 0
        self._gradients_checked = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The whole loss; its terms are kept, on the device, for the log."""
        outputs = model(**inputs)
        for name, value in outputs.items():
            if name != "loss":
                self._terms[name] = self._terms.get(name, torch.zeros_like(value)) + value
        self._n_terms += 1
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One forward and backward pass; after the first, that gradients reached the adapter and nothing else."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not self._gradients_checked:
            self._gradients_checked = True
            stray = [n for n, p in self.model.backbone.named_parameters() if p.grad is not None or p.requires_grad]
            if stray:
                raise RuntimeError(f"gradients reach the frozen backbone: {', '.join(stray[:3])}")
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean of each loss term since the last record.

        Raises:
            ConfigError: The loss is no longer a number.
        """
        if "loss" in logs and self._terms:
            means = torch.stack([value.float() for value in self._terms.values()]) / self._n_terms
            logs |= dict(zip(self._terms, process_mean(means).tolist(), strict=True))
            self._terms, self._n_terms = {}, 0
            if not math.isfinite(logs["loss"]):
                raise ConfigError(f"the loss is {logs['loss']}", hint="lower learning_rate, or set bf16 to off")
        super().log(logs, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """What ``validate`` returns, under the names that the choice of the best checkpoint expects.

        Raises:
            ConfigError: The metric to choose by is not among them.
        """
        if self._validate is None:
            return {}
        self.model.eval()
        scores = on_main(self._validate)
        wanted = self.args.metric_for_best_model
        if wanted and wanted not in scores:
            raise ConfigError(f"validation returns no {wanted!r} to choose the best by", hint=suggest(wanted, scores))
        metrics = {f"{metric_key_prefix}_{name}": float(value) for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if self.args.should_save:
            prefix = "adapter."
            gathered = {n.removeprefix(prefix): t for n, t in (state_dict or {}).items() if n.startswith(prefix)}
            self.model.adapter.save_pretrained(Path(output_dir or str(self.args.output_dir)), weights=gathered or None)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        self.model.adapter.load(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint is not None:
            self.model.adapter.load(Path(self.state.best_model_checkpoint))
