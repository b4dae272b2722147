"""A ``FitConfig`` in the words of the Hugging Face Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from idiolect.training.config import FitConfig
from idiolect.training.distributed import PATIENCE


def training_arguments(
    config: FitConfig, checkpoints: Path, *, validated: bool, on_cpu: bool = False
) -> TrainingArguments:
    """Arguments that write into ``checkpoints`` and keep the best adapter where the fit is validated.

    Args:
        config: The fit.
        checkpoints: Folder of the checkpoints.
        validated: Whether there is a validation to choose the best by.
        on_cpu: Whether the backbone is to stay on the CPU although there is a GPU.
    """
    cuda = torch.cuda.is_available() and not on_cpu
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        max_grad_norm=config.max_grad_norm,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        bf16=cuda and torch.cuda.is_bf16_supported() if config.bf16 == "auto" else config.bf16 == "on",
        seed=config.seed,
        data_seed=config.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        # Said outright, for without it several processes on CPUs would each train alone.
        use_cpu=on_cpu or not torch.accelerator.is_available(),
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        ddp_timeout=int(PATIENCE.total_seconds()),
        **_checkpoints(config, validated=validated),
        **_log(config),
    )
    # Slots are flat, so torch's DataParallel, which cuts every tensor along its rows, is out: one process a device.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _checkpoints(config: FitConfig, *, validated: bool) -> dict[str, Any]:
    """When to validate and save, and by what the best is chosen."""
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
        # Patience goes on counting after an interruption.
        "restore_callback_states_from_checkpoint": True,
    }


def _log(config: FitConfig) -> dict[str, Any]:
    return {
        "logging_steps": config.log_every,
        "logging_first_step": True,
        # A loss that is no number has to be seen, not averaged away.
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
