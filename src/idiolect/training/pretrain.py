"""Pretrains a small Qwen2-architecture language model and its tokenizer, on documents of the library's own prompts.

For machines without a model hub, and for the shipped demo. The result is an ordinary Hugging Face folder, loaded by the
same code as ``Qwen/Qwen2.5-7B-Instruct``.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from torch.utils.data import Dataset

from idiolect.config import upgraded
from idiolect.encoders import disable_progress_bars, folder_digest
from idiolect.errors import ConfigError, InputError, NotFoundError, require
from idiolect.prompts.rendering import PromptConfig
from idiolect.prompts.rendering import digest as templates_digest
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.training.config import (
    MAX_GRAD_NORM,
    SAVE_MINUTES,
    SHAPES,
    TOKENIZER_REVIEWS,
    WARMUP_RATIO,
    WEIGHT_DECAY,
    PretrainConfig,
    PretrainReport,
)
from idiolect.training.documents import Annotations, EncodedDocument, encoded_documents, tokenizer_texts
from idiolect.training.muon import make_optimizer
from idiolect.training.trainer import ProgressBarCallback, SaveByTime, kept_random_state
from idiolect.types import Item, ItemId, Review

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class DocumentBatches(Dataset[dict[str, torch.Tensor]]):
    """Documents of similar length in padded batches of about ``tokens_per_step`` tokens each.

    Args:
        docs: The documents.
        pad_id: The padding token.
        tokens: Tokens per batch, padding included.
        rng: Draws the batches and their order.
        answers_only: Compute no loss on the prompts.
    """

    def __init__(
        self,
        docs: Sequence[EncodedDocument],
        *,
        pad_id: int,
        tokens: int,
        rng: np.random.Generator,
        answers_only: bool = False,
    ) -> None:
        self._docs, self._pad = [doc.ids for doc in docs], pad_id
        self._skip = [doc.prompt_length if answers_only else 0 for doc in docs]
        # Sorting by a blurred length keeps padding small, and batches differ between epochs.
        blurred = np.array([len(doc.ids) for doc in docs]) * rng.uniform(0.95, 1.05, size=len(docs))
        order = np.argsort(blurred, kind="stable")[::-1]
        self._batches: list[np.ndarray] = []
        start = 0
        while start < len(order):
            longest = max(len(self._docs[i]) for i in order[start : start + 4])
            stop = start + max(1, tokens // longest)
            self._batches.append(order[start:stop])
            start = stop

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        chosen = self._batches[index]
        docs = [self._docs[i] for i in chosen]
        longest = max(map(len, docs))
        ids = torch.full((len(docs), longest), self._pad)
        labels = torch.full((len(docs), longest), -100)
        for row, doc in enumerate(docs):
            tokens = torch.from_numpy(doc.astype(np.int64))
            ids[row, : len(doc)] = tokens
            # Padding tokens inside a document are virtual tokens, which are not predicted.
            labels[row, : len(doc)] = torch.where(tokens == self._pad, -100, tokens)
            labels[row, : self._skip[chosen[row]]] = -100
        # Padding is on the right and attention causal, so no mask is needed (and the fast kernel can be used).
        return {"input_ids": ids, "labels": labels}


PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, min_frequency: int = 2) -> PreTrainedTokenizerFast:
    """Train a tokenizer.

    Args:
        texts: Training texts; they should include the prompts' own words.
        vocab_size: Entries, the 256 bytes and 3 control tokens included.
        min_frequency: A merge must occur this often.

    Returns:
        A fast tokenizer with chat template, ``<|im_end|>`` as end of sequence and ``<|endoftext|>`` as padding.
    """
    tokenizers = require("tokenizers", extra="train")
    transformers = require("transformers", extra="train")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    # In a folder with a Qwen2 model, AutoTokenizer silently replaces the folder's rules by those of the
    # family, and the model would read other tokens than it was trained on.
    family = transformers.Qwen2Tokenizer().backend_tokenizer
    bpe.normalizer, bpe.pre_tokenizer, bpe.decoder = family.normalizer, family.pre_tokenizer, family.decoder
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=TURN_END, pad_token=PAD, additional_special_tokens=[TURN_START]
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


RECORD, CHECKPOINTS = "pretrain.json", "checkpoints"


def open_folder(folder: Path, wanted: Mapping[str, Any]) -> PretrainReport | None:
    """The report of a finished run; None if there is work left.

    Args:
        folder: Of the run; created if absent.
        wanted: What must be unchanged to resume a run or to count it as finished.

    Raises:
        ConfigError: The folder belongs to another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD
    if not path.is_file():
        write_record(folder, wanted)
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {"recipe": upgraded(PretrainConfig, record.get("recipe"))}
    changed = [name for name in wanted if wanted[name] != record.get(name)]
    if changed and ("report" in record or newest_checkpoint(folder)):
        raise ConfigError(
            f"{str(folder)!r} holds another backbone: its {' and '.join(changed)} changed", hint="choose another folder"
        )
    if changed:  # an attempt without any checkpoint
        (folder / "tokenizer.json").unlink(missing_ok=True)
        write_record(folder, wanted)
    return PretrainReport(**record["report"]) if "report" in record else None


def newest_checkpoint(folder: Path) -> str | None:
    """The checkpoint to resume from; None: start from scratch."""
    # The Trainer writes its state last, so a checkpoint without it was interrupted.
    whole = [state.parent for state in (folder / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)
    return newest and str(newest)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a run, and of a finished run the report."""
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def digest(reviews: Sequence[Review], items: Mapping[ItemId, Item]) -> str:
    """A digest of the text, so that a run on other text, whose targets may differ, is not resumed."""
    state = hashlib.blake2b(digest_size=16)
    for value in (*reviews, *(items[id] for id in sorted(items))):
        state.update(repr(value).encode())
    return state.hexdigest()


def measured(
    model: Any,
    train: Sequence[EncodedDocument],
    held_out: Sequence[EncodedDocument],
    batches: DocumentBatches,
    steps: int,
    seconds: float,
    pad_id: int,
) -> PretrainReport:
    """The report of a run whose model is in evaluation mode.

    Args:
        model: The trained model.
        train: The documents it was trained on.
        held_out: Documents it was not trained on. Their reviews may be in the history of later documents of the same
            user, so the perplexity is optimistic; the study evaluates on other worlds.
        batches: Makes the batches.
        steps: Optimiser steps.
        seconds: Time of training.
        pad_id: The token at virtual tokens, which is not predicted.
    """
    perplexity, nats, of_reviews = _held_out(model, held_out, pad_id)
    return PretrainReport(
        parameters=sum(p.numel() for p in model.parameters()),
        documents=len(train),
        tokens_seen=int(sum(len(doc.ids) for doc in train) * steps / max(1, len(batches))),
        steps=steps,
        seconds=seconds,
        held_out_perplexity=perplexity,
        held_out_review_nats=nats,
        held_out_review_perplexity=of_reviews,
    )


@torch.no_grad()
def _held_out(model: Any, docs: Sequence[EncodedDocument], pad_id: int) -> tuple[float, float, float]:
    """Perplexity per token of whole documents, mean nats of the review given its prompt, its perplexity per token."""
    total = tokens = of_reviews = 0.0
    reviews: list[float] = []
    for doc in docs:
        ids = torch.from_numpy(doc.ids.astype(np.int64)).to(model.device)
        nats = torch.nn.functional.cross_entropy(model(ids[None]).logits[0, :-1].float(), ids[1:], reduction="none")
        shown = ids[1:] != pad_id
        total += float(nats[shown].sum())
        tokens += float(shown.sum())
        reviews.append(float(nats[doc.prompt_length - 1 :].sum()))
        of_reviews += len(nats) - doc.prompt_length + 1
    return math.exp(total / tokens), float(np.mean(reviews)), math.exp(sum(reviews) / max(of_reviews, 1.0))


def pretrain(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    *,
    config: PretrainConfig,
    folder: Path,
    annotations: Annotations | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> PretrainReport:
    """Train a tokenizer and a backbone and save them to ``folder``.

    Args:
        reviews: The training text; leave out every target that adapters will be fitted or tested on.
        items: Their items.
        config: Model, data and budget.
        folder: For model, tokenizer, ``pretrain.json`` (recipe, log, report) and checkpoints.
        annotations: How the users write, for the formats with a profile.
        provenance: Recorded with the recipe (data, command).
        progress: Show a bar.

    Raises:
        InputError: There are not many more reviews than are held out.
        ConfigError: ``folder`` holds a finished or interrupted run of another recipe or other text; or a format needs
            annotations and there are none.
        NotFoundError: There is no backbone in ``config.initial``.
    """
    if len(reviews) <= 2 * config.held_out:
        raise InputError(
            f"{len(reviews)} reviews are too few to pretrain on with {config.held_out} held out",
            hint="ingest more text or lower held_out",
        )
    wanted = _wanted(reviews, items, config, annotations)
    if finished := open_folder(folder, wanted):
        return finished
    tokenizer = _tokenizer(reviews, items, config, folder, annotations)
    encoder = PromptTokenizer(tokenizer, max_tokens=config.max_tokens - config.reference_tokens)
    held_out, train = _documents(reviews, items, encoder, config, annotations)
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
    """Write the model, then the record, which marks the run as finished."""
    with disable_progress_bars():
        model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_record(folder, record)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _wanted(
    reviews: Sequence[Review], items: Mapping[ItemId, Item], config: PretrainConfig, annotations: Annotations | None
) -> dict[str, Any]:
    """What identifies the run."""
    wanted: dict[str, Any] = {"recipe": config.model_dump(mode="json"), "data": digest(reviews, items)}
    if annotations is not None:
        wanted["notes"] = annotations.digest  # the name in existing records
    if config.initial is not None:
        wanted["initial"] = folder_digest(_existing(config.initial))
    wording = PromptConfig(task=config.documents.task, templates=config.documents.templates)
    if words := templates_digest(wording):
        wanted["templates"] = words
    return wanted


def _documents(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    encoder: PromptTokenizer,
    config: PretrainConfig,
    annotations: Annotations | None,
) -> tuple[list[EncodedDocument], list[EncodedDocument]]:
    """Held-out and training documents."""
    rng = np.random.default_rng([config.seed, 1])
    docs = list(
        encoded_documents(
            reviews, items, encoder, config.documents, rng, max_tokens=config.max_tokens, annotations=annotations
        )
    )
    shuffled = [docs[i] for i in np.random.default_rng([config.seed, 2]).permutation(len(docs))]
    return shuffled[: config.held_out], shuffled[config.held_out :]


def _tokenizer(
    reviews: Sequence[Review],
    items: Mapping[ItemId, Item],
    config: PretrainConfig,
    folder: Path,
    annotations: Annotations | None,
) -> transformers.PreTrainedTokenizerFast:
    """The run's tokenizer: trained once, read back by a resumed run."""
    if (folder / "tokenizer.json").is_file():
        return transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    if config.initial is not None:
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(_existing(config.initial))
        tokenizer.save_pretrained(folder)
        return tokenizer
    rng = np.random.default_rng([config.seed, 0])
    chosen = rng.permutation(len(reviews))[:TOKENIZER_REVIEWS]
    texts = tokenizer_texts([reviews[i] for i in chosen], items, config.documents, rng, annotations)
    tokenizer = train_tokenizer(texts, vocab_size=config.vocab_size)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _existing(folder: str) -> Path:
    if not (Path(folder) / "model.safetensors").is_file():
        raise NotFoundError(f"no backbone in {folder!r} to go on from", hint="name a folder that pretrain wrote")
    return Path(folder)


def _model(config: PretrainConfig, n_tokens: int, encoder: PromptTokenizer) -> Any:
    if config.initial is not None:
        with disable_progress_bars():
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
    steps = config.max_steps if config.max_steps > 0 else len(batches)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        per_device_train_batch_size=1,
        max_steps=steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        warmup_steps=math.ceil(WARMUP_RATIO * steps),
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=MAX_GRAD_NORM,
        bf16=_has_bf16(),
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
        optimizers=(make_optimizer(model, lr=config.learning_rate, weight_decay=WEIGHT_DECAY), None),
        callbacks=[SaveByTime(SAVE_MINUTES), _StopAfter(config.stop_after or steps)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    if progress:
        trainer.add_callback(ProgressBarCallback("pretrain"))
    with disable_progress_bars():  # of every checkpoint
        trainer.train(resume_from_checkpoint=newest_checkpoint(folder))
    return trainer


def _has_bf16() -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones; CPUs without such instructions do not.

    On a CPU with AVX512-BF16 a step of the 3 M shape takes 0.78 of the time.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # since torch 2.10
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


class _StopAfter(transformers.TrainerCallback):
    """Ends a run at a step before the end of its schedule."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Stop if the step is reached."""
        control.should_training_stop = control.should_training_stop or state.global_step >= self._step
        return control
