"""Fits an adapter to examples, from the start or from the last checkpoint.

``FitReport`` is stored with the adapter, so that a finished fit is read back instead of run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.config import upgraded
from idiolect.errors import ConfigError, InputError
from idiolect.processes import on_main, process_mean
from idiolect.softprompt.artifact import SavedAdapter
from idiolect.softprompt.config import SoftPromptConfig
from idiolect.softprompt.model import SoftPromptModel
from idiolect.softprompt.prefix import PrefixCache, supports_prefix
from idiolect.softprompt.sae import mean_token_norm
from idiolect.softprompt.sharding import is_sharded
from idiolect.training.config import PREFIX_CACHE_GB, SAVE_MINUTES, FitConfig
from idiolect.training.examples import Collator, Example, digest
from idiolect.training.trainer import (
    AdapterTrainer,
    EarlyStop,
    EpochTimer,
    JsonLines,
    ProgressBarCallback,
    SaveByTime,
    Validate,
    kept_random_state,
    training_arguments,
)

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """Figures of one fit."""

    steps: int
    """Optimiser steps, including those before an interruption."""
    trainable_parameters: int
    total_parameters: int
    """Number of parameters of backbone and adapter together."""
    seconds_per_epoch: tuple[float, ...]
    """Seconds of each epoch, or part of one, since the last interruption, without validation."""
    losses: Mapping[str, float]
    """The last logged mean of the whole loss, each weighted term and each statistic."""
    best_metric: float | None
    """The validation metric of the adapter that was kept; None without validation."""
    best_step: int | None
    metric: str = ""
    """Name of the validation metric (``FitConfig.metric``)."""

    @property
    def trainable_share(self) -> float:
        """Share of all parameters that were trained (0.4 % in the paper)."""
        return self.trainable_parameters / self.total_parameters

    def write(self, folder: Path) -> None:
        """Write the report to ``folder``."""
        (folder / REPORT).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> FitReport:
        """The report in ``folder``."""
        data = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return cls(**{**data, "seconds_per_epoch": tuple(data["seconds_per_epoch"])})


CHECKPOINTS = "checkpoints"
_FREE = {"checkpointing", "sharded"}
"""Settings that may change when a fit is resumed: they cost time or memory, and change no loss."""


def run_fingerprint(
    adapter: SoftPromptConfig, fit: FitConfig, examples: Sequence[Example], depends: Mapping[str, str]
) -> dict[str, Any]:
    """What must be unchanged to resume a fit; ``depends`` is what the examples do not contain, such as the backbone."""
    own = {"fit": fit.model_dump(exclude=_FREE), "adapter": adapter.model_dump(), "examples": digest(examples)}
    return {**own, **depends}


class FolderState(NamedTuple):
    """Progress of a fit."""

    checkpoint: str | None
    """The newest complete checkpoint; None: there is none."""
    finished: bool


def open_folder(
    folder: Path, wanted: Mapping[str, Any], *, resume: bool, adapter: type[SoftPromptConfig]
) -> FolderState:
    """Progress of the fit in ``folder``; a new folder is prepared.

    Args:
        folder: Of the fit.
        wanted: The ``run_fingerprint`` of the fit that is about to run.
        resume: False removes the files of an earlier fit.
        adapter: Class of the adapter's configuration.

    Raises:
        ConfigError: The folder belongs to another fit.
    """
    path, checkpoints, finished = folder / "fit.json", folder / CHECKPOINTS, (folder / REPORT).is_file()
    # The Trainer writes its state last, so a checkpoint without it was interrupted.
    whole = [state.parent for state in checkpoints.glob("checkpoint-*/trainer_state.json")]
    if resume and (whole or finished):
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        classes = {"fit": FitConfig, "adapter": adapter}
        known |= {
            name: upgraded(cls, known.get(name), exclude=_FREE if name == "fit" else None)
            for name, cls in classes.items()
        }
        changed = sorted(name for name in wanted if wanted[name] != known.get(name))
        if changed:
            raise ConfigError(
                f"{str(folder)!r} holds another fit: {', '.join(changed)} changed",
                hint="name another folder, or start again with resume=False",
            )
        newest = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)
        return FolderState(newest and str(newest), finished)
    shutil.rmtree(checkpoints, ignore_errors=True)
    (folder / REPORT).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return FolderState(None, finished=False)


def fit_adapter(
    backbone: Any,
    adapter: SavedAdapter,
    examples: Sequence[Example],
    *,
    config: FitConfig,
    folder: Path,
    pad_id: int = 0,
    validate: Validate | None = None,
    resume: bool = True,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    depends: Mapping[str, str] | None = None,
    continued: bool = False,
) -> FitReport:
    """Train ``adapter`` in place and save it in ``folder``: the best by ``config.metric``, else the last.

    An interrupted fit is resumed from its last checkpoint by a call with the same arguments; a finished one is read
    back. Under ``torchrun`` each process takes its share of every batch. The global random state is restored.
    The folder holds the adapter, ``log.jsonl`` (every loss term), ``report.json`` and the best and the last checkpoint.

    Args:
        backbone: A Hugging Face causal language model; frozen in place. If it is on the CPU, training stays there.
        adapter: Of the backbone's hidden size.
        examples: In any order.
        config: Optimiser, schedule and budget.
        folder: Created if absent.
        pad_id: Any valid token id.
        validate: Returns the current adapter's scores by name; called at every checkpoint on the main process, and on
            every process if these share the backbone's layers (``shard_layers``).
        resume: Resume from a checkpoint in ``folder``; False starts again and removes earlier files.
        progress: Show a bar.
        provenance: For the adapter's README, see ``SavedAdapter.save_pretrained``.
        depends: What else must be unchanged to resume: the backbone's name, the seed of the adapter, ...
        continued: The adapter was trained before: it keeps its scales, which are otherwise taken from the examples.

    Raises:
        InputError: No example has a virtual token.
        ConfigError: ``folder`` holds the checkpoints of another fit, or the loss is no longer a number.
        ValueError: The examples' virtual tokens do not fit the adapter.
    """
    with kept_random_state():
        _prepare(backbone, adapter, examples, continued=continued)
        # Checkpointing does not work with a cache, nor do processes that must all call the layers they share.
        split = supports_prefix(backbone) and not config.checkpointing and not is_sharded(backbone)
        prefixes = PrefixCache(backbone, int(PREFIX_CACHE_GB * 2**30)) if split else None
        model = SoftPromptModel(backbone, adapter, process_mean, prefixes)
        trainer = _trainer(model, examples, config, folder, pad_id, validate)
        wanted = run_fingerprint(adapter.config, config, examples, depends or {})
        state = on_main(lambda: open_folder(folder, wanted, resume=resume, adapter=type(adapter.config)))
        if state.finished:
            adapter.load(folder)
            return FitReport.read(folder)
        stop = None if validate is None or config.patience is None else EarlyStop(config.patience)
        report = _train(trainer, folder, state.checkpoint, stop, progress=progress)
    if trainer.is_world_process_zero():
        _save(adapter, report, folder, {**(provenance or {}), **_results(report, config)})
    return report


def _prepare(backbone: Any, adapter: SavedAdapter, examples: Sequence[Example], *, continued: bool) -> None:
    with_tokens = [example for example in examples if len(example.inputs.stream)]
    if not with_tokens:
        raise InputError(
            f"none of {len(examples)} examples has a virtual token to fit an adapter with",
            hint="check the split, its phase and the prompt's token budget",
        )
    for example in with_tokens:
        adapter.check_inputs(example.inputs)
    if not continued:
        embedding = backbone.get_input_embeddings()
        token_norm = mean_token_norm(embedding, embedding.weight.shape[0])
        adapter.fit_statistics([example.inputs for example in with_tokens], token_norm=token_norm)


def _trainer(
    model: SoftPromptModel,
    examples: Sequence[Example],
    config: FitConfig,
    folder: Path,
    pad_id: int,
    validate: Validate | None,
) -> AdapterTrainer:
    if config.checkpointing:
        model.activation_checkpointing_enable()
    return AdapterTrainer(
        model,
        validate=validate,
        args=training_arguments(
            config,
            folder / CHECKPOINTS,
            validated=validate is not None,
            on_cpu=next(model.backbone.parameters()).device.type == "cpu",
        ),
        data_collator=Collator(pad_id, model.adapter.collate, split_prefix=model.prefixes is not None),
        train_dataset=examples,
        # Never read, because ``validate`` evaluates; the Trainer requires it.
        eval_dataset=examples,
    )


def _train(
    trainer: AdapterTrainer, folder: Path, checkpoint: str | None, stop: EarlyStop | None, *, progress: bool
) -> FitReport:
    timer = EpochTimer()
    callbacks = [timer, JsonLines(folder / "log.jsonl"), SaveByTime(SAVE_MINUTES), *([stop] if stop else [])]
    for callback in (*callbacks, *([ProgressBarCallback()] if progress else [])):
        trainer.add_callback(callback)
    ended = None if stop is None or checkpoint is None else stop.ended(trainer.args, checkpoint)
    if ended is None:
        trainer.train(resume_from_checkpoint=checkpoint)
    else:
        trainer.take_best(ended)
    trainer.model.eval()
    return _report(trainer, timer)


def _save(adapter: SavedAdapter, report: FitReport, folder: Path, provenance: Mapping[str, Any]) -> None:
    adapter.save_pretrained(folder, provenance=provenance)
    report.write(folder)


def _report(trainer: AdapterTrainer, timer: EpochTimer) -> FitReport:
    state = trainer.state
    logged = [record for record in state.log_history if "loss" in record]
    sizes = [(p.numel(), p.requires_grad) for p in trainer.model.parameters()]
    return FitReport(
        steps=state.global_step,
        trainable_parameters=sum(size for size, trained in sizes if trained),
        total_parameters=sum(size for size, _ in sizes),
        seconds_per_epoch=tuple(timer.seconds),
        losses={k: v for k, v in (logged[-1] if logged else {}).items() if k not in {"epoch", "step"}},
        best_metric=state.best_metric,
        best_step=state.best_global_step,
        metric=trainer.args.metric_for_best_model or "",
    )


def _results(report: FitReport, config: FitConfig) -> dict[str, Any]:
    best = {} if report.best_metric is None else {f"validation {config.metric}": f"{report.best_metric:.6g}"}
    return {"steps": report.steps, "trainable share": f"{report.trainable_share:.4%}", **best}
