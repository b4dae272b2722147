"""A small Qwen2-architecture language model from scratch, on documents of the library's own prompts.

For machines without a model hub, and for the shipped demo. The result is an ordinary Hugging Face folder, loaded by the
same code as ``Qwen/Qwen2.5-7B-Instruct``.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from idiolect.encoders.digest import folder_digest
from idiolect.encoders.quiet import no_bars
from idiolect.errors import InputError, NotFoundError
from idiolect.prompts.tokenize import PromptTokenizer
from idiolect.training.batches import DocumentBatches
from idiolect.training.callbacks import Bar
from idiolect.training.documents import Document, Notes, documents, tokenizer_texts
from idiolect.training.muon import make_optimizer
from idiolect.training.pretrain_config import SHAPES, PretrainConfig, PretrainReport
from idiolect.training.pretrain_folder import CHECKPOINTS, digest, newest_checkpoint, open_folder, write_record
from idiolect.training.pretrain_measure import measured
from idiolect.training.randomness import kept_random_state
from idiolect.training.tokenizer import train_tokenizer
from idiolect.types import Item, ItemId, Review


def pretrain(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    *,
    config: PretrainConfig,
    folder: Path,
    notes: Notes | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> PretrainReport:
    """Train a tokenizer and a backbone and save them to ``folder``.

    Args:
        reviews: The text to learn from; keep every target that adapters will be fitted or tested on out of it.
        items: Their items.
        config: Everything else.
        folder: Where model, tokenizer, ``pretrain.json`` (recipe, log, report) and checkpoints go.
        notes: What is known about how the users write, for the formats with a profile.
        provenance: Recorded beside the recipe (corpus, command).
        progress: Show a bar.

    Raises:
        InputError: Hardly more reviews than are held out.
        ConfigError: ``folder`` holds a backbone, whole or begun, of another recipe or other text; or a format needs
            notes that are not there.
        NotFoundError: There is no backbone in ``config.initial``.
    """
    if len(reviews) <= 2 * config.held_out:
        raise InputError(
            f"{len(reviews)} reviews are too few to pretrain on with {config.held_out} held out",
            hint="ingest more text or lower held_out",
        )
    wanted = _wanted(reviews, items, config, notes)
    if finished := open_folder(folder, wanted):
        return finished
    tokenizer = _tokenizer(reviews, items, config, folder, notes)
    encoder = PromptTokenizer(tokenizer, max_tokens=config.max_tokens - config.reference_tokens)
    held_out, train = _documents(reviews, items, encoder, config, notes)
    with kept_random_state():
        torch.manual_seed(config.seed)
        model = _model(config, len(tokenizer), encoder)
        batches = DocumentBatches(
            train,
            pad_id=encoder.pad_id,
            tokens=config.tokens_per_step,
            rng=np.random.default_rng([config.seed, 3]),
            answers_only=config.answers_only,
        )
        started = time.monotonic()
        trainer = _train(model, batches, config, folder, progress=progress)
        seconds = round(time.monotonic() - started, 1)
    report = measured(model.eval(), train, held_out, batches, int(trainer.state.global_step), seconds, encoder.pad_id)
    log = [{"step": row["step"], "loss": row["loss"]} for row in trainer.state.log_history if "loss" in row]
    record = {**wanted, "provenance": dict(provenance or {}), "report": asdict(report), "log": log}
    _save(model, tokenizer, record, folder)
    return report


def _save(model: Any, tokenizer: Any, record: Mapping[str, Any], folder: Path) -> None:
    """The record last, for it says that the run is whole."""
    with no_bars():
        model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_record(folder, record)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _wanted(
    reviews: Sequence[Review], items: Mapping[ItemId, Item], config: PretrainConfig, notes: Notes | None
) -> dict[str, Any]:
    """What makes the run this run and no other."""
    wanted: dict[str, Any] = {"recipe": config.model_dump(mode="json"), "data": digest(reviews, items)}
    if notes is not None:
        wanted["notes"] = notes.digest
    if config.initial is not None:
        wanted["initial"] = folder_digest(_existing(config.initial))
    return wanted


def _documents(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    encoder: PromptTokenizer,
    config: PretrainConfig,
    notes: Notes | None,
) -> tuple[list[Document], list[Document]]:
    """Documents that are held out, and those to train on."""
    rng = np.random.default_rng([config.seed, 1])
    docs = list(documents(reviews, items, encoder, config.documents, rng, max_tokens=config.max_tokens, notes=notes))
    shuffled = [docs[i] for i in np.random.default_rng([config.seed, 2]).permutation(len(docs))]
    return shuffled[: config.held_out], shuffled[config.held_out :]


def _tokenizer(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    config: PretrainConfig,
    folder: Path,
    notes: Notes | None,
) -> transformers.PreTrainedTokenizerFast:
    """The run's tokenizer: trained once, read back when the run resumes."""
    if (folder / "tokenizer.json").is_file():
        return transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    if config.initial is not None:
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(_existing(config.initial))
        tokenizer.save_pretrained(folder)
        return tokenizer
    rng = np.random.default_rng([config.seed, 0])
    chosen = rng.permutation(len(reviews))[: config.tokenizer_reviews]
    texts = tokenizer_texts([reviews[i] for i in chosen], items, config.documents, rng, notes)
    tokenizer = train_tokenizer(texts, vocab_size=config.vocab_size)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _existing(folder: str) -> Path:
    if not (Path(folder) / "model.safetensors").is_file():
        raise NotFoundError(f"no backbone in {folder!r} to go on from", hint="name a folder that pretrain wrote")
    return Path(folder)


def _model(config: PretrainConfig, n_tokens: int, encoder: PromptTokenizer) -> Any:
    if config.initial is not None:
        with no_bars():
            return transformers.Qwen2ForCausalLM.from_pretrained(_existing(config.initial), dtype=torch.float32)
    shape = SHAPES[config.size]
    return transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            vocab_size=math.ceil(n_tokens / 64) * 64,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=4 * config.max_tokens,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=encoder.end_id,
            pad_token_id=encoder.pad_id,
        )
    )


def _train(
    model: transformers.PreTrainedModel,
    batches: DocumentBatches,
    config: PretrainConfig,
    folder: Path,
    *,
    progress: bool,
) -> transformers.Trainer:
    steps = config.max_steps if config.max_steps > 0 else math.ceil(len(batches) * config.epochs)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        per_device_train_batch_size=1,
        max_steps=steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        warmup_steps=math.ceil(config.warmup_ratio * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=1.0,
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported() if config.bf16 == "auto" else config.bf16,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=max(1, steps // 100),
        save_strategy="no",
        save_total_limit=1,
        disable_tqdm=True,
        report_to="none",
        seed=config.seed,
        dataloader_pin_memory=False,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=batches,
        data_collator=lambda rows: rows[0],
        optimizers=(_optimizer(model, config), None),
        callbacks=[_SaveByTime(config.save_minutes), _StopAfter(config.stop_after or steps)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    if progress:
        trainer.add_callback(Bar("pretrain"))
    trainer.train(resume_from_checkpoint=newest_checkpoint(folder))
    return trainer


def _optimizer(model: transformers.PreTrainedModel, config: PretrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "muon":
        return make_optimizer(model, lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


class _SaveByTime(transformers.TrainerCallback):
    """A checkpoint every so many minutes, whatever a step takes on this machine."""

    def __init__(self, minutes: float) -> None:
        self._interval = 60 * minutes
        self._last = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Ask for a checkpoint when the interval is over."""
        if time.monotonic() - self._last > self._interval:
            self._last = time.monotonic()
            control.should_save = True
        return control


class _StopAfter(transformers.TrainerCallback):
    """Ends a run at a step, wherever its schedule ends."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Stop when the step is reached."""
        control.should_training_stop = control.should_training_stop or state.global_step >= self._step
        return control
