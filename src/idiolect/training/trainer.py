"""The Hugging Face Trainer for adapters: it saves and loads adapters only, and validates by a given function.

Also its arguments from a ``FitConfig``, callbacks for log and progress, and ``kept_random_state``, because the Trainer
seeds every global generator.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from idiolect.errors import ConfigError
from idiolect.processes import PATIENCE, on_main, process_mean
from idiolect.progress import Progress
from idiolect.registry import suggest
from idiolect.softprompt.model import SoftPromptModel
from idiolect.training.config import LOG_EVERY, MAX_GRAD_NORM, FitConfig


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Restore the global generators of Python, NumPy and torch (all devices) afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is what is kept
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def training_arguments(
    config: FitConfig, checkpoints: Path, *, validated: bool, on_cpu: bool = False
) -> TrainingArguments:
    """The Trainer's arguments: checkpoints in ``checkpoints``, the best adapter kept if the fit is validated.

    Args:
        config: The fit.
        checkpoints: Folder of the checkpoints.
        validated: Whether there is a validation.
        on_cpu: Whether the backbone stays on the CPU although there is a GPU.
    """
    cuda = torch.cuda.is_available() and not on_cpu
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        max_grad_norm=MAX_GRAD_NORM,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        bf16=cuda and torch.cuda.is_bf16_supported() if config.bf16 == "auto" else config.bf16 == "on",
        seed=config.seed,
        data_seed=config.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        # Explicit, because without it several processes on CPUs would each train alone.
        use_cpu=on_cpu or not torch.accelerator.is_available(),
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        ddp_timeout=int(PATIENCE.total_seconds()),
        **_checkpoints(config, validated=validated),
        **_log(),
    )
    # Virtual tokens are flat: torch's DataParallel would cut them along their rows, so there is one process per device.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _checkpoints(config: FitConfig, *, validated: bool) -> dict[str, Any]:
    """When to validate and save, and how the best checkpoint is chosen."""
    rhythm = "steps" if config.every else "epoch"
    return {
        "save_strategy": rhythm,
        "eval_strategy": rhythm if validated else "no",
        "save_steps": config.every or 500,
        "eval_steps": config.every or 500,
        "load_best_model_at_end": validated,
        "metric_for_best_model": config.metric if validated else None,
        "greater_is_better": config.greater_is_better if validated else None,
        # The best and the last.
        "save_total_limit": 2,
    }


def _log() -> dict[str, Any]:
    return {
        "logging_steps": LOG_EVERY,
        "logging_first_step": True,
        # A loss of nan must show, not be replaced by an average.
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


class JsonLines(TrainerCallback):
    """One line per log record; a resumed run first drops the lines written after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the records up to the checkpoint."""
        if state.is_world_process_zero:
            lines = (json.dumps(record) + "\n" for record in state.log_history)
            self.path.write_text("".join(lines), encoding="utf-8")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Append the newest record."""
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")


class EpochTimer(TrainerCallback):
    """Wall time of each epoch of this run, without validation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)


class ProgressBarCallback(TrainerCallback):
    """Shows the number of optimiser steps on the main process.

    Args:
        what: Label: ``fit`` or ``pretrain``.
    """

    def __init__(self, what: str = "fit") -> None:
        self._what = what
        self._bar: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar."""
        if state.is_world_process_zero:
            self._bar = Progress(state.max_steps, self._what, "step", shown=True, done=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """One step."""
        if self._bar is not None:
            self._bar.update()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Show the newest losses."""
        record = state.log_history[-1]
        if self._bar is not None:
            self._bar.note(", ".join(f"{k} {record[k]:.3f}" for k in ("loss", "generation") if k in record))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close it."""
        if self._bar is not None:
            self._bar.close()


class SaveByTime(TrainerCallback):
    """Saves a checkpoint every so many minutes, on all processes at once by the clock of the first.

    Not after the last step of an epoch, or of the run, if a validation follows: it would be missing from the
    checkpoint, and a run that is resumed from it would go on without.
    """

    def __init__(self, minutes: float) -> None:
        self._interval = 60 * minutes
        self._last = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Save a checkpoint if the interval is over."""
        epoch_ends = state.epoch is not None and float(state.epoch).is_integer()
        validated = args.eval_strategy == "epoch" and (epoch_ends or state.global_step >= state.max_steps)
        if not validated and on_main(lambda: time.monotonic() - self._last > self._interval):
            self._last = time.monotonic()
            control.should_save = True
        return control


class EarlyStop(TrainerCallback):
    """Ends a fit after so many validations in a row without a better score.

    It counts in the log, which checkpoints hold, so that a resumed fit ends where an uninterrupted one does. (The
    Trainer's own ``EarlyStoppingCallback`` begins to count anew.)

    Args:
        patience: Validations.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop if the best score is so many validations old."""
        control.should_training_stop |= self._reached(args, state)

    def ended(self, args: TrainingArguments, checkpoint: str) -> TrainerState | None:
        """The state of a fit that ended early and was interrupted before its report; None: it goes on.

        The Trainer does not save that it was about to stop, and would train for another epoch.
        """
        state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
        return state if self._reached(args, state) else None

    def _reached(self, args: TrainingArguments, state: TrainerState) -> bool:
        name, sign = f"eval_{args.metric_for_best_model}", 1 if args.greater_is_better else -1
        scores = [sign * record[name] for record in state.log_history if name in record]
        return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= self._patience


Validate = Callable[[], dict[str, float]]


class AdapterTrainer(Trainer):
    """Trains the adapter of a ``SoftPromptModel``.

    Args:
        model: The model, on any device.
        validate: Returns the current adapter's scores; called on the main process, or on all if they share layers.
            None: no validation.
        options: Further arguments of ``transformers.Trainer``.
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
        # A frozen backbone has nothing to exchange, and its shares are no whole tensors that could be sent around.
        frozen = [*model.backbone.named_parameters(), *model.backbone.named_buffers()]
        ignored: Any = [f"backbone.{name}" for name, _ in frozen]
        model._ddp_params_and_buffers_to_ignore = ignored

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The total loss; its terms are kept on the device for the log."""
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
        """One forward and backward pass; the first one checks that only the adapter has gradients."""
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
            ConfigError: The loss is not finite.
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
        """The scores of ``validate``, under the names that the Trainer expects.

        Raises:
            ConfigError: The metric of the best checkpoint is missing.
        """
        if self._validate is None:
            return {}
        self.model.eval()
        scores = self._validate() if self.model.sharded else on_main(self._validate)
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

    def take_best(self, state: TrainerState) -> None:
        """Take state and best weights of a fit that has ended."""
        self.state = state
        self._load_best_model()

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint is not None:
            self.model.adapter.load(Path(self.state.best_model_checkpoint))
